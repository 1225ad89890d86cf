/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/overlay/copy_up.c - what is to be changed gets a copy in the upper tree, with the
 * directories above it. A file appears there by its name only when it is complete.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/fs/overlay/node.h"

#define COPY_CHUNK (64u * 1024)

static int copy_attributes(const struct inode *from, struct inode *to)
{
	const struct setattr attr = { .mask = SETATTR_UID | SETATTR_GID | SETATTR_ATIME |
					      SETATTR_MTIME |
					      (S_ISLNK(from->mode) ? 0 : SETATTR_MODE),
				      .mode = from->mode & 07777,
				      .uid = from->uid,
				      .gid = from->gid,
				      .atime = from->atime,
				      .mtime = from->mtime };
	int r;

	krwlock_write_lock(&to->lock);
	r = to->ops->setattr ? to->ops->setattr(to, &attr) : -EPERM;
	krwlock_write_unlock(&to->lock);
	return r;
}

static int copy_one_xattr(struct inode *from, struct inode *to, const char *name)
{
	AUTO_FREE char *value = NULL;
	ssize_t len = from->ops->getxattr(from, name, NULL, 0);
	int r;

	if (len < 0)
		return (int)len;
	value = malloc((size_t)len + 1);
	if (!value)
		return -ENOMEM;
	if (len > 0)
		len = from->ops->getxattr(from, name, value, (size_t)len);
	if (len < 0)
		return (int)len;
	krwlock_write_lock(&to->lock);
	r = to->ops->setxattr(to, name, value, (size_t)len, 0);
	krwlock_write_unlock(&to->lock);
	return r;
}

/* Those that the upper tree does not take (system.*) stay behind. */
static int copy_xattrs(struct inode *from, struct inode *to)
{
	AUTO_FREE char *list = NULL;
	ssize_t len;
	int r = 0;

	if (!from->ops->listxattr || !from->ops->getxattr || !to->ops->setxattr)
		return 0;
	len = from->ops->listxattr(from, NULL, 0);
	if (len <= 0)
		return len == -EOPNOTSUPP ? 0 : (int)len;
	list = calloc(1, (size_t)len + 1);
	if (!list)
		return -ENOMEM;
	len = from->ops->listxattr(from, list, (size_t)len);
	for (const char *name = list; len > 0 && name < list + len && r == 0;
	     name += strlen(name) + 1) {
		r = copy_one_xattr(from, to, name);
		if (r == -EOPNOTSUPP || r == -ENODATA)
			r = 0;
	}
	return len < 0 ? (int)len : r;
}

static int write_all(struct file *out, char *buf, size_t len, uint64_t *pos)
{
	while (len > 0) {
		struct iovec single;
		struct uio u;
		ssize_t n;

		uio_init(&u, NULL, &single, (uintptr_t)buf, len);
		n = file_write(out, &u, pos, UINT64_MAX);
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

static bool all_zero(const char *buf, size_t len)
{
	return len == 0 || (buf[0] == 0 && memcmp(buf, buf + 1, len - 1) == 0);
}

/* Holes stay holes. */
static int copy_data(struct inode *from, struct inode *to, uint64_t max_bytes)
{
	AUTO_FILE struct file *in = NULL, *out = NULL;
	AUTO_FREE char *buf = malloc(COPY_CHUNK);
	const struct setattr size = { .mask = SETATTR_SIZE,
				      .size = from->size < max_bytes ? from->size : max_bytes };
	uint64_t done = 0;
	int r;

	if (size.size == 0)
		return 0;
	if (!buf)
		return -ENOMEM;
	r = ovl_open_real(from, O_RDONLY, &in);
	if (r == 0)
		r = ovl_open_real(to, O_RDWR, &out);
	while (r == 0 && done < size.size) {
		const uint64_t left = size.size - done;
		const ssize_t n = file_read_kernel(
			in, buf, left < COPY_CHUNK ? (size_t)left : COPY_CHUNK, done);
		uint64_t pos = done;

		if (n <= 0) {
			r = (int)n;
			break;
		}
		if (!all_zero(buf, (size_t)n))
			r = write_all(out, buf, (size_t)n, &pos);
		done += (uint64_t)n;
		fiber_resched();
	}
	if (r < 0)
		return r;
	krwlock_write_lock(&to->lock);
	r = to->ops->setattr(to, &size);
	krwlock_write_unlock(&to->lock);
	return r;
}

static int remember_number(const struct ovl_inode *o, struct inode *upper)
{
	const uint64_t ino = o->inode.ino;

	if (!upper->ops->setxattr)
		return 0;
	return upper->ops->setxattr(upper, OVL_XATTR_INO, &ino, sizeof(ino), 0);
}

/* A file without a name, complete. */
static int make_file(struct ovl_inode *o, struct inode *dir, uint64_t max_bytes,
		     const struct cred *cred, struct inode **ret)
{
	struct inode *lower = o->lower, *made;
	int r;

	if (!dir->ops->tmpfile)
		return -EOPNOTSUPP;
	r = dir->ops->tmpfile(dir, S_IFREG | 0600, cred, &made);
	if (r < 0)
		return r;
	r = copy_data(lower, made, max_bytes);
	if (r == 0)
		r = copy_xattrs(lower, made);
	if (r == 0)
		r = copy_attributes(lower, made);
	if (r == 0)
		r = remember_number(o, made);
	if (r < 0)
		inode_unref(made);
	else
		*ret = made;
	return r;
}

static int make_other(struct ovl_inode *o, struct inode *dir, const struct vfs_name *name,
		      const struct cred *cred, struct inode **ret)
{
	struct inode *lower = o->lower;
	AUTO_FREE char *target = NULL;
	int r;

	if (S_ISDIR(lower->mode))
		return dir->ops->mkdir ? dir->ops->mkdir(dir, name, lower->mode, cred, ret)
				       : -EPERM;
	if (!S_ISLNK(lower->mode))
		return dir->ops->mknod
			       ? dir->ops->mknod(dir, name, lower->mode, lower->rdev, cred, ret)
			       : -EPERM;
	r = lower->ops->readlink ? lower->ops->readlink(lower, &target) : -EINVAL;
	if (r == 0)
		r = dir->ops->symlink ? dir->ops->symlink(dir, name, target, cred, ret) : -EPERM;
	return r;
}

/* In a user namespace its maker writes, who gives nothing to users that it has not. */
static int may_copy(const struct ovl_inode *o, struct inode *dir)
{
	const struct cred *mounter = ovl_sb(o->inode.sb)->mounter;

	if (!mounter)
		return 0;
	if (user_ns_uid_raw(mounter->user_ns, o->lower->uid) == ID_INVALID ||
	    user_ns_gid_raw(mounter->user_ns, o->lower->gid) == ID_INVALID)
		return -EOVERFLOW;
	return inode_permission(dir, mounter, MAY_WRITE | MAY_EXEC);
}

/* The parent has an upper directory. copy_lock is held. */
static int copy_one(struct ovl_inode *o, uint64_t max_bytes)
{
	struct inode *dir = o->parent->upper, *made = NULL;
	const struct vfs_name name = { .bytes = o->name, .len = o->name_len };
	const nsec_t mtime = dir->mtime;
	struct cred *root;
	int r = 0;

	if (o->lower->ops->getattr)
		r = o->lower->ops->getattr(o->lower);
	if (r == 0)
		r = may_copy(o, dir);
	if (r < 0)
		return r;
	root = cred_new_root();
	if (!root)
		return -ENOMEM;
	krwlock_write_lock(&dir->lock);
	if (S_ISREG(o->lower->mode)) {
		r = make_file(o, dir, max_bytes, root, &made);
		if (r == 0 && !o->unlinked)
			r = dir->ops->link ? dir->ops->link(dir, &name, made) : -EPERM;
	} else {
		r = make_other(o, dir, &name, root, &made);
		if (r == 0)
			r = copy_xattrs(o->lower, made);
		if (r == 0)
			r = copy_attributes(o->lower, made);
		if (r == 0)
			r = remember_number(o, made);
	}
	dir->mtime = mtime; /* nothing was made that was not there */
	krwlock_write_unlock(&dir->lock);
	cred_unref(root);
	if (r < 0) {
		inode_unref(made);
		return r;
	}
	o->upper = made;
	if (S_ISDIR(made->mode))
		made->layered = true;
	ovl_rehash(o);
	ovl_sync(o);
	return 0;
}

int ovl_copy_up(struct ovl_inode *o, uint64_t max_bytes)
{
	struct ovl_sb *sb = ovl_sb(o->inode.sb);
	int r = 0;

	if (!sb->writable)
		return -EROFS;
	if (o->upper)
		return 0;
	kmutex_lock(&sb->copy_lock);
	while (!o->upper && r == 0) {
		struct ovl_inode *next = o;

		/* The highest one that has no copy yet. */
		while (next->parent && !next->parent->upper)
			next = next->parent;
		r = next->parent ? copy_one(next, next == o ? max_bytes : 0) : -EROFS;
	}
	kmutex_unlock(&sb->copy_lock);
	return r;
}
