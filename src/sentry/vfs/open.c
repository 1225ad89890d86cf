/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/open.c - open(2): the order of its checks is that of Linux path_openat() and
 * do_open().
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/vfs/internal.h"
#include "sentry/core/klog.h"
#include "sentry/vfs/lease.h"
#include "sentry/vfs/notify.h"
#include "sentry/vfs/simple.h"
#include "sentry/vfs/special.h"
#include "sentry/vfs/walk.h"

#define OPEN_FLAGS_KEPT_NOT (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)
#define TMPFILE_BIT	    (O_TMPFILE & ~O_DIRECTORY)

static const struct file_ops path_file_ops = {
	.release = simple_release,
};

static int open_path_only(const struct vfs_ctx *ctx, const struct path *p, uint32_t flags,
			  struct file **ret)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	file_init(f, &path_file_ops, p, ctx->cred, flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW));
	f->mode = FMODE_PATH;
	*ret = f;
	return 0;
}

static unsigned int open_mask(uint32_t flags)
{
	static const unsigned int access[4] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE,
						MAY_READ | MAY_WRITE };
	unsigned int mask = access[flags & O_ACCMODE];

	if (flags & O_TRUNC)
		mask |= MAY_WRITE;
	if (flags & VFS_OPEN_EXEC)
		mask = MAY_EXEC;
	return mask;
}

/* may_open() of Linux. */
static int may_open(const struct vfs_ctx *ctx, const struct path *p, uint32_t flags)
{
	struct inode *inode = p->dentry->inode;
	const unsigned int mask = open_mask(flags); /* O_TRUNC counts for devices too */
	int r;

	switch (inode->mode & S_IFMT) {
	case S_IFLNK:
		return -ELOOP;
	case S_IFDIR:
		if (mask & MAY_WRITE)
			return -EISDIR;
		if (mask & MAY_EXEC)
			return -EACCES;
		break;
	case S_IFCHR:
	case S_IFBLK:
		if (p->mnt && (p->mnt->flags & MOUNT_NODEV || p->mnt->sb->nodev))
			return -EACCES;
		break;
	default:
		break;
	}
	if (flags & VFS_OPEN_EXEC &&
	    (!S_ISREG(inode->mode) || (p->mnt && p->mnt->flags & MOUNT_NOEXEC)))
		return -EACCES;
	r = path_permission(p, ctx->cred, mask);
	if (r < 0)
		return r;
	if (flags & O_NOATIME && !inode_owner_or_capable(inode, ctx->cred))
		return -EPERM;
	return 0;
}

static int open_object(struct inode *inode, uint32_t flags, struct file **ret)
{
	switch (inode->mode & S_IFMT) {
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		return special_open(inode, flags, ret);
	default:
		return inode->ops->open ? inode->ops->open(inode, flags, ret) : -ENXIO;
	}
}

static int claim_text(struct inode *inode, uint32_t flags, uint32_t *ret_mode)
{
	*ret_mode = 0;
	if (!S_ISREG(inode->mode))
		return 0;
	if (flags & VFS_OPEN_EXEC) {
		if (inode->writers)
			return -ETXTBSY;
		inode->denied_writes++;
		*ret_mode = FMODE_EXEC;
	} else if ((flags & O_ACCMODE) != O_RDONLY) {
		if (inode->denied_writes)
			return -ETXTBSY;
		inode->writers++;
		*ret_mode = FMODE_WRITER;
	}
	return 0;
}

static void disclaim_text(struct inode *inode, uint32_t mode)
{
	if (mode & FMODE_EXEC)
		inode->denied_writes--;
	if (mode & FMODE_WRITER)
		inode->writers--;
}

/* Permission is settled: make the description. */
static int open_now(const struct vfs_ctx *ctx, const struct path *p, uint32_t flags,
		    struct file **ret)
{
	/* An open may park: the path, and with it the inode, must not go away. */
	struct path held = path_ref(p);
	struct inode *inode = p->dentry->inode;
	struct file *f = NULL;
	uint32_t claim;
	int r = claim_text(inode, flags, &claim);

	if (r == 0) {
		r = open_object(inode, flags & ~(uint32_t)VFS_OPEN_EXEC, &f);
		if (r < 0)
			disclaim_text(inode, claim);
	}
	if (r < 0) {
		path_unref(&held);
		return r;
	}
	f->flags = flags & ~(uint32_t)(OPEN_FLAGS_KEPT_NOT | VFS_OPEN_EXEC);
	f->mode |= claim;
	if (S_ISREG(inode->mode)) {
		inode->opens++;
		f->mode |= FMODE_OPENED;
	}
	if (!f->inode)
		f->inode = inode_ref(inode);
	if (!f->path.dentry)
		f->path = path_ref(&held);
	if (!f->cred)
		f->cred = cred_ref(ctx->cred);
	if (claim & FMODE_WRITER && f->path.mnt) {
		f->path.mnt->writers++;
		f->path.mnt->sb->writers++;
	}
	path_unref(&held);
	notify_path(&f->path, IN_OPEN);
	*ret = f;
	return 0;
}

static int break_leases(struct inode *inode, uint32_t flags)
{
	const bool write = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;

	return S_ISREG(inode->mode) ? lease_break(inode, write, flags & O_NONBLOCK) : 0;
}

static int do_open(const struct vfs_ctx *ctx, const struct path *p, uint32_t flags, bool created,
		   struct file **ret)
{
	struct inode *inode = p->dentry->inode;
	struct file *f;
	int r;

	if (flags & O_CREAT && S_ISDIR(inode->mode))
		return -EISDIR;
	if (flags & O_DIRECTORY && !S_ISDIR(inode->mode))
		return -ENOTDIR;
	if (!created) {
		r = may_open(ctx, p, flags);
		if (r < 0)
			return r;
	}
	r = break_leases(inode, flags);
	if (r == 0)
		r = open_now(ctx, p, flags, &f);
	if (r < 0)
		return r;
	if (flags & O_TRUNC && !created && S_ISREG(inode->mode)) {
		/* Also of who opens for reading: a running program keeps its pages. */
		r = inode->denied_writes ? -ETXTBSY : file_truncate_opened(f, 0);
		if (r < 0) {
			file_unref(f);
			return r;
		}
	}
	*ret = f;
	return 0;
}

int vfs_open_path(const struct vfs_ctx *ctx, const struct path *p, uint32_t flags,
		  struct file **ret)
{
	if (flags & O_PATH)
		return open_path_only(ctx, p, flags, ret);
	return do_open(ctx, p, flags, false, ret);
}

static int open_tmpfile(const struct vfs_ctx *ctx, const struct path *dir, uint32_t flags,
			uint32_t mode, struct file **ret)
{
	struct inode *parent = dir->dentry->inode, *inode;
	struct path p = { .mnt = dir->mnt };
	char name[32];
	int r;

	if (mount_writable(dir->mnt) < 0)
		return -EROFS;
	r = inode_permission(parent, ctx->cred, MAY_WRITE | MAY_EXEC);
	if (r < 0)
		return r;
	if (!parent->ops->tmpfile)
		return -EOPNOTSUPP;
	krwlock_write_lock(&parent->lock);
	r = parent->ops->tmpfile(parent, S_IFREG | (mode & 07777 & ~ctx->umask), ctx->cred, &inode);
	krwlock_write_unlock(&parent->lock);
	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "#%llu", (unsigned long long)inode->ino);
	p.dentry = dentry_new_unhashed(dir->dentry, name, inode);
	if (!p.dentry)
		return -ENOMEM;
	mount_ref(p.mnt);
	/* The bit stays in the flags: linkat() of it is allowed unless it was opened with O_EXCL.
	 */
	r = open_now(ctx, &p, flags & ~(uint32_t)(O_DIRECTORY | TMPFILE_BIT), ret);
	if (r == 0) {
		inode->tmpfile_linkable = !(flags & O_EXCL);
		(*ret)->flags |= O_TMPFILE;
	}
	path_unref(&p);
	return r;
}

/* The last component is not there yet: make it. The parent is locked; d is its negative dentry. */
static int create_locked(struct walk *w, struct dentry *d, uint32_t mode)
{
	struct dentry *parent = w->at.dentry;
	struct inode *inode;
	int r;

	if (mount_writable(w->at.mnt) < 0)
		return -EROFS;
	if (parent->unhashed)
		return -ENOENT;
	r = inode_permission(parent->inode, w->ctx->cred, MAY_WRITE | MAY_EXEC);
	if (r < 0)
		return r;
	if (!parent->inode->ops->mknod)
		return -EACCES;
	r = parent->inode->ops->mknod(parent->inode, &w->last,
				      S_IFREG | (mode & 07777 & ~w->ctx->umask), 0, w->ctx->cred,
				      &inode);
	if (r < 0)
		return r;
	dentry_instantiate(d, inode);
	notify_name(parent->inode, &w->last, IN_CREATE, 0, false);
	return 0;
}

/* w stands at the parent. *ret_created: the file is new. */
static int lookup_or_create(struct walk *w, uint32_t mode, struct path *ret, bool *ret_created)
{
	struct inode *dir = w->at.dentry->inode;
	struct dentry *d;
	int r = walk_child(w, ret);

	*ret_created = false;
	if (r < 0 || ret->dentry->inode)
		return r;
	path_unref(ret);
	krwlock_write_lock(&dir->lock);
	r = inode_lookup_locked(w->at.dentry, &w->last, &d);
	if (r == 0 && !d->inode) {
		r = create_locked(w, d, mode);
		*ret_created = r == 0;
		if (r < 0)
			dentry_unref(d);
	}
	krwlock_write_unlock(&dir->lock);
	if (r < 0)
		return r;
	*ret = (struct path){ .mnt = mount_ref(w->at.mnt), .dentry = d };
	return 0;
}

/* One turn of open with O_CREAT: 1 means that a link was followed and the walk goes on. */
static int open_create_step(struct walk *w, uint32_t flags, uint32_t mode, struct file **ret)
{
	struct path p = { 0 };
	bool created;
	int r;

	if (w->type != LAST_NORM || w->trailing)
		return -EISDIR;
	r = lookup_or_create(w, mode, &p, &created);
	if (r < 0)
		return r;
	if (flags & O_EXCL && !created)
		r = -EEXIST;
	else if (S_ISLNK(p.dentry->inode->mode)) {
		r = flags & O_NOFOLLOW ? -ELOOP : walk_follow(w, &p);
		if (r == 0)
			r = 1;
	} else
		r = do_open(w->ctx, &p, flags, created, ret);
	path_unref(&p);
	return r;
}

static int open_create(const struct vfs_ctx *ctx, const struct path *at, const char *name,
		       uint32_t flags, uint32_t mode, unsigned int walk, struct file **ret)
{
	struct walk w;
	int r = walk_begin(&w, ctx, at, name, walk | WALK_PARENT);

	for (;;) {
		if (r == 0)
			r = walk_run(&w);
		if (r < 0)
			break;
		if (w.type == LAST_ROOT && w.links > 0) {
			/* A link that leads to an object: nothing is left to look up. */
			r = do_open(ctx, &w.at, flags, false, ret);
			break;
		}
		r = open_create_step(&w, flags, mode, ret);
		if (r != 1)
			break;
		r = 0;
	}
	walk_done(&w);
	return r;
}

static int open_name(const struct vfs_ctx *ctx, const struct path *at, const char *name,
		     uint32_t flags, uint32_t mode, unsigned int walk, struct file **ret)
{
	struct path p;
	int r;

	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	else if (flags & TMPFILE_BIT &&
		 (!(flags & O_DIRECTORY) || (flags & O_ACCMODE) == O_RDONLY || flags & O_CREAT))
		return -EINVAL;
	if (flags & O_CREAT && flags & O_DIRECTORY)
		return -EINVAL;
	if (flags & O_CREAT)
		return open_create(ctx, at, name, flags, mode, walk, ret);
	if (!(flags & O_NOFOLLOW))
		walk |= WALK_FOLLOW;
	if (flags & O_DIRECTORY)
		walk |= WALK_DIRECTORY;
	r = path_walk(ctx, at, name, walk, &p);
	if (r < 0)
		return r;
	if (flags & TMPFILE_BIT)
		r = open_tmpfile(ctx, &p, flags, mode, ret);
	else
		r = vfs_open_path(ctx, &p, flags, ret);
	path_unref(&p);
	return r;
}

int vfs_open(const struct vfs_ctx *ctx, const struct path *at, const char *name, uint32_t flags,
	     uint32_t mode, unsigned int walk, struct file **ret)
{
	const int r = open_name(ctx, at, name, flags, mode, walk, ret);

	klog(vfs, "open %s flags %#x: %d", name, flags, r);
	return r;
}
