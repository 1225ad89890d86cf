/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/core/kclock.h - the sandbox's clocks, from the host's vDSO.
 */
#pragma once

#include <time.h>

#include "sentry/core/fiber.h"

nsec_t kclock_monotonic(void); /* CLOCK_MONOTONIC of the host, as in deadlines */
nsec_t kclock_realtime(void);  /* since the epoch */
nsec_t kclock_boottime(void);

static inline struct timespec nsec_to_timespec(nsec_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / NSEC_PER_SEC),
				  .tv_nsec = (long)(ns % NSEC_PER_SEC) };
}

/* Saturating; negative times are 0. The caller has judged tv_nsec. */
static inline nsec_t timespec_to_nsec(const struct timespec *ts)
{
	if (ts->tv_sec < 0)
		return 0;
	if ((uint64_t)ts->tv_sec >= UINT64_MAX / NSEC_PER_SEC - 1)
		return NSEC_NEVER - 1;
	return (nsec_t)ts->tv_sec * NSEC_PER_SEC + (nsec_t)ts->tv_nsec;
}

/* now + delta without wrapping; NSEC_NEVER stays. */
static inline nsec_t nsec_add(nsec_t now, nsec_t delta)
{
	return delta > NSEC_NEVER - 1 - now ? NSEC_NEVER : now + delta;
}
