/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setxattr(2), getxattr(2), listxattr(2), removexattr(2) by path, link and descriptor.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "sentry/syscall/sys_vfs.h"

struct xattr_name {
	char text[VFS_XATTR_NAME_MAX + 1];
};

static int get_name(struct task *t, uaddr_t addr, struct xattr_name *ret)
{
	const ssize_t r = user_copy_string(task_um(t), ret->text, addr, sizeof(ret->text));

	if (r == 0 || r == -ENAMETOOLONG)
		return -ERANGE;
	return r < 0 ? (int)r : 0;
}

/* The object: argument 0 is a path (follow or not) or a descriptor. */
enum by {
	BY_PATH,
	BY_LINK,
	BY_FD,
};

static int get_object(struct task *t, const struct syscall_args *a, enum by by, struct path *ret)
{
	AUTO_FILE struct file *f = NULL;

	if (by != BY_FD)
		return sys_walk(t, AT_FDCWD, arg_uaddr(a, 0), by == BY_PATH ? WALK_FOLLOW : 0, ret);
	f = fd_get(t->files, arg_int(a, 0));
	if (!f)
		return -EBADF;
	if (!f->path.dentry)
		return -EOPNOTSUPP;
	*ret = path_ref(&f->path);
	return 0;
}

static sysret_t set_one(struct task *t, const struct syscall_args *a, enum by by)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	const uint64_t size = arg_u64(a, 3);
	const int flags = arg_int(a, 4);
	AUTO_FREE char *value = NULL;
	struct xattr_name name;
	struct path p;
	int r;

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	r = get_name(t, arg_uaddr(a, 1), &name);
	if (r < 0)
		return r;
	if (size > VFS_XATTR_VALUE_MAX)
		return -E2BIG;
	value = malloc(size + 1);
	if (!value)
		return -ENOMEM;
	if (user_copy_in(task_um(t), value, arg_uaddr(a, 2), size) < 0)
		return -EFAULT;
	r = get_object(t, a, by, &p);
	if (r < 0)
		return r;
	r = vfs_setxattr(&ctx, &p, name.text, value, size, flags);
	path_unref(&p);
	return r;
}

static sysret_t get_one(struct task *t, const struct syscall_args *a, enum by by)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	uint64_t size = arg_u64(a, 3);
	AUTO_FREE char *value = NULL;
	struct xattr_name name;
	struct path p;
	ssize_t r = get_name(t, arg_uaddr(a, 1), &name);

	if (r < 0)
		return r;
	if (size > VFS_XATTR_VALUE_MAX)
		size = VFS_XATTR_VALUE_MAX;
	value = malloc(size + 1);
	if (!value)
		return -ENOMEM;
	r = get_object(t, a, by, &p);
	if (r < 0)
		return r;
	r = vfs_getxattr(&ctx, &p, name.text, value, size);
	path_unref(&p);
	if (r > 0 && size > 0 && user_copy_out(task_um(t), arg_uaddr(a, 2), value, (size_t)r) < 0)
		return -EFAULT;
	return r;
}

static sysret_t list_all(struct task *t, const struct syscall_args *a, enum by by)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	uint64_t size = arg_u64(a, 2);
	AUTO_FREE char *list = NULL;
	struct path p;
	ssize_t r;

	if (size > VFS_XATTR_VALUE_MAX)
		size = VFS_XATTR_VALUE_MAX;
	list = malloc(size + 1);
	if (!list)
		return -ENOMEM;
	r = get_object(t, a, by, &p);
	if (r < 0)
		return r;
	r = vfs_listxattr(&ctx, &p, list, size);
	path_unref(&p);
	if (r > 0 && size > 0 && user_copy_out(task_um(t), arg_uaddr(a, 1), list, (size_t)r) < 0)
		return -EFAULT;
	return r;
}

static sysret_t remove_one(struct task *t, const struct syscall_args *a, enum by by)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct xattr_name name;
	struct path p;
	int r = get_name(t, arg_uaddr(a, 1), &name);

	if (r == 0)
		r = get_object(t, a, by, &p);
	if (r < 0)
		return r;
	r = vfs_removexattr(&ctx, &p, name.text);
	path_unref(&p);
	return r;
}

#define XATTR_CALL(name, fn, by)                                          \
	sysret_t sys_##name(struct task *t, const struct syscall_args *a) \
	{                                                                 \
		return fn(t, a, by);                                      \
	}

XATTR_CALL(setxattr, set_one, BY_PATH)
XATTR_CALL(lsetxattr, set_one, BY_LINK)
XATTR_CALL(fsetxattr, set_one, BY_FD)
XATTR_CALL(getxattr, get_one, BY_PATH)
XATTR_CALL(lgetxattr, get_one, BY_LINK)
XATTR_CALL(fgetxattr, get_one, BY_FD)
XATTR_CALL(listxattr, list_all, BY_PATH)
XATTR_CALL(llistxattr, list_all, BY_LINK)
XATTR_CALL(flistxattr, list_all, BY_FD)
XATTR_CALL(removexattr, remove_one, BY_PATH)
XATTR_CALL(lremovexattr, remove_one, BY_LINK)
XATTR_CALL(fremovexattr, remove_one, BY_FD)
