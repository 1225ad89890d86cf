/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/names.c - operations that make, remove and move names: mknod, mkdir, symlink, link,
 * unlink, rmdir, and the binding of sockets. The order of errors is that of Linux fs/namei.c.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sentry/vfs/internal.h"
#include "sentry/vfs/names.h"
#include "sentry/vfs/notify.h"
#include "sentry/vfs/walk.h"

int names_may_create(const struct path *dir, const struct cred *cred)
{
	if (dir->dentry->unhashed)
		return -ENOENT;
	return inode_permission(dir->dentry->inode, cred, MAY_WRITE | MAY_EXEC);
}

int names_may_delete(const struct path *dir, const struct dentry *victim, const struct cred *cred,
		     bool want_dir)
{
	struct inode *parent = dir->dentry->inode, *inode = victim->inode;
	int r;

	if (!inode)
		return -ENOENT;
	r = inode_permission(parent, cred, MAY_WRITE | MAY_EXEC);
	if (r < 0)
		return r;
	if (parent->mode & S_ISVTX && cred->fsuid != inode->uid && cred->fsuid != parent->uid &&
	    !inode_capable(inode, cred, CAP_FOWNER))
		return -EPERM;
	if (want_dir && !S_ISDIR(inode->mode))
		return -ENOTDIR;
	if (!want_dir && S_ISDIR(inode->mode))
		return -EISDIR;
	if (dir->dentry->unhashed)
		return -ENOENT;
	return victim->mounts ? -EBUSY : 0;
}

/* A name that is to be made: the parent is locked and d is its negative dentry. */
struct new_name {
	struct walk w;
	struct dentry *d;
	bool locked;
};

static void new_name_done(struct new_name *n)
{
	if (n->locked)
		krwlock_write_unlock(&n->w.at.dentry->inode->lock);
	dentry_unref(n->d);
	walk_done(&n->w);
}

/* filename_create() of Linux. new_name_done() follows in any case. */
static int new_name_begin(struct new_name *n, const struct vfs_ctx *ctx, const struct path *at,
			  const char *name, bool directory)
{
	int r;

	*n = (struct new_name){ 0 };
	r = walk_begin(&n->w, ctx, at, name, WALK_PARENT);
	if (r == 0)
		r = walk_run(&n->w);
	if (r < 0)
		return r;
	if (n->w.type != LAST_NORM)
		return -EEXIST;
	krwlock_write_lock(&n->w.at.dentry->inode->lock);
	n->locked = true;
	r = inode_lookup_locked(n->w.at.dentry, &n->w.last, &n->d);
	if (r < 0)
		return r;
	if (n->d->inode)
		return -EEXIST;
	if (n->w.trailing && !directory)
		return -ENOENT;
	if (mount_writable(n->w.at.mnt) < 0)
		return -EROFS;
	return names_may_create(&n->w.at, ctx->cred);
}

static void new_name_made(struct new_name *n, struct inode *inode)
{
	dentry_instantiate(n->d, inode);
	notify_name(n->w.at.dentry->inode, &n->w.last, IN_CREATE, 0, S_ISDIR(inode->mode));
}

/* A socket in the making; NULL: no socket, or one that nobody bound. */
struct binding {
	void *bound;
	int type; /* SOCK_* */
	int host_fd;
	struct inode *inode;
};

static int make_node(struct inode *dir, const struct vfs_name *name, uint32_t mode, uint64_t rdev,
		     const struct cred *cred, struct binding *b, struct inode **ret)
{
	if (b && dir->ops->bind) {
		const int r = dir->ops->bind(dir, name, mode, b->type, cred, ret, &b->host_fd);

		if (r != -EOPNOTSUPP)
			return r;
	}
	return dir->ops->mknod ? dir->ops->mknod(dir, name, mode, rdev, cred, ret) : -EPERM;
}

static int mknod_inode(const struct vfs_ctx *ctx, const struct path *at, const char *name,
		       uint32_t mode, uint64_t rdev, struct binding *b)
{
	struct new_name n;
	struct inode *dir, *inode;
	int r = new_name_begin(&n, ctx, at, name, false);

	if (r == 0) {
		dir = n.w.at.dentry->inode;
		mode = (mode & S_IFMT) | (mode & 07777 & ~ctx->umask);
		if ((S_ISCHR(mode) || S_ISBLK(mode)) && !cred_capable(ctx->cred, CAP_MKNOD))
			r = -EPERM;
		else
			r = make_node(dir, &n.w.last, mode, rdev, ctx->cred, b, &inode);
	}
	if (r == 0 && b && (!S_ISSOCK(inode->mode) || *inode_bound(inode))) {
		/* A gofer that fell told of another file: what is bound to a fifo is a pipe. */
		inode_unref(inode);
		if (b->host_fd >= 0)
			(void)close(b->host_fd);
		r = -EIO;
	}
	if (r == 0) {
		if (b) {
			*inode_bound(inode) = b->bound;
			b->inode = inode_ref(inode);
		}
		new_name_made(&n, inode);
	}
	new_name_done(&n);
	return r;
}

int vfs_mknod(const struct vfs_ctx *ctx, const struct path *at, const char *name, uint32_t mode,
	      uint64_t rdev)
{
	switch (mode & S_IFMT) {
	case 0:
		mode |= S_IFREG;
		break;
	case S_IFREG:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	return mknod_inode(ctx, at, name, mode, rdev, NULL);
}

int vfs_bind_socket(const struct vfs_ctx *ctx, const char *name, int type, void *bound,
		    struct inode **ret, int *ret_host_fd)
{
	struct binding b = { .bound = bound, .type = type, .host_fd = -EBADF };
	const int r = mknod_inode(ctx, NULL, name, S_IFSOCK | 0777, 0, &b);

	if (r < 0)
		return r == -EEXIST ? -EADDRINUSE : r;
	*ret = b.inode;
	*ret_host_fd = b.host_fd;
	return 0;
}

int vfs_mkdir(const struct vfs_ctx *ctx, const struct path *at, const char *name, uint32_t mode)
{
	struct new_name n;
	struct inode *dir, *inode;
	int r = new_name_begin(&n, ctx, at, name, true);

	if (r == 0) {
		dir = n.w.at.dentry->inode;
		if (!dir->ops->mkdir)
			r = -EPERM;
		else if (dir->nlink >= dir->sb->max_links)
			r = -EMLINK;
		else
			r = dir->ops->mkdir(dir, &n.w.last, S_IFDIR | (mode & 01777 & ~ctx->umask),
					    ctx->cred, &inode);
		if (r == 0)
			new_name_made(&n, inode);
	}
	new_name_done(&n);
	return r;
}

int vfs_symlink(const struct vfs_ctx *ctx, const struct path *at, const char *name,
		const char *target)
{
	struct new_name n;
	struct inode *dir, *inode;
	int r;

	if (target[0] == '\0')
		return -ENOENT;
	r = new_name_begin(&n, ctx, at, name, false);
	if (r == 0) {
		dir = n.w.at.dentry->inode;
		r = dir->ops->symlink ? dir->ops->symlink(dir, &n.w.last, target, ctx->cred, &inode)
				      : -EPERM;
		if (r == 0)
			new_name_made(&n, inode);
	}
	new_name_done(&n);
	return r;
}

static int link_locked(struct new_name *n, const struct path *old)
{
	struct inode *dir = n->w.at.dentry->inode, *target = old->dentry->inode;
	int r;

	if (old->mnt != n->w.at.mnt)
		return -EXDEV;
	if (S_ISDIR(target->mode) || !dir->ops->link)
		return -EPERM;
	if (target->nlink == 0 && !target->tmpfile_linkable)
		return -ENOENT;
	if (target->nlink >= dir->sb->max_links)
		return -EMLINK;
	r = dir->ops->link(dir, &n->w.last, target);
	if (r < 0)
		return r;
	target->tmpfile_linkable = false;
	new_name_made(n, inode_ref(target));
	notify_inode(target, IN_ATTRIB);
	return 0;
}

int vfs_link(const struct vfs_ctx *ctx, const struct path *old, const struct path *at,
	     const char *name)
{
	struct new_name n;
	int r = new_name_begin(&n, ctx, at, name, false);

	if (r == 0)
		r = link_locked(&n, old);
	new_name_done(&n);
	return r;
}

static int unlink_last_type(const struct walk *w, bool directory)
{
	switch (w->type) {
	case LAST_DOT:
		return directory ? -EINVAL : -EISDIR;
	case LAST_DOTDOT:
		return directory ? -ENOTEMPTY : -EISDIR;
	case LAST_ROOT:
		return directory ? -EBUSY : -EISDIR;
	default:
		return 0;
	}
}

static int unlink_victim(struct walk *w, struct dentry *d, bool directory)
{
	struct inode *dir = w->at.dentry->inode, *victim = d->inode;
	const struct inode_ops *ops = dir->ops;
	int r;

	if (!victim)
		return -ENOENT;
	if (!directory && w->trailing)
		return S_ISDIR(victim->mode) ? -EISDIR : -ENOTDIR;
	r = names_may_delete(&w->at, d, w->ctx->cred, directory);
	if (r < 0)
		return r;
	if (directory)
		return ops->rmdir ? ops->rmdir(dir, &w->last, victim) : -EPERM;
	return ops->unlink ? ops->unlink(dir, &w->last, victim) : -EPERM;
}

void names_removed(struct inode *dir, const struct vfs_name *name, struct inode *victim)
{
	const bool is_dir = S_ISDIR(victim->mode);

	if (!is_dir)
		notify_inode(victim, IN_ATTRIB);
	notify_name(dir, name, IN_DELETE, 0, is_dir);
	if (is_dir || victim->nlink == 0)
		notify_deleted(victim);
}

int vfs_unlink(const struct vfs_ctx *ctx, const struct path *at, const char *name, bool directory)
{
	struct walk w;
	struct dentry *d = NULL;
	struct inode *dir, *victim = NULL, *dying = NULL;
	int r = walk_begin(&w, ctx, at, name, WALK_PARENT);

	if (r == 0)
		r = walk_run(&w);
	if (r == 0)
		r = unlink_last_type(&w, directory);
	if (r == 0)
		r = mount_writable(w.at.mnt);
	if (r < 0) {
		walk_done(&w);
		return r;
	}
	dir = w.at.dentry->inode;
	krwlock_write_lock(&dir->lock);
	r = inode_lookup_locked(w.at.dentry, &w.last, &d);
	if (r == 0) {
		victim = d->inode ? inode_ref(d->inode) : NULL;
		/* Nobody makes a name in a directory that goes. */
		if (victim && directory && S_ISDIR(victim->mode) && victim != dir)
			dying = victim;
		if (dying)
			krwlock_write_lock(&dying->lock);
		r = unlink_victim(&w, d, directory);
	}
	if (r == 0) {
		dentry_drop(d);
		names_removed(dir, &w.last, victim);
	}
	if (dying)
		krwlock_write_unlock(&dying->lock);
	krwlock_write_unlock(&dir->lock);
	/* The last reference may evict, which may park: after the lock. */
	dentry_unref(d);
	inode_unref(victim);
	walk_done(&w);
	return r;
}
