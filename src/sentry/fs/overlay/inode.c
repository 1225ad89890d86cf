/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/overlay/inode.c - overlay inodes: one for each real inode, with the attributes of the
 * upper one, or of the lower one while there is no other. Of a lower file with several names there
 * is one for each name, for each would be copied alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sentry/core/kclock.h"
#include "sentry/fs/overlay/node.h"

static struct list_head *bucket_of(const struct ovl_sb *sb, const struct inode *real)
{
	const uint64_t h = ((uintptr_t)real >> 5) * 0x9e3779b97f4a7c15ull;

	return &sb->buckets[h >> 52];
}

void ovl_rehash(struct ovl_inode *o)
{
	list_del(&o->node);
	list_add(&o->node, bucket_of(ovl_sb(o->inode.sb), ovl_real(o)));
}

void ovl_sync(struct ovl_inode *o)
{
	const struct inode *real = ovl_real(o);
	struct inode *inode = &o->inode;

	inode->mode = real->mode;
	inode->uid = real->uid;
	inode->gid = real->gid;
	inode->nlink = o->unlinked ? 0 : real->nlink;
	inode->size = real->size;
	inode->blocks = real->blocks;
	inode->atime = real->atime;
	inode->mtime = real->mtime;
	inode->ctime = real->ctime;
	inode->btime = real->btime;
	inode->rdev = real->rdev;
}

static uint64_t number_of(struct inode *upper, const struct inode *lower)
{
	uint64_t ino;

	if (!upper)
		return lower->ino;
	if (upper->ops->getxattr &&
	    upper->ops->getxattr(upper, OVL_XATTR_INO, &ino, sizeof(ino)) == sizeof(ino))
		return ino;
	return lower ? lower->ino : upper->ino | OVL_UPPER_INO;
}

static const struct inode_ops *ops_for(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return &ovl_dir_ops;
	case S_IFREG:
		return &ovl_file_ops;
	case S_IFLNK:
		return &ovl_symlink_ops;
	default:
		return &ovl_special_ops;
	}
}

/* Whether o is what stands behind this name; a copy of the lower one would get o's name. */
static bool stands_for(const struct ovl_inode *o, const struct ovl_inode *parent,
		       const struct vfs_name *name)
{
	return o->upper || S_ISDIR(o->inode.mode) ||
	       (o->parent == parent && name && o->name_len == name->len &&
		memcmp(o->name, name->bytes, name->len) == 0);
}

static struct ovl_inode *find(const struct ovl_sb *sb, const struct inode *real,
			      const struct ovl_inode *parent, const struct vfs_name *name)
{
	struct ovl_inode *o;

	list_for_each(o, bucket_of(sb, real), node)
	{
		if (ovl_real(o) == real && stands_for(o, parent, name))
			return o;
	}
	return NULL;
}

int ovl_inode_get(struct ovl_sb *sb, struct inode *upper, struct inode *lower,
		  struct ovl_inode *parent, const struct vfs_name *name, struct inode **ret)
{
	const struct inode *real = upper ? upper : lower;
	struct ovl_inode *o = find(sb, real, parent, name);
	uint64_t ino = 0;

	if (!o) {
		ino = number_of(upper, lower); /* may park: look again */
		o = find(sb, real, parent, name);
	}
	if (o) {
		inode_unref(upper);
		inode_unref(lower);
		*ret = inode_ref(&o->inode);
		return 0;
	}
	o = calloc(1, sizeof(*o));
	if (!o) {
		inode_unref(upper);
		inode_unref(lower);
		return -ENOMEM;
	}
	inode_init(&o->inode, &sb->sb, ops_for(real->mode), ino, real->mode, NULL);
	o->upper = upper;
	o->lower = lower;
	if (upper && S_ISDIR(upper->mode))
		upper->layered = true;
	if (!upper && parent) {
		o->parent = ovl_inode(inode_ref(&parent->inode));
		memcpy(o->name, name->bytes, name->len);
		o->name_len = name->len;
	}
	ovl_sync(o);
	list_add(&o->node, bucket_of(sb, real));
	*ret = &o->inode;
	return 0;
}

void ovl_evict(struct inode *inode)
{
	struct ovl_inode *o = ovl_inode(inode);

	list_del(&o->node);
	inode_unref(o->upper);
	inode_unref(o->lower);
	if (o->parent)
		inode_unref(&o->parent->inode);
	inode_fini(inode);
	free(o);
}

int ovl_getattr(struct inode *inode)
{
	struct ovl_inode *o = ovl_inode(inode);
	struct inode *real = ovl_real(o);
	const int r = real->ops->getattr ? real->ops->getattr(real) : 0;

	if (r == 0)
		ovl_sync(o);
	return r;
}

int ovl_permission(struct inode *inode, const struct cred *cred, unsigned int mask)
{
	ovl_sync(ovl_inode(inode));
	return inode_permission_generic(inode, cred, mask);
}

int ovl_setattr(struct inode *inode, const struct setattr *attr)
{
	struct ovl_inode *o = ovl_inode(inode);
	int r = ovl_copy_up(o, attr->mask & SETATTR_SIZE ? attr->size : UINT64_MAX);

	if (r < 0)
		return r;
	krwlock_write_lock(&o->upper->lock);
	r = o->upper->ops->setattr ? o->upper->ops->setattr(o->upper, attr) : -EPERM;
	krwlock_write_unlock(&o->upper->lock);
	ovl_sync(o);
	return r;
}

static bool is_private(const char *name)
{
	return str_after(name, OVL_XATTR_PREFIX) != NULL;
}

ssize_t ovl_getxattr(struct inode *inode, const char *name, void *value, size_t size)
{
	struct inode *real = ovl_real(ovl_inode(inode));

	if (is_private(name))
		return -ENODATA;
	return real->ops->getxattr ? real->ops->getxattr(real, name, value, size) : -EOPNOTSUPP;
}

int ovl_setxattr(struct inode *inode, const char *name, const void *value, size_t size, int flags)
{
	struct ovl_inode *o = ovl_inode(inode);
	int r = is_private(name) ? -EPERM : ovl_copy_up(o, UINT64_MAX);

	if (r < 0)
		return r;
	krwlock_write_lock(&o->upper->lock);
	r = o->upper->ops->setxattr ? o->upper->ops->setxattr(o->upper, name, value, size, flags)
				    : -EOPNOTSUPP;
	if (r == 0)
		o->upper->ctime = kclock_realtime();
	krwlock_write_unlock(&o->upper->lock);
	return r;
}

int ovl_removexattr(struct inode *inode, const char *name)
{
	struct ovl_inode *o = ovl_inode(inode);
	int r = is_private(name) ? -EPERM : ovl_copy_up(o, UINT64_MAX);

	if (r < 0)
		return r;
	krwlock_write_lock(&o->upper->lock);
	r = o->upper->ops->removexattr ? o->upper->ops->removexattr(o->upper, name) : -EOPNOTSUPP;
	if (r == 0)
		o->upper->ctime = kclock_realtime();
	krwlock_write_unlock(&o->upper->lock);
	return r;
}

/* The real list without our own marks. */
ssize_t ovl_listxattr(struct inode *inode, char *list, size_t size)
{
	struct inode *real = ovl_real(ovl_inode(inode));
	AUTO_FREE char *all = NULL;
	ssize_t len, done = 0;

	if (!real->ops->listxattr)
		return 0;
	len = real->ops->listxattr(real, NULL, 0);
	if (len <= 0)
		return len;
	all = calloc(1, (size_t)len + 1);
	if (!all)
		return -ENOMEM;
	len = real->ops->listxattr(real, all, (size_t)len);
	for (const char *name = all; len > 0 && name < all + len; name += strlen(name) + 1) {
		const ssize_t n = (ssize_t)strlen(name) + 1;

		if (is_private(name))
			continue;
		if (size && (size_t)(done + n) > size)
			return -ERANGE;
		if (size)
			memcpy(list + done, name, (size_t)n);
		done += n;
	}
	return len < 0 ? len : done;
}
