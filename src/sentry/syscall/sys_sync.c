/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsync(2), fdatasync(2), sync(2), syncfs(2), sync_file_range(2).
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/syscall/sys_vfs.h"

static sysret_t sync_fd(struct task *t, int fd, bool data_only)
{
	AUTO_FILE struct file *f = fd_get(t->files, fd);

	if (!f)
		return -EBADF;
	if (f->ops->fsync)
		return f->ops->fsync(f, data_only);
	if (!f->inode ||
	    !(S_ISREG(f->inode->mode) || S_ISDIR(f->inode->mode) || S_ISBLK(f->inode->mode)))
		return -EINVAL;
	return 0;
}

sysret_t sys_fsync(struct task *t, const struct syscall_args *a)
{
	return sync_fd(t, arg_int(a, 0), false);
}

sysret_t sys_fdatasync(struct task *t, const struct syscall_args *a)
{
	return sync_fd(t, arg_int(a, 0), true);
}

static int sync_sb(struct superblock *sb)
{
	return sb->ops->sync ? sb->ops->sync(sb) : 0;
}

sysret_t sys_sync(struct task *t, const struct syscall_args *a)
{
	const unsigned int max = t->ns->mnt->count;
	AUTO_FREE struct superblock **all = calloc(max + 1, sizeof(struct superblock *));
	unsigned int n = 0;
	struct mount *m;

	if (!all)
		return 0;
	/* A filesystem may park, and mounts come and go meanwhile. */
	list_for_each(m, &t->ns->mnt->mounts,
		      ns_node) if (n < max && (n == 0 || all[n - 1] != m->sb)) all[n++] =
		superblock_ref(m->sb);
	for (unsigned int i = 0; i < n; i++) {
		(void)sync_sb(all[i]);
		superblock_unref(all[i]);
	}
	return 0;
}

sysret_t sys_syncfs(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));

	if (!f)
		return -EBADF;
	return f->path.dentry ? sync_sb(f->path.dentry->sb) : 0;
}

sysret_t sys_sync_file_range(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));
	const int64_t offset = arg_i64(a, 1), len = arg_i64(a, 2);
	int64_t end;

	if (!f)
		return -EBADF;
	if (arg_uint(a, 3) & ~(unsigned int)(SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					     SYNC_FILE_RANGE_WAIT_AFTER) ||
	    offset < 0 || len < 0 || __builtin_add_overflow(offset, len, &end))
		return -EINVAL;
	if (!f->inode || !(S_ISREG(f->inode->mode) || S_ISDIR(f->inode->mode) ||
			   S_ISBLK(f->inode->mode) || S_ISLNK(f->inode->mode)))
		return -ESPIPE;
	return f->ops->fsync ? f->ops->fsync(f, true) : 0;
}
