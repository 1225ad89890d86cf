/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/pid_fd.c - /proc/PID/fd and /proc/PID/fdinfo. The inode's arg is the descriptor's
 * number above the bit that says thread.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/proc/internal.h"

#define FDINFO_MAX 8192u /* bytes of text that an implementation may add */

static int fd_of(const struct kern_inode *ki)
{
	return (int)(ki->arg >> 1);
}

/* The file behind a descriptor of the inode's task: a reference, or NULL. */
static struct file *file_at(const struct kern_inode *ki, int fd)
{
	AUTO_TASK struct task *t = proc_task(ki);

	return t && t->files ? fd_get_any(t->files, fd) : NULL;
}

static int fd_readlink(struct kern_inode *ki, char **ret)
{
	const struct task *viewer = task_current();
	AUTO_FILE struct file *f = NULL;
	const int r = proc_check_access(ki, false);

	if (r < 0)
		return r;
	f = file_at(ki, fd_of(ki));
	if (!f)
		return -ENOENT;
	if (f->path.dentry)
		return path_to_text(&f->path, viewer && viewer->fs ? &viewer->fs->root : NULL, ret);
	return asprintf(ret, "anon_inode:[%llu]",
			f->inode ? (unsigned long long)f->inode->ino : 0) < 0
		       ? -ENOMEM
		       : 0;
}

static int fd_follow(struct kern_inode *ki, struct path *ret)
{
	AUTO_FILE struct file *f = NULL;
	const int r = proc_check_access(ki, false);

	if (r < 0)
		return r;
	f = file_at(ki, fd_of(ki));
	if (!f)
		return -ENOENT;
	if (!f->path.dentry)
		return -ENXIO;
	*ret = path_ref(&f->path);
	return 0;
}

/* Permission bits of the link show how the file is open. */
static int fd_getattr(struct kern_inode *ki)
{
	AUTO_FILE struct file *f = file_at(ki, fd_of(ki));

	if (!f)
		return 0;
	ki->inode.mode =
		S_IFLNK | (f->mode & FMODE_READ ? 0500 : 0) | (f->mode & FMODE_WRITE ? 0300 : 0);
	ki->inode.size = 64;
	return 0;
}

static int fdinfo_show(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);
	AUTO_FILE struct file *f = NULL;
	AUTO_FREE char *more = NULL;
	uint32_t flags;

	if (!t)
		return -ESRCH;
	f = file_at(ki, fd_of(ki));
	if (!f)
		return -ENOENT;
	flags = f->flags;
	if (fd_get_cloexec(t->files, fd_of(ki)) == 1)
		flags |= O_CLOEXEC;
	(void)buf_printf(b, "pos:\t%llu\nflags:\t0%o\nmnt_id:\t%d\nino:\t%llu\n",
			 (unsigned long long)f->pos, flags, f->path.mnt ? f->path.mnt->id : 0,
			 f->inode ? (unsigned long long)f->inode->ino : 0);
	if (!f->ops->show_fdinfo)
		return 0;
	more = calloc(1, FDINFO_MAX);
	if (!more)
		return -ENOMEM;
	if (f->ops->show_fdinfo(f, more, FDINFO_MAX) >= 0) {
		more[FDINFO_MAX - 1] = '\0';
		(void)buf_puts(b, more);
	}
	return 0;
}

static const struct kern_node fd_node = {
	.name = "fd",
	.mode = S_IFLNK | 0700,
	.readlink = fd_readlink,
	.follow = fd_follow,
	.getattr = fd_getattr,
};

static const struct kern_node fdinfo_node = KERN_SHOW("fdinfo", 0444, fdinfo_show);

static int lookup(struct kern_inode *dir, const struct vfs_name *name, const struct kern_node *node,
		  struct inode **ret)
{
	AUTO_FILE struct file *f = NULL;
	uint64_t fd;
	const int r = proc_check_access(dir, false);

	if (r < 0)
		return r;
	if (vfs_name_number(name, FD_TABLE_MAX, &fd) < 0)
		return -ENOENT;
	f = file_at(dir, (int)fd);
	if (!f)
		return -ENOENT;
	return kern_inode_new(dir, name, node, dir->obj, fd << 1 | (dir->arg & PROC_ARG_THREAD),
			      ret);
}

int proc_fd_lookup(struct kern_inode *dir, const struct vfs_name *name, struct inode **ret)
{
	return lookup(dir, name, &fd_node, ret);
}

int proc_fdinfo_lookup(struct kern_inode *dir, const struct vfs_name *name, struct inode **ret)
{
	return lookup(dir, name, &fdinfo_node, ret);
}

static int next(struct kern_inode *dir, uint64_t *key, struct kern_entry *ret, unsigned int type)
{
	AUTO_TASK struct task *t = proc_task(dir);
	int fd;

	if (!t || !t->files || *key > FD_TABLE_MAX)
		return 0;
	fd = fd_table_next(t->files, (int)*key);
	if (fd < 0)
		return 0;
	(void)snprintf(ret->name, sizeof(ret->name), "%d", fd);
	ret->type = type;
	*key = (uint64_t)fd;
	return 1;
}

int proc_fd_next(struct kern_inode *dir, uint64_t *key, struct kern_entry *ret)
{
	return next(dir, key, ret, DT_LNK);
}

int proc_fdinfo_next(struct kern_inode *dir, uint64_t *key, struct kern_entry *ret)
{
	return next(dir, key, ret, DT_REG);
}

/* A process always reaches its own descriptors, whatever its ids became. */
int proc_fd_permission(struct kern_inode *ki, const struct cred *cred, unsigned int mask)
{
	AUTO_TASK struct task *t = proc_task(ki);
	const struct task *viewer = task_current();

	if (t && viewer && viewer->tg == t->tg)
		return 0;
	return inode_permission_generic(&ki->inode, cred, mask);
}
