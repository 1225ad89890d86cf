/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that make, remove and move names, and the working and root directories: mkdir(2), mknod(2),
 * link(2), symlink(2), unlink(2), rename(2), chdir(2), chroot(2), getcwd(2), getdents(2).
 */
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/syscall/sys_vfs.h"

/* A path argument with its start. */
struct place {
	struct path_text p;
	struct path at;
};

static int get_place(struct task *t, int dirfd, uaddr_t name, struct place *ret)
{
	int r = sys_get_path(t, name, &ret->p);

	if (r == 0 && !ret->p.text[0])
		r = -ENOENT;
	return r < 0 ? r : sys_get_at(t, dirfd, ret->p.text, &ret->at);
}

static sysret_t mkdir_at(struct task *t, int dirfd, uaddr_t name, uint32_t mode)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct place w;
	int r = get_place(t, dirfd, name, &w);

	if (r < 0)
		return r;
	r = vfs_mkdir(&ctx, &w.at, w.p.text, mode);
	path_unref(&w.at);
	return r;
}

sysret_t sys_mkdir(struct task *t, const struct syscall_args *a)
{
	return mkdir_at(t, AT_FDCWD, arg_uaddr(a, 0), arg_uint(a, 1));
}

sysret_t sys_mkdirat(struct task *t, const struct syscall_args *a)
{
	return mkdir_at(t, arg_int(a, 0), arg_uaddr(a, 1), arg_uint(a, 2));
}

static sysret_t mknod_at(struct task *t, int dirfd, uaddr_t name, uint32_t mode, uint64_t dev)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct place w;
	int r = get_place(t, dirfd, name, &w);

	if (r < 0)
		return r;
	r = vfs_mknod(&ctx, &w.at, w.p.text, mode, dev);
	path_unref(&w.at);
	return r;
}

sysret_t sys_mknod(struct task *t, const struct syscall_args *a)
{
	return mknod_at(t, AT_FDCWD, arg_uaddr(a, 0), arg_uint(a, 1), arg_uint(a, 2));
}

sysret_t sys_mknodat(struct task *t, const struct syscall_args *a)
{
	return mknod_at(t, arg_int(a, 0), arg_uaddr(a, 1), arg_uint(a, 2), arg_uint(a, 3));
}

static sysret_t unlink_at(struct task *t, int dirfd, uaddr_t name, bool directory)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct place w;
	int r = get_place(t, dirfd, name, &w);

	if (r < 0)
		return r;
	r = vfs_unlink(&ctx, &w.at, w.p.text, directory);
	path_unref(&w.at);
	return r;
}

sysret_t sys_unlink(struct task *t, const struct syscall_args *a)
{
	return unlink_at(t, AT_FDCWD, arg_uaddr(a, 0), false);
}

sysret_t sys_rmdir(struct task *t, const struct syscall_args *a)
{
	return unlink_at(t, AT_FDCWD, arg_uaddr(a, 0), true);
}

sysret_t sys_unlinkat(struct task *t, const struct syscall_args *a)
{
	const int flags = arg_int(a, 2);

	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	return unlink_at(t, arg_int(a, 0), arg_uaddr(a, 1), flags & AT_REMOVEDIR);
}

static sysret_t symlink_at(struct task *t, uaddr_t target, int dirfd, uaddr_t name)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path_text to;
	struct place w;
	int r = sys_get_path(t, target, &to);

	if (r == 0 && !to.text[0])
		r = -ENOENT;
	if (r == 0)
		r = get_place(t, dirfd, name, &w);
	if (r < 0)
		return r;
	r = vfs_symlink(&ctx, &w.at, w.p.text, to.text);
	path_unref(&w.at);
	return r;
}

sysret_t sys_symlink(struct task *t, const struct syscall_args *a)
{
	return symlink_at(t, arg_uaddr(a, 0), AT_FDCWD, arg_uaddr(a, 1));
}

sysret_t sys_symlinkat(struct task *t, const struct syscall_args *a)
{
	return symlink_at(t, arg_uaddr(a, 0), arg_int(a, 1), arg_uaddr(a, 2));
}

static sysret_t link_at(struct task *t, int old_fd, uaddr_t old_name, int new_fd, uaddr_t new_name,
			int flags)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	unsigned int walk = flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0;
	struct place w;
	struct path old;
	int r;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (flags & AT_EMPTY_PATH) {
		if (!task_capable(t, CAP_DAC_READ_SEARCH))
			return -ENOENT;
		walk |= WALK_EMPTY;
	}
	r = sys_walk(t, old_fd, old_name, walk, &old);
	if (r < 0)
		return r;
	r = get_place(t, new_fd, new_name, &w);
	if (r == 0) {
		r = vfs_link(&ctx, &old, &w.at, w.p.text);
		path_unref(&w.at);
	}
	path_unref(&old);
	return r;
}

sysret_t sys_link(struct task *t, const struct syscall_args *a)
{
	return link_at(t, AT_FDCWD, arg_uaddr(a, 0), AT_FDCWD, arg_uaddr(a, 1), 0);
}

sysret_t sys_linkat(struct task *t, const struct syscall_args *a)
{
	return link_at(t, arg_int(a, 0), arg_uaddr(a, 1), arg_int(a, 2), arg_uaddr(a, 3),
		       arg_int(a, 4));
}

static sysret_t rename_at(struct task *t, int old_fd, uaddr_t old_name, int new_fd,
			  uaddr_t new_name, uint32_t flags)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct place old, new;
	int r = get_place(t, old_fd, old_name, &old);

	if (r < 0)
		return r;
	r = get_place(t, new_fd, new_name, &new);
	if (r == 0) {
		r = vfs_rename(&ctx, &old.at, old.p.text, &new.at, new.p.text, flags);
		path_unref(&new.at);
	}
	path_unref(&old.at);
	return r;
}

sysret_t sys_rename(struct task *t, const struct syscall_args *a)
{
	return rename_at(t, AT_FDCWD, arg_uaddr(a, 0), AT_FDCWD, arg_uaddr(a, 1), 0);
}

sysret_t sys_renameat(struct task *t, const struct syscall_args *a)
{
	return rename_at(t, arg_int(a, 0), arg_uaddr(a, 1), arg_int(a, 2), arg_uaddr(a, 3), 0);
}

sysret_t sys_renameat2(struct task *t, const struct syscall_args *a)
{
	return rename_at(t, arg_int(a, 0), arg_uaddr(a, 1), arg_int(a, 2), arg_uaddr(a, 3),
			 arg_uint(a, 4));
}

static int may_enter(struct task *t, const struct path *p)
{
	if (!p->dentry->inode || !S_ISDIR(p->dentry->inode->mode))
		return -ENOTDIR;
	return inode_permission(p->dentry->inode, t->cred, MAY_EXEC);
}

/* Put *p (handed over) in the place of *slot. */
static void replace_path(struct path *slot, const struct path *p)
{
	struct path old = *slot;

	*slot = *p;
	path_unref(&old);
}

static sysret_t enter(struct task *t, uaddr_t name, bool as_root)
{
	struct path p;
	int r = sys_walk(t, AT_FDCWD, name, WALK_FOLLOW | WALK_DIRECTORY, &p);

	if (r < 0)
		return r;
	r = may_enter(t, &p);
	if (r == 0 && as_root && !task_own_capable(t, CAP_SYS_CHROOT))
		r = -EPERM;
	if (r == 0)
		replace_path(as_root ? &t->fs->root : &t->fs->cwd, &p);
	else
		path_unref(&p);
	return r;
}

sysret_t sys_chdir(struct task *t, const struct syscall_args *a)
{
	return enter(t, arg_uaddr(a, 0), false);
}

sysret_t sys_chroot(struct task *t, const struct syscall_args *a)
{
	return enter(t, arg_uaddr(a, 0), true);
}

sysret_t sys_fchdir(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get_any(t->files, arg_int(a, 0));
	struct path p;
	int r;

	if (!f)
		return -EBADF;
	if (!f->path.dentry)
		return -ENOTDIR;
	r = may_enter(t, &f->path);
	if (r < 0)
		return r;
	p = path_ref(&f->path);
	replace_path(&t->fs->cwd, &p);
	return 0;
}

sysret_t sys_getcwd(struct task *t, const struct syscall_args *a)
{
	const struct path *cwd = &t->fs->cwd;
	AUTO_FREE char *text = NULL;
	size_t len;
	int r;

	if (cwd->dentry->unhashed && cwd->dentry->parent != cwd->dentry)
		return -ENOENT;
	r = path_to_text(cwd, &t->fs->root, &text);
	if (r < 0)
		return r;
	len = strlen(text) + 1;
	if (len > arg_u64(a, 1))
		return -ERANGE;
	r = user_copy_out(task_um(t), arg_uaddr(a, 0), text, len);
	return r < 0 ? r : (sysret_t)len;
}

/* Entries of getdents(2) and getdents64(2) on their way to the guest. */
struct dents {
	struct dir_sink sink;
	char *buf;
	size_t size, used;
	bool old; /* struct linux_dirent: the type is the last byte of a record */
	bool too_small;
};

#define DENTS_BUF_MAX 32768u
#define DENT_HEAD     18u /* d_ino, d_off, d_reclen */

static bool emit_dent(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		      unsigned int type, uint64_t next_pos)
{
	struct dents *d = (struct dents *)sink;
	/* Both forms have one byte of type and the NUL. */
	const size_t name_at = d->old ? DENT_HEAD : DENT_HEAD + 1;
	const size_t reclen = (DENT_HEAD + 1 + len + 1 + 7) / 8 * 8;
	const uint16_t reclen16 = (uint16_t)reclen;
	char *rec = d->buf + d->used;

	if (reclen > d->size - d->used) {
		d->too_small = d->used == 0;
		return false;
	}
	memset(rec, 0, reclen);
	memcpy(rec, &ino, sizeof(ino));
	memcpy(rec + 8, &next_pos, sizeof(next_pos));
	memcpy(rec + 16, &reclen16, sizeof(reclen16));
	memcpy(rec + name_at, name, len);
	rec[d->old ? reclen - 1 : DENT_HEAD] = (char)type;
	d->used += reclen;
	return true;
}

static sysret_t get_dents(struct task *t, const struct syscall_args *a, bool old)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));
	struct dents d = { .sink = { emit_dent }, .old = old, .size = arg_uint(a, 2) };
	AUTO_FREE char *buf = NULL;
	uint64_t pos;
	int r;

	if (!f)
		return -EBADF;
	if (d.size > DENTS_BUF_MAX)
		d.size = DENTS_BUF_MAX;
	buf = malloc(d.size + 1);
	if (!buf)
		return -ENOMEM;
	d.buf = buf;
	pos = f->pos;
	r = file_iterate(f, &d.sink);
	if (r < 0)
		return r;
	if (d.too_small)
		return -EINVAL;
	if (user_copy_out(task_um(t), arg_uaddr(a, 1), d.buf, d.used) < 0) {
		f->pos = pos;
		return -EFAULT;
	}
	return (sysret_t)d.used;
}

sysret_t sys_getdents(struct task *t, const struct syscall_args *a)
{
	return get_dents(t, a, true);
}

sysret_t sys_getdents64(struct task *t, const struct syscall_args *a)
{
	return get_dents(t, a, false);
}
