/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_timer.c - setitimer(2), alarm(2), timer_create(2) and kin. */
#include <sys/time.h>

#include "sentry/core/kclock.h"
#include "sentry/syscall/syscall.h"
#include "sentry/syscall/timeout.h"
#include "sentry/task/itimer.h"
#include "sentry/task/posix_timers.h"

#define USEC_PER_SEC 1000000

static bool timeval_valid(const struct timeval *tv)
{
	return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < USEC_PER_SEC;
}

static nsec_t timeval_to_ns(const struct timeval *tv)
{
	const struct timespec ts = { .tv_sec = tv->tv_sec, .tv_nsec = tv->tv_usec * 1000 };

	return timespec_to_nsec(&ts);
}

static struct timeval ns_to_timeval(nsec_t ns)
{
	return (struct timeval){ .tv_sec = (time_t)(ns / NSEC_PER_SEC),
				 .tv_usec = (suseconds_t)(ns % NSEC_PER_SEC / 1000) };
}

static int itimer_out(struct task *t, uaddr_t addr, nsec_t value, nsec_t interval)
{
	const struct itimerval v = { .it_value = ns_to_timeval(value),
				     .it_interval = ns_to_timeval(interval) };

	return user_copy_out(task_um(t), addr, &v, sizeof(v));
}

sysret_t sys_getitimer(struct task *t, const struct syscall_args *a)
{
	const int which = arg_int(a, 0);
	nsec_t value, interval;

	if (which < ITIMER_REAL || which > ITIMER_PROF)
		return -EINVAL;
	itimer_get(t->tg, which, &value, &interval);
	return itimer_out(t, arg_uaddr(a, 1), value, interval);
}

sysret_t sys_setitimer(struct task *t, const struct syscall_args *a)
{
	const int which = arg_int(a, 0);
	struct itimerval v = { 0 };
	nsec_t value, interval;
	int r;

	if (arg_uaddr(a, 1) && user_copy_in(task_um(t), &v, arg_uaddr(a, 1), sizeof(v)) < 0)
		return -EFAULT;
	if (which < ITIMER_REAL || which > ITIMER_PROF)
		return -EINVAL;
	if (!timeval_valid(&v.it_value) || !timeval_valid(&v.it_interval))
		return -EINVAL;
	r = itimer_set(t->tg, which, timeval_to_ns(&v.it_value), timeval_to_ns(&v.it_interval),
		       &value, &interval);
	if (r < 0 || !arg_uaddr(a, 2))
		return r;
	return itimer_out(t, arg_uaddr(a, 2), value, interval);
}

sysret_t sys_alarm(struct task *t, const struct syscall_args *a)
{
	nsec_t value, interval;
	uint64_t seconds;
	const int r =
		itimer_set(t->tg, ITIMER_REAL, arg_uint(a, 0) * NSEC_PER_SEC, 0, &value, &interval);

	if (r < 0)
		return r;
	seconds = (value + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
	return (sysret_t)(value && !seconds ? 1 : seconds);
}

sysret_t sys_timer_create(struct task *t, const struct syscall_args *a)
{
	const uaddr_t event = arg_uaddr(a, 1);
	struct sigevent ev;
	int id, r;

	if (event && user_copy_in(task_um(t), &ev, event, sizeof(ev)) < 0)
		return -EFAULT;
	id = posix_timer_create(t, arg_int(a, 0), event ? &ev : NULL);
	if (id < 0)
		return id;
	r = user_copy_out(task_um(t), arg_uaddr(a, 2), &id, sizeof(id));
	if (r < 0)
		(void)posix_timer_delete(t, id);
	return r;
}

sysret_t sys_timer_settime(struct task *t, const struct syscall_args *a)
{
	struct itimerspec value, old;
	int r;

	if (!arg_uaddr(a, 2))
		return -EINVAL;
	if (user_copy_in(task_um(t), &value, arg_uaddr(a, 2), sizeof(value)) < 0)
		return -EFAULT;
	if (!timespec_valid(&value.it_value) || !timespec_valid(&value.it_interval))
		return -EINVAL;
	r = posix_timer_set(t, arg_int(a, 0), arg_int(a, 1), &value, &old);
	if (r < 0 || !arg_uaddr(a, 3))
		return r;
	return user_copy_out(task_um(t), arg_uaddr(a, 3), &old, sizeof(old));
}

sysret_t sys_timer_gettime(struct task *t, const struct syscall_args *a)
{
	struct itimerspec value;
	const int r = posix_timer_get(t, arg_int(a, 0), &value);

	return r < 0 ? r : user_copy_out(task_um(t), arg_uaddr(a, 1), &value, sizeof(value));
}

sysret_t sys_timer_getoverrun(struct task *t, const struct syscall_args *a)
{
	return posix_timer_overrun(t, arg_int(a, 0));
}

sysret_t sys_timer_delete(struct task *t, const struct syscall_args *a)
{
	return posix_timer_delete(t, arg_int(a, 0));
}
