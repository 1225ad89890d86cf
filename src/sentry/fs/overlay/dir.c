/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/overlay/dir.c - names: look-ups in both trees, changes in the upper one, whiteouts for
 * what the lower one still has.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>

#include "sentry/fs/overlay/node.h"

bool ovl_is_whiteout(const struct inode *inode)
{
	return S_ISCHR(inode->mode) && inode->rdev == 0;
}

bool ovl_is_opaque(struct inode *upper)
{
	char value = 0;

	return upper->ops->getxattr &&
	       upper->ops->getxattr(upper, OVL_XATTR_OPAQUE, &value, 1) == 1 && value == 'y';
}

int ovl_set_opaque(struct inode *upper)
{
	return upper->ops->setxattr ? upper->ops->setxattr(upper, OVL_XATTR_OPAQUE, "y", 1, 0)
				    : -EOPNOTSUPP;
}

/* A child of a real directory with a reference; *ret is NULL when there is none. */
static int lookup_real(struct inode *dir, const struct vfs_name *name, struct inode **ret)
{
	int r;

	*ret = NULL;
	if (!dir || !dir->ops->lookup)
		return 0;
	krwlock_read_lock(&dir->lock);
	r = dir->ops->lookup(dir, name, ret);
	krwlock_read_unlock(&dir->lock);
	if (r < 0)
		*ret = NULL;
	return r == -ENOENT ? 0 : r;
}

static int dir_lookup(struct inode *dir, const struct vfs_name *name, struct inode **ret)
{
	struct ovl_inode *d = ovl_inode(dir);
	struct inode *upper, *lower = NULL;
	int r = lookup_real(d->upper, name, &upper);

	if (r < 0)
		return r;
	if (upper && ovl_is_whiteout(upper)) {
		inode_unref(upper);
		return -ENOENT;
	}
	if (!upper || (S_ISDIR(upper->mode) && !ovl_is_opaque(upper)))
		r = lookup_real(d->lower, name, &lower);
	if (r < 0) {
		inode_unref(upper);
		return r;
	}
	if (lower && (ovl_is_whiteout(lower) || (upper && !S_ISDIR(lower->mode)))) {
		inode_unref(lower);
		lower = NULL;
	}
	if (!upper && !lower)
		return -ENOENT;
	return ovl_inode_get(ovl_sb(dir->sb), upper, lower, d, name, ret);
}

static int lower_has(const struct ovl_inode *d, const struct vfs_name *name, bool *ret)
{
	struct inode *lower;
	const int r = lookup_real(d->lower, name, &lower);

	*ret = lower && !ovl_is_whiteout(lower);
	inode_unref(lower);
	return r;
}

/* Room for a new name in the upper directory, which is locked: a whiteout goes. */
static int remove_whiteout(struct inode *upper, const struct vfs_name *name, bool *ret_was)
{
	struct inode *there;
	int r = upper->ops->lookup(upper, name, &there);

	*ret_was = false;
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (ovl_is_whiteout(there)) {
		*ret_was = true;
		r = upper->ops->unlink(upper, name, there);
	} else {
		r = -EEXIST;
	}
	inode_unref(there);
	return r;
}

static int put_whiteout(struct inode *upper, const struct vfs_name *name)
{
	struct cred *root = cred_new_root();
	struct inode *made;
	int r;

	if (!root)
		return -ENOMEM;
	r = upper->ops->mknod ? upper->ops->mknod(upper, name, S_IFCHR, 0, root, &made) : -EPERM;
	if (r == 0)
		inode_unref(made);
	cred_unref(root);
	return r;
}

/* What is to be made: one of these. */
struct making {
	uint32_t mode;
	uint64_t rdev;
	const char *target;   /* symlinks */
	struct inode *linked; /* links: the upper inode */
	const struct cred *cred;
};

static int make_upper(struct inode *upper, const struct vfs_name *name, const struct making *m,
		      struct inode **ret)
{
	const struct inode_ops *ops = upper->ops;
	int r;

	if (m->linked) {
		r = ops->link ? ops->link(upper, name, m->linked) : -EPERM;
		if (r == 0)
			*ret = inode_ref(m->linked);
		return r;
	}
	if (m->target)
		return ops->symlink ? ops->symlink(upper, name, m->target, m->cred, ret) : -EPERM;
	if (S_ISDIR(m->mode))
		return ops->mkdir ? ops->mkdir(upper, name, m->mode, m->cred, ret) : -EPERM;
	return ops->mknod ? ops->mknod(upper, name, m->mode, m->rdev, m->cred, ret) : -EPERM;
}

static int make(struct inode *dir, const struct vfs_name *name, const struct making *m,
		struct inode **ret)
{
	struct ovl_inode *d = ovl_inode(dir);
	struct inode *made;
	bool hidden;
	int r = ovl_copy_up(d, UINT64_MAX);

	if (r < 0)
		return r;
	krwlock_write_lock(&d->upper->lock);
	r = remove_whiteout(d->upper, name, &hidden);
	if (r == 0) {
		r = make_upper(d->upper, name, m, &made);
		if (r < 0 && hidden)
			(void)put_whiteout(d->upper, name);
	}
	if (r == 0 && S_ISDIR(made->mode) && hidden)
		r = ovl_set_opaque(made);
	krwlock_write_unlock(&d->upper->lock);
	ovl_sync(d);
	if (r < 0)
		return r;
	if (!m->linked)
		return ovl_inode_get(ovl_sb(dir->sb), made, NULL, d, name, ret);
	inode_unref(made);
	return 0;
}

static int dir_mknod(struct inode *dir, const struct vfs_name *name, uint32_t mode, uint64_t rdev,
		     const struct cred *cred, struct inode **ret)
{
	const struct making m = { .mode = mode, .rdev = rdev, .cred = cred };

	/* It would be a whiteout. */
	if (S_ISCHR(mode) && rdev == 0)
		return -EPERM;
	return make(dir, name, &m, ret);
}

static int dir_mkdir(struct inode *dir, const struct vfs_name *name, uint32_t mode,
		     const struct cred *cred, struct inode **ret)
{
	const struct making m = { .mode = S_IFDIR | (mode & 07777), .cred = cred };

	return make(dir, name, &m, ret);
}

static int dir_symlink(struct inode *dir, const struct vfs_name *name, const char *target,
		       const struct cred *cred, struct inode **ret)
{
	const struct making m = { .mode = S_IFLNK, .target = target, .cred = cred };

	return make(dir, name, &m, ret);
}

static int dir_link(struct inode *dir, const struct vfs_name *name, struct inode *target)
{
	struct ovl_inode *t = ovl_inode(target);
	struct making m = { 0 };
	int r = ovl_copy_up(t, UINT64_MAX);

	if (r < 0)
		return r;
	m.linked = t->upper;
	r = make(dir, name, &m, NULL);
	if (r == 0)
		t->unlinked = false;
	ovl_sync(t);
	return r;
}

static int dir_tmpfile(struct inode *dir, uint32_t mode, const struct cred *cred,
		       struct inode **ret)
{
	struct ovl_inode *d = ovl_inode(dir);
	struct inode *made;
	int r = ovl_copy_up(d, UINT64_MAX);

	if (r < 0)
		return r;
	if (!d->upper->ops->tmpfile)
		return -EOPNOTSUPP;
	krwlock_write_lock(&d->upper->lock);
	r = d->upper->ops->tmpfile(d->upper, mode, cred, &made);
	krwlock_write_unlock(&d->upper->lock);
	if (r < 0)
		return r;
	return ovl_inode_get(ovl_sb(dir->sb), made, NULL, NULL, NULL, ret);
}

/* The name goes out of the upper tree; a whiteout stays for what the lower one has. */
static int remove_name(struct inode *dir, const struct vfs_name *name, struct inode *victim)
{
	struct ovl_inode *d = ovl_inode(dir), *v = ovl_inode(victim);
	const bool is_dir = S_ISDIR(victim->mode);
	const struct inode_ops *ops;
	bool hide;
	int r = ovl_copy_up(d, UINT64_MAX);

	if (r == 0)
		r = lower_has(d, name, &hide);
	if (r < 0)
		return r;
	ops = d->upper->ops;
	krwlock_write_lock(&d->upper->lock);
	if (v->upper)
		r = is_dir ? ops->rmdir(d->upper, name, v->upper)
			   : ops->unlink(d->upper, name, v->upper);
	if (r == 0 && hide)
		r = put_whiteout(d->upper, name);
	krwlock_write_unlock(&d->upper->lock);
	if (r == 0 && (!v->upper || v->upper->nlink == 0 || is_dir))
		v->unlinked = true;
	ovl_sync(d);
	ovl_sync(v);
	return r;
}

static int dir_unlink(struct inode *dir, const struct vfs_name *name, struct inode *victim)
{
	return remove_name(dir, name, victim);
}

static int dir_rmdir(struct inode *dir, const struct vfs_name *name, struct inode *victim)
{
	struct ovl_inode *v = ovl_inode(victim);
	int r = ovl_dir_is_empty(v);

	if (r == 0 && v->upper && ovl_sb(dir->sb)->writable)
		r = ovl_dir_clear(v->upper);
	return r < 0 ? r : remove_name(dir, name, victim);
}

static bool is_merged_dir(const struct ovl_inode *o)
{
	return S_ISDIR(o->inode.mode) && o->lower;
}

/* The directory that comes to a name which the lower tree has: nothing may shine through. */
static int hide_lower(const struct ovl_inode *d, const struct vfs_name *name,
		      const struct ovl_inode *child)
{
	bool there;
	int r = lower_has(d, name, &there);

	if (r == 0 && there && S_ISDIR(child->inode.mode))
		r = ovl_set_opaque(child->upper);
	return r;
}

static int prepare_rename(struct ovl_inode *from, struct ovl_inode *moved, struct ovl_inode *to,
			  struct ovl_inode *replaced, const struct vfs_name *new_name,
			  bool exchange)
{
	int r;

	if (is_merged_dir(moved) || (exchange && is_merged_dir(replaced)))
		return -EXDEV;
	if (!exchange && replaced && S_ISDIR(replaced->inode.mode)) {
		r = ovl_dir_is_empty(replaced);
		if (r == 0 && replaced->upper)
			r = ovl_dir_clear(replaced->upper);
		if (r < 0)
			return r;
	}
	r = ovl_copy_up(from, UINT64_MAX);
	if (r == 0)
		r = ovl_copy_up(to, UINT64_MAX);
	if (r == 0)
		r = ovl_copy_up(moved, UINT64_MAX);
	if (r == 0 && exchange)
		r = ovl_copy_up(replaced, UINT64_MAX);
	if (r == 0)
		r = hide_lower(to, new_name, moved);
	return r;
}

static void lock_both(struct inode *a, struct inode *b)
{
	krwlock_write_lock(a < b ? &a->lock : &b->lock);
	if (a != b)
		krwlock_write_lock(a < b ? &b->lock : &a->lock);
}

static void unlock_both(struct inode *a, struct inode *b)
{
	krwlock_write_unlock(&a->lock);
	if (a != b)
		krwlock_write_unlock(&b->lock);
}

static int dir_rename(struct inode *old_dir, const struct vfs_name *old_name, struct inode *moved,
		      struct inode *new_dir, const struct vfs_name *new_name,
		      struct inode *replaced, uint32_t flags)
{
	struct ovl_inode *from = ovl_inode(old_dir), *to = ovl_inode(new_dir);
	struct ovl_inode *m = ovl_inode(moved), *rep = replaced ? ovl_inode(replaced) : NULL;
	const bool exchange = flags & RENAME_EXCHANGE;
	bool left_behind = false, hidden;
	int r;

	if (flags & RENAME_WHITEOUT)
		return -EINVAL;
	r = prepare_rename(from, m, to, rep, new_name, exchange);
	if (r == 0)
		r = exchange ? hide_lower(from, old_name, rep)
			     : lower_has(from, old_name, &left_behind);
	if (r < 0)
		return r;
	lock_both(from->upper, to->upper);
	if (!rep || !rep->upper) {
		/* A file over what only the lower tree has, or over a whiteout. */
		r = remove_whiteout(to->upper, new_name, &hidden);
	}
	if (r == 0)
		r = from->upper->ops->rename
			    ? from->upper->ops->rename(from->upper, old_name, m->upper, to->upper,
						       new_name, rep ? rep->upper : NULL,
						       flags & RENAME_EXCHANGE)
			    : -EPERM;
	if (r == 0 && left_behind)
		r = put_whiteout(from->upper, old_name);
	unlock_both(from->upper, to->upper);
	if (r == 0 && rep && !exchange &&
	    (!rep->upper || S_ISDIR(replaced->mode) || rep->upper->nlink == 0))
		rep->unlinked = true;
	ovl_sync(from);
	ovl_sync(to);
	ovl_sync(m);
	if (rep)
		ovl_sync(rep);
	return r;
}

const struct inode_ops ovl_dir_ops = {
	.lookup = dir_lookup,
	.mknod = dir_mknod,
	.mkdir = dir_mkdir,
	.symlink = dir_symlink,
	.link = dir_link,
	.unlink = dir_unlink,
	.rmdir = dir_rmdir,
	.rename = dir_rename,
	.tmpfile = dir_tmpfile,
	.open = ovl_dir_open,
	OVL_COMMON_OPS,
};
