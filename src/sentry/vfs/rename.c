/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/rename.c - rename(2) and renameat2(2): the checks of Linux do_renameat2() and
 * vfs_rename() in their order.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>

#include "sentry/vfs/internal.h"
#include "sentry/vfs/names.h"
#include "sentry/vfs/notify.h"
#include "sentry/vfs/walk.h"

struct rename {
	const struct vfs_ctx *ctx;
	uint32_t flags;
	struct walk from, to;
	struct dentry *old, *new;
};

/* The upper one first, as who removes a directory locks it below its parent. */
static void lock_dirs(const struct dentry *a, const struct dentry *b)
{
	struct inode *first = a->inode, *second = b->inode;

	if (dentry_is_below(a, b) || (first > second && !dentry_is_below(b, a))) {
		first = b->inode;
		second = a->inode;
	}
	krwlock_write_lock(&first->lock);
	if (first != second)
		krwlock_write_lock(&second->lock);
}

static void unlock_dirs(struct inode *a, struct inode *b)
{
	krwlock_write_unlock(&a->lock);
	if (a != b)
		krwlock_write_unlock(&b->lock);
}

static int walk_both(struct rename *r, const struct path *old_at, const char *old_name,
		     const struct path *new_at, const char *new_name)
{
	int e = walk_begin(&r->from, r->ctx, old_at, old_name, WALK_PARENT);
	int e2 = walk_begin(&r->to, r->ctx, new_at, new_name, WALK_PARENT);

	if (e == 0)
		e = walk_run(&r->from);
	if (e < 0)
		return e;
	if (e2 == 0)
		e2 = walk_run(&r->to);
	if (e2 < 0)
		return e2;
	if (r->from.at.mnt != r->to.at.mnt)
		return -EXDEV;
	if (r->from.type != LAST_NORM)
		return -EBUSY;
	if (r->to.type != LAST_NORM)
		return r->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	return mount_writable(r->from.at.mnt);
}

/* Both directories are locked: find out what is there and whether it may be done. */
static int judge_names(struct rename *r)
{
	const bool exchange = r->flags & RENAME_EXCHANGE;
	int e = inode_lookup_locked(r->from.at.dentry, &r->from.last, &r->old);

	if (e < 0)
		return e;
	if (!r->old->inode)
		return -ENOENT;
	e = inode_lookup_locked(r->to.at.dentry, &r->to.last, &r->new);
	if (e < 0)
		return e;
	if (r->flags & RENAME_NOREPLACE && r->new->inode)
		return -EEXIST;
	if (exchange && !r->new->inode)
		return -ENOENT;
	if (exchange && !S_ISDIR(r->new->inode->mode) && r->to.trailing)
		return -ENOTDIR;
	if (!S_ISDIR(r->old->inode->mode) && (r->from.trailing || (!exchange && r->to.trailing)))
		return -ENOTDIR;
	if (dentry_is_below(r->to.at.dentry, r->old))
		return -EINVAL;
	if (dentry_is_below(r->from.at.dentry, r->new))
		return exchange ? -EINVAL : -ENOTEMPTY;
	return 0;
}

static int judge_permission(struct rename *r)
{
	const struct cred *cred = r->ctx->cred;
	const bool is_dir = S_ISDIR(r->old->inode->mode);
	const bool moves = r->from.at.dentry != r->to.at.dentry;
	const bool exchange = r->flags & RENAME_EXCHANGE;
	int e = names_may_delete(&r->from.at, r->old, cred, is_dir);

	if (e < 0)
		return e;
	if (!r->new->inode)
		e = names_may_create(&r->to.at, cred);
	else
		e = names_may_delete(&r->to.at, r->new, cred,
				     exchange ? S_ISDIR(r->new->inode->mode) : is_dir);
	if (e < 0)
		return e;
	/* ".." of a directory that moves is written. */
	if (is_dir && moves) {
		e = inode_permission(r->old->inode, cred, MAY_WRITE);
		if (e < 0)
			return e;
	}
	if (exchange && S_ISDIR(r->new->inode->mode) && moves)
		return inode_permission(r->new->inode, cred, MAY_WRITE);
	return 0;
}

static void tell(const struct rename *r, struct inode *moved, struct inode *replaced)
{
	struct inode *from = r->from.at.dentry->inode, *to = r->to.at.dentry->inode;
	const bool is_dir = S_ISDIR(moved->mode);
	const uint32_t cookie = notify_new_cookie();

	notify_name(from, &r->from.last, IN_MOVED_FROM, cookie, is_dir);
	notify_name(to, &r->to.last, IN_MOVED_TO, cookie, is_dir);
	notify_inode(moved, IN_MOVE_SELF);
	if (!replaced)
		return;
	if (!S_ISDIR(replaced->mode))
		notify_inode(replaced, IN_ATTRIB);
	if (S_ISDIR(replaced->mode) || replaced->nlink == 0)
		notify_deleted(replaced);
}

static int rename_locked(struct rename *r)
{
	struct inode *from = r->from.at.dentry->inode, *to = r->to.at.dentry->inode;
	const bool exchange = r->flags & RENAME_EXCHANGE;
	struct inode *moved, *replaced, *dying = NULL;
	int e = judge_names(r);

	if (e < 0)
		return e;
	moved = r->old->inode;
	replaced = r->new->inode;
	if (moved == replaced)
		return 0;
	e = judge_permission(r);
	if (e < 0)
		return e;
	if (!from->ops->rename)
		return -EPERM;
	inode_ref(moved);
	if (replaced)
		inode_ref(replaced);
	/* Nobody makes a name in a directory that goes. */
	if (replaced && !exchange && S_ISDIR(replaced->mode) && replaced != from && replaced != to)
		dying = replaced;
	if (dying)
		krwlock_write_lock(&dying->lock);
	e = from->ops->rename(from, &r->from.last, moved, to, &r->to.last, replaced, r->flags);
	if (e == 0) {
		if (exchange)
			(void)dentry_exchange(r->old, r->new);
		else if (dentry_move(r->old, r->new) < 0)
			dentry_drop(r->old); /* the next look-up makes a fresh one */
		tell(r, moved, exchange ? NULL : replaced);
		if (exchange) {
			const uint32_t cookie = notify_new_cookie();

			notify_name(to, &r->to.last, IN_MOVED_FROM, cookie,
				    S_ISDIR(replaced->mode));
			notify_name(from, &r->from.last, IN_MOVED_TO, cookie,
				    S_ISDIR(replaced->mode));
		}
	}
	if (dying)
		krwlock_write_unlock(&dying->lock);
	inode_unref(moved);
	/* replaced is still held by r->new, so that its eviction waits for the locks to go */
	inode_unref(replaced);
	return e;
}

int vfs_rename(const struct vfs_ctx *ctx, const struct path *old_at, const char *old_name,
	       const struct path *new_at, const char *new_name, uint32_t flags)
{
	struct rename r = { .ctx = ctx, .flags = flags };
	int e;

	if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if (flags & RENAME_EXCHANGE && flags & (RENAME_NOREPLACE | RENAME_WHITEOUT))
		return -EINVAL;
	e = walk_both(&r, old_at, old_name, new_at, new_name);
	if (e == 0) {
		struct superblock *sb = r.from.at.mnt->sb;
		struct inode *from = r.from.at.dentry->inode, *to = r.to.at.dentry->inode;

		kmutex_lock(&sb->rename_lock);
		lock_dirs(r.from.at.dentry, r.to.at.dentry);
		e = rename_locked(&r);
		unlock_dirs(from, to);
		kmutex_unlock(&sb->rename_lock);
	}
	dentry_unref(r.old);
	dentry_unref(r.new);
	walk_done(&r.from);
	walk_done(&r.to);
	return e;
}
