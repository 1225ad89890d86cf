/* SPDX-License-Identifier: Apache-2.0 */
/* hypervisor/tsc.h - the host's time stamp counter, which an emulated guest reads as its own. */
#pragma once

#include <stdint.h>

/*
 * Its rate as the host's kernel knows it (perf_event_open(2)); where that is not allowed, measured
 * for 10 ms. 0: this processor's counter has no constant rate.
 */
uint64_t hypervisor_tsc_khz(void);
