/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timerfd_create(2), timerfd_settime(2), timerfd_gettime(2).
 */
#include <errno.h>
#include <linux/capability.h>
#include <sys/timerfd.h>

#include "sentry/syscall/sys_vfs.h"
#include "sentry/vfs/eventfd.h"

sysret_t sys_timerfd_create(struct task *t, const struct syscall_args *a)
{
	const int clock = arg_int(a, 0), flags = arg_int(a, 1);
	struct file *f;
	int r;

	if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
		break;
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		if (!task_capable(t, CAP_WAKE_ALARM))
			return -EPERM;
		break;
	default:
		return -EINVAL;
	}
	r = timerfd_open(t->cred, clock, (uint32_t)flags, &f);
	return r < 0 ? r : sys_install(t, f, flags & TFD_CLOEXEC);
}

static bool timespec_ok(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < (long)NSEC_PER_SEC;
}

sysret_t sys_timerfd_settime(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	struct itimerspec new, old;
	const int flags = arg_int(a, 1);
	int r;

	if (user_copy_in(task_um(t), &new, arg_uaddr(a, 2), sizeof(new)) < 0)
		return -EFAULT;
	if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) || !timespec_ok(&new.it_value) ||
	    !timespec_ok(&new.it_interval))
		return -EINVAL;
	f = fd_get(t->files, arg_int(a, 0));
	if (!f)
		return -EBADF;
	r = timerfd_set(f, flags, &new, &old);
	if (r < 0 || !arg_uaddr(a, 3))
		return r;
	return user_copy_out(task_um(t), arg_uaddr(a, 3), &old, sizeof(old));
}

sysret_t sys_timerfd_gettime(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));
	struct itimerspec now;
	int r;

	if (!f)
		return -EBADF;
	r = timerfd_get(f, &now);
	return r < 0 ? r : user_copy_out(task_um(t), arg_uaddr(a, 1), &now, sizeof(now));
}
