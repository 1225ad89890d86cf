/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/signals.h - signal names as the command line takes them; signal(7).
 */
#pragma once

#define SIGNAL_MAX 64 /* the highest number the kernel knows */

/*
 * "TERM", "SIGTERM", "sigterm", "15", "RTMIN+3", "SIGRTMAX-1": a number in 0..SIGNAL_MAX (0 asks
 * whether the process is there), else -EINVAL. RTMIN is 34, the C library's.
 */
int signal_from_text(const char *text);

/* "SIGTERM" or "SIGRTMIN+3"; NULL for a number that is no signal. */
const char *signal_name(int signal);
