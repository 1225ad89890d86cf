/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/namei.c - the walk: one component after the other, no recursion. A symlink puts its
 * target before what is left of the text.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/vfs/internal.h"
#include "sentry/vfs/walk.h"

int path_permission(const struct path *p, const struct cred *cred, unsigned int mask)
{
	struct inode *inode = p->dentry->inode;

	if (mask & MAY_WRITE && mount_writable(p->mnt) < 0 &&
	    (S_ISREG(inode->mode) || S_ISDIR(inode->mode) || S_ISLNK(inode->mode)))
		return -EROFS;
	return inode_permission(inode, cred, mask);
}

/* The filesystem's answer becomes a dentry, negative for ENOENT; dir->inode->lock is held. */
static int lookup_slow(struct dentry *dir, const struct vfs_name *name, struct dentry **ret)
{
	struct inode *inode = NULL;
	struct dentry *d;
	int r;

	if (!dir->inode->ops->lookup)
		return -ENOTDIR;
	r = dir->inode->ops->lookup(dir->inode, name, &inode);
	if (r < 0 && r != -ENOENT)
		return r;
	d = dentry_find(dir, name);
	if (d && (d->mounts || d->inode == inode ||
		  (d->inode && inode && d->inode->ino == inode->ino))) {
		inode_unref(inode); /* another fiber was faster */
		*ret = d;
		return 0;
	}
	if (d) {
		dentry_drop(d);
		dentry_unref(d);
	}
	d = dentry_add(dir, name, inode);
	if (!d)
		return -ENOMEM;
	*ret = d;
	return 0;
}

/* A cached dentry that the filesystem still stands by, or NULL. */
static int lookup_fast(struct dentry *dir, const struct vfs_name *name, struct dentry **ret)
{
	struct dentry *d = dir->inode->layered ? NULL : dentry_find(dir, name);
	int r = 1;

	if (d && d->sb->ops->revalidate && d->mounts == 0)
		r = d->sb->ops->revalidate(d);
	if (d && r <= 0) {
		if (r == 0)
			dentry_drop(d);
		dentry_unref(d);
		d = NULL;
	}
	*ret = d;
	return r < 0 ? r : 0;
}

int inode_lookup_locked(struct dentry *dir, const struct vfs_name *name, struct dentry **ret)
{
	int r;

	if (name->len == 0)
		return -ENAMETOOLONG;
	r = lookup_fast(dir, name, ret);
	if (r < 0 || *ret)
		return r;
	return lookup_slow(dir, name, ret);
}

int inode_lookup_child(struct dentry *dir, const struct vfs_name *name, struct dentry **ret)
{
	int r;

	if (name->len == 0) /* how walk_component() marks a name that is too long */
		return -ENAMETOOLONG;
	r = lookup_fast(dir, name, ret);
	if (r < 0 || *ret)
		return r;
	krwlock_read_lock(&dir->inode->lock);
	r = lookup_slow(dir, name, ret);
	krwlock_read_unlock(&dir->inode->lock);
	return r;
}

static void walk_set(struct walk *w, const struct path *p)
{
	const struct path now = path_ref(p);

	path_unref(&w->at);
	w->at = now;
}

int walk_begin(struct walk *w, const struct vfs_ctx *ctx, const struct path *at, const char *name,
	       unsigned int flags)
{
	const bool scoped = flags & (WALK_BENEATH | WALK_IN_ROOT);

	*w = (struct walk){ .ctx = ctx, .flags = flags, .rest = name };
	if (!at)
		at = ctx->cwd;
	w->root = path_ref(scoped ? at : ctx->root);
	w->at = path_ref(at);
	if (name[0] == '\0')
		return flags & WALK_EMPTY ? 0 : -ENOENT;
	if (strlen(name) >= VFS_PATH_MAX)
		return -ENAMETOOLONG;
	if (name[0] != '/')
		return 0;
	if (flags & WALK_BENEATH)
		return -EXDEV;
	if (flags & WALK_NO_XDEV && w->root.mnt != w->at.mnt)
		return -EXDEV;
	walk_set(w, &w->root);
	return 0;
}

void walk_done(struct walk *w)
{
	path_unref(&w->root);
	path_unref(&w->at);
	free(w->text);
	w->text = NULL;
}

static int walk_dotdot(struct walk *w)
{
	struct path p = w->at;

	for (;;) {
		if (path_equal(&p, &w->root)) {
			if (w->flags & WALK_BENEATH)
				return -EXDEV;
			break;
		}
		if (p.dentry != p.mnt->root) {
			p.dentry = p.dentry->parent;
			/* A rename may have moved us out of what the mount shows. */
			if (p.mnt->root != p.mnt->sb->root &&
			    !dentry_is_below(p.dentry, p.mnt->root))
				return -ENOENT;
			break;
		}
		if (!p.mnt->parent)
			break;
		p = (struct path){ .mnt = p.mnt->parent, .dentry = p.mnt->mountpoint };
	}
	if (w->flags & WALK_NO_XDEV && p.mnt != w->at.mnt)
		return -EXDEV;
	walk_set(w, &p);
	path_follow_mounts(&w->at);
	return w->flags & WALK_NO_XDEV && p.mnt != w->at.mnt ? -EXDEV : 0;
}

static int walk_jump(struct walk *w, struct inode *link)
{
	struct path to = { 0 };
	int r;

	if (w->flags & WALK_NO_MAGIC)
		return -ELOOP;
	if (w->flags & (WALK_BENEATH | WALK_IN_ROOT))
		return -EXDEV;
	r = link->ops->follow(link, &to);
	if (r < 0)
		return r;
	if (w->flags & WALK_NO_XDEV && to.mnt != w->at.mnt)
		r = -EXDEV;
	else
		walk_set(w, &to);
	path_unref(&to);
	return r;
}

/* Put the target before the rest of the text. */
static int walk_splice(struct walk *w, const char *target)
{
	const size_t a = strlen(target), b = strlen(w->rest);
	char *text = malloc(a + b + 2);

	if (!text)
		return -ENOMEM;
	memcpy(text, target, a);
	/* What is left begins with the slash that ended the component, or is empty. */
	memcpy(text + a, w->rest, b + 1);
	free(w->text);
	w->text = text;
	w->rest = text;
	return 0;
}

int walk_follow(struct walk *w, const struct path *link)
{
	struct inode *inode = link->dentry->inode;
	AUTO_FREE char *target = NULL;
	int r;

	if (w->links++ >= WALK_LINKS_MAX || w->flags & WALK_NO_SYMLINKS ||
	    (link->mnt && link->mnt->flags & MOUNT_NOSYMFOLLOW))
		return -ELOOP;
	if (inode->ops->follow)
		return walk_jump(w, inode);
	if (!inode->ops->readlink)
		return -EINVAL;
	r = inode->ops->readlink(inode, &target);
	if (r < 0)
		return r;
	if (target[0] == '\0')
		return -ENOENT;
	if (target[0] == '/') {
		if (w->flags & WALK_BENEATH)
			return -EXDEV;
		if (w->flags & WALK_NO_XDEV && w->root.mnt != w->at.mnt)
			return -EXDEV;
		walk_set(w, &w->root);
	}
	return walk_splice(w, target);
}

/* The next component into w->last; false at the end. */
static bool walk_component(struct walk *w)
{
	const char *p = w->rest;
	size_t len;

	while (*p == '/')
		p++;
	len = strcspn(p, "/");
	if (len == 0) {
		w->rest = p;
		return false;
	}
	w->last.bytes = p;
	w->last.len = len > VFS_NAME_MAX ? 0 : (uint8_t)len;
	w->rest = p + len;
	w->trailing = *w->rest == '/';
	w->final = w->rest[strspn(w->rest, "/")] == '\0';
	w->type = LAST_NORM;
	if (p[0] == '.' && len == 1)
		w->type = LAST_DOT;
	else if (p[0] == '.' && p[1] == '.' && len == 2)
		w->type = LAST_DOTDOT;
	return true;
}

static int walk_may_search(const struct walk *w)
{
	struct inode *inode = w->at.dentry->inode;

	if (!inode || !S_ISDIR(inode->mode))
		return -ENOTDIR;
	return inode_permission(inode, w->ctx->cred, MAY_EXEC);
}

int walk_child(struct walk *w, struct path *ret)
{
	struct path child = { .mnt = w->at.mnt };
	int r = inode_lookup_child(w->at.dentry, &w->last, &child.dentry);

	if (r < 0)
		return r;
	mount_ref(child.mnt);
	path_follow_mounts(&child);
	if (w->flags & WALK_NO_XDEV && child.mnt != w->at.mnt) {
		path_unref(&child);
		return -EXDEV;
	}
	*ret = child;
	return 0;
}

/* One ordinary component: step into it or follow it. */
static int walk_norm(struct walk *w)
{
	struct path child;
	int r = walk_child(w, &child);

	if (r < 0)
		return r;
	if (!child.dentry->inode) {
		r = -ENOENT;
	} else if (S_ISLNK(child.dentry->inode->mode) &&
		   (!w->final || w->trailing || w->flags & WALK_FOLLOW)) {
		r = walk_follow(w, &child);
	} else {
		walk_set(w, &child);
		if (w->trailing && !S_ISDIR(child.dentry->inode->mode))
			r = -ENOTDIR;
	}
	path_unref(&child);
	return r;
}

int walk_run(struct walk *w)
{
	w->type = LAST_ROOT;
	w->trailing = false;
	while (walk_component(w)) {
		int r = walk_may_search(w);

		if (r < 0)
			return r;
		if (w->final && w->flags & WALK_PARENT)
			return 0;
		if (w->type == LAST_DOTDOT)
			r = walk_dotdot(w);
		else if (w->type == LAST_NORM)
			r = walk_norm(w);
		if (r < 0)
			return r;
	}
	if (w->flags & WALK_PARENT) {
		/* Nothing but slashes, or a link that led to "/". */
		w->type = LAST_ROOT;
		return 0;
	}
	if (!w->at.dentry->inode)
		return -ENOENT;
	if ((w->flags & WALK_DIRECTORY || w->trailing) && !S_ISDIR(w->at.dentry->inode->mode))
		return -ENOTDIR;
	return 0;
}

int path_walk(const struct vfs_ctx *ctx, const struct path *at, const char *name,
	      unsigned int flags, struct path *ret)
{
	struct walk w;
	int r = walk_begin(&w, ctx, at, name, flags & ~(unsigned int)WALK_PARENT);

	if (r == 0)
		r = walk_run(&w);
	if (r == 0)
		*ret = path_ref(&w.at);
	walk_done(&w);
	return r;
}
