/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll_create(2), epoll_ctl(2), epoll_wait(2).
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/core/kclock.h"
#include "sentry/syscall/sys_vfs.h"
#include "sentry/vfs/epoll.h"

#define NSEC_PER_MSEC 1000000ull

static sysret_t make_epoll(struct task *t, bool cloexec)
{
	struct file *f;
	const int r = epoll_open(t->cred, &f);

	return r < 0 ? r : sys_install(t, f, cloexec);
}

sysret_t sys_epoll_create(struct task *t, const struct syscall_args *a)
{
	return arg_int(a, 0) <= 0 ? -EINVAL : make_epoll(t, false);
}

sysret_t sys_epoll_create1(struct task *t, const struct syscall_args *a)
{
	return arg_int(a, 0) & ~EPOLL_CLOEXEC ? -EINVAL : make_epoll(t, arg_int(a, 0));
}

sysret_t sys_epoll_ctl(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *ep = NULL, *target = NULL;
	const int op = arg_int(a, 1), fd = arg_int(a, 2);
	struct epoll_event event = { 0 };

	if (op != EPOLL_CTL_DEL &&
	    user_copy_in(task_um(t), &event, arg_uaddr(a, 3), sizeof(event)) < 0)
		return -EFAULT;
	ep = fd_get(t->files, arg_int(a, 0));
	target = fd_get(t->files, fd);
	if (!ep || !target)
		return -EBADF;
	return epoll_change(ep, op, fd, target, &event);
}

static sysret_t do_wait(struct task *t, const struct syscall_args *a, nsec_t deadline)
{
	AUTO_FILE struct file *ep = NULL;
	AUTO_FREE struct epoll_event *events = NULL;
	const int max = arg_int(a, 2);
	unsigned int n;
	int r;

	if (max <= 0 || max > INT32_MAX / (int)sizeof(*events))
		return -EINVAL;
	ep = fd_get(t->files, arg_int(a, 0));
	if (!ep)
		return -EBADF;
	/* No more than there can be, so that a large array of the guest costs nothing. */
	n = epoll_len(ep) > 8 ? epoll_len(ep) : 8;
	if (n > (unsigned int)max)
		n = (unsigned int)max;
	if (n > EPOLL_BATCH_MAX)
		n = EPOLL_BATCH_MAX;
	events = calloc(n, sizeof(*events));
	if (!events)
		return -ENOMEM;
	r = epoll_collect(ep, events, n, deadline);
	if (r == -ERESTARTSYS)
		return -EINTR;
	if (r > 0 &&
	    user_copy_out(task_um(t), arg_uaddr(a, 1), events, (size_t)r * sizeof(*events)) < 0)
		return -EFAULT;
	return r;
}

static nsec_t deadline_of(int timeout_ms)
{
	if (timeout_ms < 0)
		return NSEC_NEVER;
	return timeout_ms ? kclock_monotonic() + (uint64_t)timeout_ms * NSEC_PER_MSEC : 0;
}

sysret_t sys_epoll_wait(struct task *t, const struct syscall_args *a)
{
	return do_wait(t, a, deadline_of(arg_int(a, 3)));
}

sysret_t sys_epoll_pwait(struct task *t, const struct syscall_args *a)
{
	bool masked;
	const int r = sys_enter_sigmask(t, arg_uaddr(a, 4), arg_u64(a, 5), &masked);

	if (r < 0)
		return r;
	return sys_leave_sigmask(t, masked, do_wait(t, a, deadline_of(arg_int(a, 3))));
}

sysret_t sys_epoll_pwait2(struct task *t, const struct syscall_args *a)
{
	nsec_t deadline;
	bool masked;
	int r = sys_get_timeout(t, arg_uaddr(a, 3), &deadline);

	if (r == 0)
		r = sys_enter_sigmask(t, arg_uaddr(a, 4), arg_u64(a, 5), &masked);
	if (r < 0)
		return r;
	return sys_leave_sigmask(t, masked, do_wait(t, a, deadline));
}
