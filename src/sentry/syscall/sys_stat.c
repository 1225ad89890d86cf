/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stat(2) and its kin, statx(2), statfs(2), access(2), readlink(2).
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/stat.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sentry/core/kclock.h"
#include "sentry/syscall/sys_vfs.h"

#define AT_STATX_SYNC_BITS 0x6000
#define ACCESS_KNOWN	   (AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
#define STAT_KNOWN	   (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)

static sysret_t put_stat(struct task *t, const struct path *p, uaddr_t to)
{
	struct stat st;
	const int r = vfs_stat(p, &st);

	if (r < 0)
		return r;
	st.st_uid = task_uid_out(t, st.st_uid);
	st.st_gid = task_gid_out(t, st.st_gid);
	return user_copy_out(task_um(t), to, &st, sizeof(st));
}

static sysret_t stat_at(struct task *t, int dirfd, uaddr_t name, unsigned int walk, uaddr_t to)
{
	struct path p;
	sysret_t r = sys_walk(t, dirfd, name, walk, &p);

	if (r < 0)
		return r;
	r = put_stat(t, &p, to);
	path_unref(&p);
	return r;
}

sysret_t sys_stat(struct task *t, const struct syscall_args *a)
{
	return stat_at(t, AT_FDCWD, arg_uaddr(a, 0), WALK_FOLLOW, arg_uaddr(a, 1));
}

sysret_t sys_lstat(struct task *t, const struct syscall_args *a)
{
	return stat_at(t, AT_FDCWD, arg_uaddr(a, 0), 0, arg_uaddr(a, 1));
}

sysret_t sys_newfstatat(struct task *t, const struct syscall_args *a)
{
	const int flags = arg_int(a, 3);

	if (flags & ~STAT_KNOWN)
		return -EINVAL;
	return stat_at(t, arg_int(a, 0), arg_uaddr(a, 1), sys_walk_flags(flags), arg_uaddr(a, 2));
}

/* A path that stands for the file, also when it has an inode only; empty: neither. */
static struct path file_path(const struct file *f, struct dentry *fake)
{
	if (f->path.dentry)
		return f->path;
	*fake = (struct dentry){ .inode = f->inode };
	return (struct path){ .dentry = fake };
}

sysret_t sys_fstat(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get_any(t->files, arg_int(a, 0));
	struct dentry fake;
	struct path p;

	if (!f)
		return -EBADF;
	p = file_path(f, &fake);
	return p.dentry->inode ? put_stat(t, &p, arg_uaddr(a, 1)) : -EBADF;
}

static struct statx_timestamp statx_time(nsec_t ns)
{
	const struct timespec ts = inode_timespec(ns);

	return (struct statx_timestamp){ .tv_sec = ts.tv_sec, .tv_nsec = (uint32_t)ts.tv_nsec };
}

static int fill_statx(const struct path *p, unsigned int mask, struct statx *ret)
{
	const struct inode *inode = p->dentry->inode;
	struct stat st;
	const int r = vfs_stat(p, &st);

	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	ret->stx_mask = STATX_BASIC_STATS | STATX_BTIME;
	ret->stx_blksize = (uint32_t)st.st_blksize;
	ret->stx_nlink = (uint32_t)st.st_nlink;
	ret->stx_uid = task_uid_out(task_current(), st.st_uid);
	ret->stx_gid = task_gid_out(task_current(), st.st_gid);
	ret->stx_mode = (uint16_t)st.st_mode;
	ret->stx_ino = st.st_ino;
	ret->stx_size = (uint64_t)st.st_size;
	ret->stx_blocks = (uint64_t)st.st_blocks;
	ret->stx_atime = statx_time(inode->atime);
	ret->stx_btime = statx_time(inode->btime);
	ret->stx_ctime = statx_time(inode->ctime);
	ret->stx_mtime = statx_time(inode->mtime);
	ret->stx_rdev_major = major(st.st_rdev);
	ret->stx_rdev_minor = minor(st.st_rdev);
	ret->stx_dev_major = major(st.st_dev);
	ret->stx_dev_minor = minor(st.st_dev);
	if (mask & STATX_MNT_ID && p->mnt) {
		ret->stx_mask |= STATX_MNT_ID;
		ret->stx_mnt_id = (uint64_t)p->mnt->id;
	}
	ret->stx_attributes_mask = STATX_ATTR_MOUNT_ROOT;
	if (p->mnt && p->dentry == p->mnt->root)
		ret->stx_attributes |= STATX_ATTR_MOUNT_ROOT;
	return 0;
}

sysret_t sys_statx(struct task *t, const struct syscall_args *a)
{
	const int flags = arg_int(a, 2);
	const unsigned int mask = arg_uint(a, 3);
	struct statx st;
	struct path p;
	int r;

	if (mask & 0x80000000u || (flags & AT_STATX_SYNC_BITS) == AT_STATX_SYNC_BITS ||
	    flags & ~(STAT_KNOWN | AT_STATX_SYNC_BITS))
		return -EINVAL;
	r = sys_walk(t, arg_int(a, 0), arg_uaddr(a, 1), sys_walk_flags(flags), &p);
	if (r < 0)
		return r;
	r = fill_statx(&p, mask, &st);
	path_unref(&p);
	return r < 0 ? r : user_copy_out(task_um(t), arg_uaddr(a, 4), &st, sizeof(st));
}

static sysret_t put_statfs(struct task *t, const struct path *p, uaddr_t to)
{
	struct statfs st;
	const int r = vfs_statfs(p, &st);

	return r < 0 ? r : user_copy_out(task_um(t), to, &st, sizeof(st));
}

sysret_t sys_statfs(struct task *t, const struct syscall_args *a)
{
	struct path p;
	sysret_t r = sys_walk(t, AT_FDCWD, arg_uaddr(a, 0), WALK_FOLLOW, &p);

	if (r < 0)
		return r;
	r = put_statfs(t, &p, arg_uaddr(a, 1));
	path_unref(&p);
	return r;
}

sysret_t sys_fstatfs(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get_any(t->files, arg_int(a, 0));

	if (!f)
		return -EBADF;
	return f->path.dentry ? put_statfs(t, &f->path, arg_uaddr(a, 1)) : -ENOSYS;
}

struct ustat {
	int32_t tfree;
	uint64_t tinode;
	char fname[6], fpack[6];
};

sysret_t sys_ustat(struct task *t, const struct syscall_args *a)
{
	const uint32_t dev = arg_uint(a, 0);
	struct ustat u = { 0 };
	struct mount *m;

	list_for_each(m, &t->ns->mnt->mounts, ns_node)
	{
		const struct path p = { .mnt = m, .dentry = m->root };
		struct statfs st;

		if (m->sb->dev != dev)
			continue;
		if (vfs_statfs(&p, &st) < 0)
			return -ENOSYS;
		u.tfree = (int32_t)st.f_bfree;
		u.tinode = st.f_ffree;
		return user_copy_out(task_um(t), arg_uaddr(a, 1), &u, sizeof(u));
	}
	return -EINVAL;
}

/* access(2) asks with the real ids, and with the capabilities that those would have. */
static struct cred *real_cred(const struct cred *cred)
{
	struct cred *real = cred_copy(cred);

	if (!real)
		return NULL;
	real->fsuid = cred->uid;
	real->fsgid = cred->gid;
	if (!(cred->securebits & 4u /* SECBIT_NO_SETUID_FIXUP */))
		real->cap_effective =
			cred->uid == user_ns_uid_in(cred->user_ns, 0) ? cred->cap_permitted : 0;
	return real;
}

static sysret_t access_at(struct task *t, int dirfd, uaddr_t name, unsigned int mode, int flags)
{
	const struct cred *effective = t->cred;
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct cred *real = NULL;
	struct path_text text;
	struct path at, p;
	int r;

	if (mode & ~7u || flags & ~ACCESS_KNOWN)
		return -EINVAL;
	if (!(flags & AT_EACCESS) &&
	    (effective->uid != effective->fsuid || effective->gid != effective->fsgid ||
	     effective->uid != 0 || effective->cap_effective != effective->cap_permitted)) {
		real = real_cred(effective);
		if (!real)
			return -ENOMEM;
		ctx.cred = real;
	}
	r = sys_get_path(t, name, &text);
	if (r == 0 && !text.text[0] && !(flags & AT_EMPTY_PATH))
		r = -ENOENT;
	if (r == 0)
		r = sys_get_at(t, dirfd, text.text, &at);
	if (r == 0) {
		r = path_walk(&ctx, &at, text.text, sys_walk_flags(flags), &p);
		path_unref(&at);
	}
	if (r == 0) {
		r = vfs_access(&ctx, &p, mode);
		path_unref(&p);
	}
	cred_unref(real);
	return r;
}

sysret_t sys_access(struct task *t, const struct syscall_args *a)
{
	return access_at(t, AT_FDCWD, arg_uaddr(a, 0), arg_uint(a, 1), 0);
}

sysret_t sys_faccessat(struct task *t, const struct syscall_args *a)
{
	return access_at(t, arg_int(a, 0), arg_uaddr(a, 1), arg_uint(a, 2), 0);
}

sysret_t sys_faccessat2(struct task *t, const struct syscall_args *a)
{
	return access_at(t, arg_int(a, 0), arg_uaddr(a, 1), arg_uint(a, 2), arg_int(a, 3));
}

static sysret_t readlink_at(struct task *t, int dirfd, uaddr_t name, uaddr_t to, int size)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	AUTO_FREE char *target = NULL;
	struct path p;
	size_t len;
	int r;

	if (size <= 0)
		return -EINVAL;
	/* "" names an O_PATH descriptor of a link. */
	r = sys_walk(t, dirfd, name, dirfd == AT_FDCWD ? 0 : WALK_EMPTY, &p);
	if (r < 0)
		return r;
	r = vfs_readlink(&ctx, &p, &target);
	path_unref(&p);
	if (r < 0)
		return r;
	len = strlen(target);
	if (len > (size_t)size)
		len = (size_t)size;
	r = user_copy_out(task_um(t), to, target, len);
	return r < 0 ? r : (sysret_t)len;
}

/* Inodes have no handles; what Linux judges before it looks for one is judged. */
sysret_t sys_name_to_handle_at(struct task *t, const struct syscall_args *a)
{
	const int flags = arg_int(a, 4);
	struct file_handle head;
	struct path p;
	int r;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	r = sys_walk(t, arg_int(a, 0), arg_uaddr(a, 1),
		     (flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) |
			     (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0),
		     &p);
	if (r < 0)
		return r;
	path_unref(&p);
	if (user_copy_in(task_um(t), &head, arg_uaddr(a, 2), sizeof(head)) < 0)
		return -EFAULT;
	return head.handle_bytes > MAX_HANDLE_SZ ? -EINVAL : -EOPNOTSUPP;
}

sysret_t sys_readlink(struct task *t, const struct syscall_args *a)
{
	return readlink_at(t, AT_FDCWD, arg_uaddr(a, 0), arg_uaddr(a, 1), arg_int(a, 2));
}

sysret_t sys_readlinkat(struct task *t, const struct syscall_args *a)
{
	return readlink_at(t, arg_int(a, 0), arg_uaddr(a, 1), arg_uaddr(a, 2), arg_int(a, 3));
}
