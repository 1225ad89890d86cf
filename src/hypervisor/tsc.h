/* SPDX-License-Identifier: Apache-2.0 */
/* hypervisor/tsc.h - the host's time stamp counter, which an emulated guest reads as its own. */
#pragma once

#include <limits.h>
#include <stdint.h>

struct tsc_reading {
	uint64_t ticks, ns;
};

/* For hypervisor_tsc_khz(): what is done between the two need not be waited for. */
void hypervisor_tsc_begin(struct tsc_reading *ret);
/*
 * Its rate, as the host's kernel knows it (perf_event_open(2)), or, where that is not allowed or
 * the kernel does not say it, measured until 10 ms after `begin`. Both take their time, so that it
 * is kept in the file `memory` for this boot (NULL: not), and what is kept there is compared with
 * what has passed since `begin`, of which 2 ms are enough. 0: this processor's counter has no
 * constant rate.
 */
uint64_t hypervisor_tsc_khz(const struct tsc_reading *begin, const char *memory);

/* Where all of one user keep it, or NULL. */
const char *hypervisor_tsc_memory(char path[static PATH_MAX]);
