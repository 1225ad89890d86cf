/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/timeout.c - see timeout.h. */
#include "sentry/syscall/timeout.h"

#include "sentry/core/kclock.h"

nsec_t timeout_deadline(const struct timespec *ts, bool absolute, bool realtime)
{
	const nsec_t ns = timespec_to_nsec(ts), now = kclock_monotonic();
	nsec_t real;

	if (!absolute)
		return nsec_add(now, ns);
	if (!realtime)
		return ns;
	real = kclock_realtime();
	return ns > real ? nsec_add(now, ns - real) : now;
}

int timeout_import(struct task *t, uaddr_t addr, bool absolute, bool realtime, nsec_t *ret)
{
	struct timespec ts;

	*ret = NSEC_NEVER;
	if (!addr)
		return 0;
	if (user_copy_in(task_um(t), &ts, addr, sizeof(ts)) < 0)
		return -EFAULT;
	if (!timespec_valid(&ts))
		return -EINVAL;
	*ret = timeout_deadline(&ts, absolute, realtime);
	return 0;
}
