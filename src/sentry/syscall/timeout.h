/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscall/timeout.h - struct timespec of the guest and deadlines of the kernel.
 */
#pragma once

#include <time.h>

#include "sentry/syscall/syscall.h"

static inline bool timespec_valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < (long)NSEC_PER_SEC;
}

/*
 * The deadline that a guest's timespec means: addr 0 is NSEC_NEVER; relative to now, or absolute on
 * CLOCK_MONOTONIC or CLOCK_REALTIME. 0, -EFAULT, -EINVAL.
 */
int timeout_import(struct task *t, uaddr_t addr, bool absolute, bool realtime, nsec_t *ret);
/* The same for a value in kernel memory that has been judged. */
nsec_t timeout_deadline(const struct timespec *ts, bool absolute, bool realtime);
