/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify_init(2), inotify_add_watch(2), inotify_rm_watch(2).
 */
#include <errno.h>

#include "sentry/syscall/sys_vfs.h"
#include "sentry/vfs/notify.h"

#define MASK_KNOWN                                                                               \
	(IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW | \
	 IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT)

static sysret_t make_inotify(struct task *t, int flags)
{
	struct file *f;
	int r;

	if (flags & ~(IN_CLOEXEC | IN_NONBLOCK))
		return -EINVAL;
	r = inotify_open(t->cred, (uint32_t)flags & O_NONBLOCK, &f);
	return r < 0 ? r : sys_install(t, f, flags & IN_CLOEXEC);
}

sysret_t sys_inotify_init(struct task *t, const struct syscall_args *a)
{
	return make_inotify(t, 0);
}

sysret_t sys_inotify_init1(struct task *t, const struct syscall_args *a)
{
	return make_inotify(t, arg_int(a, 0));
}

sysret_t sys_inotify_add_watch(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	const uint32_t mask = arg_uint(a, 2);
	struct path p;
	int r;

	if (mask & ~(uint32_t)MASK_KNOWN || !(mask & MASK_KNOWN))
		return -EINVAL;
	f = fd_get(t->files, arg_int(a, 0));
	if (!f)
		return -EBADF;
	r = sys_walk(t, AT_FDCWD, arg_uaddr(a, 1),
		     (mask & IN_DONT_FOLLOW ? 0 : WALK_FOLLOW) |
			     (mask & IN_ONLYDIR ? WALK_DIRECTORY : 0),
		     &p);
	if (r < 0)
		return r;
	r = inode_permission(p.dentry->inode, t->cred, MAY_READ);
	if (r == 0)
		r = inotify_add(f, p.dentry->inode, mask);
	path_unref(&p);
	return r;
}

sysret_t sys_inotify_rm_watch(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));

	return f ? inotify_remove(f, arg_int(a, 1)) : -EBADF;
}
