/* SPDX-License-Identifier: Apache-2.0 */
/* hypervisor/tsc.h - the host's time stamp counter, which an emulated guest reads as its own. */
#pragma once

#include <stdint.h>

struct tsc_reading {
	uint64_t ticks, ns;
};

/* For hypervisor_tsc_khz(): what is done between the two need not be waited for. */
void hypervisor_tsc_begin(struct tsc_reading *ret);
/*
 * Its rate as the host's kernel knows it (perf_event_open(2)); where that is not allowed, measured
 * until 10 ms after `begin`. 0: this processor's counter has no constant rate.
 */
uint64_t hypervisor_tsc_khz(const struct tsc_reading *begin);
