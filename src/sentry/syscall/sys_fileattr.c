/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing attributes: chmod(2), chown(2), utimensat(2) and the older forms of them.
 */
#include <errno.h>
#include <sys/time.h>
#include <utime.h>

#include "sentry/core/kclock.h"
#include "sentry/syscall/sys_vfs.h"

static sysret_t set_at(struct task *t, int dirfd, uaddr_t name, unsigned int walk,
		       const struct setattr *attr)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path p;
	int r = sys_walk(t, dirfd, name, walk, &p);

	if (r < 0)
		return r;
	if (attr->mask & SETATTR_MODE && S_ISLNK(p.dentry->inode->mode))
		r = -EOPNOTSUPP;
	else
		r = vfs_setattr(&ctx, &p, attr);
	path_unref(&p);
	return r;
}

/* By descriptor: not of an O_PATH one. */
static sysret_t set_fd(struct task *t, int fd, const struct setattr *attr)
{
	AUTO_FILE struct file *f = fd_get(t->files, fd);
	const struct vfs_ctx ctx = task_vfs_ctx(t);

	if (!f)
		return -EBADF;
	return f->path.dentry ? vfs_setattr(&ctx, &f->path, attr) : -EINVAL;
}

static struct setattr mode_of(unsigned int mode)
{
	return (struct setattr){ .mask = SETATTR_MODE, .mode = mode & 07777 };
}

sysret_t sys_chmod(struct task *t, const struct syscall_args *a)
{
	const struct setattr attr = mode_of(arg_uint(a, 1));

	return set_at(t, AT_FDCWD, arg_uaddr(a, 0), WALK_FOLLOW, &attr);
}

sysret_t sys_fchmod(struct task *t, const struct syscall_args *a)
{
	const struct setattr attr = mode_of(arg_uint(a, 1));

	return set_fd(t, arg_int(a, 0), &attr);
}

sysret_t sys_fchmodat(struct task *t, const struct syscall_args *a)
{
	const struct setattr attr = mode_of(arg_uint(a, 2));

	return set_at(t, arg_int(a, 0), arg_uaddr(a, 1), WALK_FOLLOW, &attr);
}

sysret_t sys_fchmodat2(struct task *t, const struct syscall_args *a)
{
	const struct setattr attr = mode_of(arg_uint(a, 2));
	const int flags = arg_int(a, 3);

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return set_at(t, arg_int(a, 0), arg_uaddr(a, 1), sys_walk_flags(flags), &attr);
}

/* -EINVAL: an id that the caller's user namespace does not know. */
static int owner_of(const struct task *t, uint32_t uid, uint32_t gid, struct setattr *ret)
{
	const struct user_ns *ns = t->cred->user_ns;

	*ret = (struct setattr){ .mask = (uid == UINT32_MAX ? 0 : SETATTR_UID) |
					 (gid == UINT32_MAX ? 0 : SETATTR_GID),
				 .uid = user_ns_uid_in(ns, uid),
				 .gid = user_ns_gid_in(ns, gid) };
	if ((ret->mask & SETATTR_UID && ret->uid == ID_INVALID) ||
	    (ret->mask & SETATTR_GID && ret->gid == ID_INVALID))
		return -EINVAL;
	return 0;
}

sysret_t sys_chown(struct task *t, const struct syscall_args *a)
{
	struct setattr attr;
	const int r = owner_of(t, arg_uint(a, 1), arg_uint(a, 2), &attr);

	return r < 0 ? r : set_at(t, AT_FDCWD, arg_uaddr(a, 0), WALK_FOLLOW, &attr);
}

sysret_t sys_lchown(struct task *t, const struct syscall_args *a)
{
	struct setattr attr;
	const int r = owner_of(t, arg_uint(a, 1), arg_uint(a, 2), &attr);

	return r < 0 ? r : set_at(t, AT_FDCWD, arg_uaddr(a, 0), 0, &attr);
}

sysret_t sys_fchown(struct task *t, const struct syscall_args *a)
{
	struct setattr attr;
	const int r = owner_of(t, arg_uint(a, 1), arg_uint(a, 2), &attr);

	return r < 0 ? r : set_fd(t, arg_int(a, 0), &attr);
}

sysret_t sys_fchownat(struct task *t, const struct syscall_args *a)
{
	const int flags = arg_int(a, 4);
	struct setattr attr;
	int r;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	r = owner_of(t, arg_uint(a, 2), arg_uint(a, 3), &attr);
	if (r < 0)
		return r;
	return set_at(t, arg_int(a, 0), arg_uaddr(a, 1), sys_walk_flags(flags), &attr);
}

/* Two times: what utimensat(2) is asked for. */
struct times {
	bool given; /* else: now */
	struct timespec ts[2];
};

static bool nsec_ok(const struct timespec *ts)
{
	return ts->tv_nsec == UTIME_NOW || ts->tv_nsec == UTIME_OMIT ||
	       (ts->tv_nsec >= 0 && ts->tv_nsec < (long)NSEC_PER_SEC);
}

/* *ret_touch: both are now, which write permission is enough for. */
static int times_to_attr(const struct times *times, struct setattr *ret, bool *ret_touch)
{
	const nsec_t now = kclock_realtime();
	struct timespec ts[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };

	*ret = (struct setattr){ 0 };
	if (times->given) {
		ts[0] = times->ts[0];
		ts[1] = times->ts[1];
	}
	if (!nsec_ok(&ts[0]) || !nsec_ok(&ts[1]))
		return -EINVAL;
	*ret_touch = ts[0].tv_nsec == UTIME_NOW && ts[1].tv_nsec == UTIME_NOW;
	if (ts[0].tv_nsec != UTIME_OMIT) {
		ret->mask |= SETATTR_ATIME;
		ret->atime = ts[0].tv_nsec == UTIME_NOW ? now : inode_time(&ts[0]);
	}
	if (ts[1].tv_nsec != UTIME_OMIT) {
		ret->mask |= SETATTR_MTIME;
		ret->mtime = ts[1].tv_nsec == UTIME_NOW ? now : inode_time(&ts[1]);
	}
	return 0;
}

static int set_times(struct task *t, const struct path *p, const struct setattr *attr, bool touch)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct inode *inode = p->dentry->inode;
	int r;

	if (!inode_owner_or_capable(inode, t->cred)) {
		if (!touch)
			return -EPERM;
		r = vfs_access(&ctx, p, MAY_WRITE);
		if (r < 0)
			return r;
	}
	return vfs_setattr(&ctx, p, attr);
}

/* name 0: the descriptor itself. */
static sysret_t utime_at(struct task *t, int dirfd, uaddr_t name, unsigned int walk,
			 const struct times *times)
{
	struct setattr attr;
	struct path p;
	bool touch;
	int r = times_to_attr(times, &attr, &touch);

	if (r < 0)
		return r;
	if (attr.mask == 0)
		return 0;
	if (!name && dirfd != AT_FDCWD) {
		AUTO_FILE struct file *f = fd_get(t->files, dirfd);

		if (walk != WALK_FOLLOW)
			return -EINVAL;
		if (!f)
			return -EBADF;
		return f->path.dentry ? set_times(t, &f->path, &attr, touch) : -EINVAL;
	}
	r = sys_walk(t, dirfd, name, walk, &p);
	if (r < 0)
		return r;
	r = set_times(t, &p, &attr, touch);
	path_unref(&p);
	return r;
}

sysret_t sys_utimensat(struct task *t, const struct syscall_args *a)
{
	struct times times = { .given = arg_uaddr(a, 2) != 0 };
	const int flags = arg_int(a, 3);

	if (times.given &&
	    user_copy_in(task_um(t), times.ts, arg_uaddr(a, 2), sizeof(times.ts)) < 0)
		return -EFAULT;
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return utime_at(t, arg_int(a, 0), arg_uaddr(a, 1), sys_walk_flags(flags), &times);
}

static int get_timevals(struct task *t, uaddr_t addr, struct times *ret)
{
	struct timeval tv[2];

	*ret = (struct times){ .given = addr != 0 };
	if (!addr)
		return 0;
	if (user_copy_in(task_um(t), tv, addr, sizeof(tv)) < 0)
		return -EFAULT;
	for (int i = 0; i < 2; i++) {
		if (tv[i].tv_usec < 0 || tv[i].tv_usec >= 1000000)
			return -EINVAL;
		ret->ts[i] = (struct timespec){ .tv_sec = tv[i].tv_sec,
						.tv_nsec = tv[i].tv_usec * 1000 };
	}
	return 0;
}

sysret_t sys_utimes(struct task *t, const struct syscall_args *a)
{
	struct times times;
	const int r = get_timevals(t, arg_uaddr(a, 1), &times);

	return r < 0 ? r : utime_at(t, AT_FDCWD, arg_uaddr(a, 0), WALK_FOLLOW, &times);
}

sysret_t sys_futimesat(struct task *t, const struct syscall_args *a)
{
	struct times times;
	const int r = get_timevals(t, arg_uaddr(a, 2), &times);

	return r < 0 ? r : utime_at(t, arg_int(a, 0), arg_uaddr(a, 1), WALK_FOLLOW, &times);
}

sysret_t sys_utime(struct task *t, const struct syscall_args *a)
{
	struct times times = { .given = arg_uaddr(a, 1) != 0 };
	struct utimbuf buf;

	if (times.given) {
		if (user_copy_in(task_um(t), &buf, arg_uaddr(a, 1), sizeof(buf)) < 0)
			return -EFAULT;
		times.ts[0].tv_sec = buf.actime;
		times.ts[1].tv_sec = buf.modtime;
	}
	return utime_at(t, AT_FDCWD, arg_uaddr(a, 0), WALK_FOLLOW, &times);
}
