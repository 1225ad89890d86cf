/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eventfd(2).
 */
#include <errno.h>
#include <sys/eventfd.h>

#include "sentry/syscall/sys_vfs.h"
#include "sentry/vfs/eventfd.h"

static sysret_t make_eventfd(struct task *t, unsigned int count, int flags)
{
	struct file *f;
	int r;

	if (flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE))
		return -EINVAL;
	r = eventfd_open(t->cred, count, (uint32_t)flags, &f);
	return r < 0 ? r : sys_install(t, f, flags & EFD_CLOEXEC);
}

sysret_t sys_eventfd(struct task *t, const struct syscall_args *a)
{
	return make_eventfd(t, arg_uint(a, 0), 0);
}

sysret_t sys_eventfd2(struct task *t, const struct syscall_args *a)
{
	return make_eventfd(t, arg_uint(a, 0), arg_int(a, 1));
}
