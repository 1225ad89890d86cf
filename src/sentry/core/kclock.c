/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/kclock.h"

static nsec_t now(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return (nsec_t)ts.tv_sec * NSEC_PER_SEC + (nsec_t)ts.tv_nsec;
}

nsec_t kclock_monotonic(void)
{
	return now(CLOCK_MONOTONIC);
}

nsec_t kclock_realtime(void)
{
	return now(CLOCK_REALTIME);
}

nsec_t kclock_boottime(void)
{
	return now(CLOCK_BOOTTIME);
}
