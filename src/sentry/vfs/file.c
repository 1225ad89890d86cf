/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/file.c - open file descriptions: life, and what is the same for every read, write and
 * seek.
 */
#include "sentry/vfs/file.h"

#include <assert.h>
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "sentry/core/kclock.h"
#include "sentry/vfs/internal.h"
#include "sentry/vfs/lease.h"
#include "sentry/vfs/locks.h"
#include "sentry/vfs/notify.h"

#define RELATIME_AGE (24 * 60 * 60 * NSEC_PER_SEC)

void file_init(struct file *f, const struct file_ops *ops, const struct path *path,
	       const struct cred *cred, uint32_t flags)
{
	static const uint32_t modes[4] = { FMODE_READ, FMODE_WRITE, FMODE_READ | FMODE_WRITE, 0 };

	f->ops = ops;
	f->path = path ? path_ref(path) : (struct path){ 0 };
	f->inode = path && path->dentry ? inode_ref(path->dentry->inode) : NULL;
	f->mode = modes[flags & O_ACCMODE];
	f->cred = cred ? cred_ref(cred) : NULL;
	f->wq = NULL;
	f->refs = 1;
	f->flags = flags;
	f->pos = 0;
	kmutex_init(&f->pos_lock);
	list_init(&f->epoll_items);
	list_init(&f->async.node);
}

void file_fini(struct file *f)
{
	path_unref(&f->path);
	inode_unref(f->inode);
	cred_unref(f->cred);
	f->inode = NULL;
	f->cred = NULL;
}

struct file *file_ref(struct file *f)
{
	f->refs++;
	return f;
}

void file_unref(struct file *f)
{
	struct inode *inode;

	if (!f)
		return;
	assert(f->refs > 0);
	if (--f->refs > 0)
		return;
	inode = file_named_inode(f);
	epoll_forget(f);
	waitq_remove(&f->async);
	if (f->owner_done)
		f->owner_done(f);
	if (inode) {
		if (!(f->mode & FMODE_PATH)) {
			locks_release(inode, f);
			lease_release(f);
			dnotify_release(f);
			notify_path(&f->path,
				    f->mode & FMODE_WRITE ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
		}
		if (f->mode & FMODE_WRITER) {
			inode->writers--;
			if (f->path.mnt) {
				f->path.mnt->writers--;
				f->path.mnt->sb->writers--;
			}
		}
		if (f->mode & FMODE_OPENED)
			inode->opens--;
		if (f->mode & FMODE_EXEC)
			inode->denied_writes--;
	}
	f->ops->release(f);
}

int file_close_one(struct file *f, const void *owner)
{
	if (f->mode & FMODE_PATH)
		return 0;
	if (owner && f->inode)
		locks_release(file_named_inode(f), owner);
	return f->ops->flush ? f->ops->flush(f) : 0;
}

/* relatime of mount(8): once a day, or when the file was changed since. */
static void touch_atime(struct file *f)
{
	struct inode *inode = f->inode;
	const uint32_t flags = f->path.mnt ? f->path.mnt->flags : 0;
	nsec_t now;

	if (!inode || inode->sb->own_times || f->flags & O_NOATIME ||
	    flags & (MOUNT_NOATIME | MOUNT_RDONLY))
		return;
	if (S_ISDIR(inode->mode) && flags & MOUNT_NODIRATIME)
		return;
	now = kclock_realtime();
	if (flags & MOUNT_RELATIME && inode->atime > inode->mtime && inode->atime > inode->ctime &&
	    now - inode->atime < RELATIME_AGE)
		return;
	inode->atime = now;
}

static bool is_kind(const struct file *f, uint32_t type)
{
	return f->inode && (f->inode->mode & S_IFMT) == type;
}

ssize_t file_read(struct file *f, struct uio *u, uint64_t *pos)
{
	const bool own = !pos && !(f->mode & FMODE_STREAM);
	ssize_t r;

	if (!(f->mode & FMODE_READ))
		return -EBADF;
	if (pos && f->mode & FMODE_STREAM)
		return -ESPIPE;
	if (is_kind(f, S_IFDIR))
		return -EISDIR;
	if (!f->ops->read)
		return -EINVAL;
	if (own) {
		kmutex_lock(&f->pos_lock);
		pos = &f->pos;
	}
	if (pos && (*pos > INT64_MAX || u->left > INT64_MAX - *pos))
		r = -EINVAL;
	else
		r = f->ops->read(f, u, pos);
	if (own)
		kmutex_unlock(&f->pos_lock);
	if (r > 0) {
		touch_atime(f);
		notify_path(&f->path, IN_ACCESS);
	}
	return r;
}

/* Cut what goes beyond a limit; 0, -EFSIZELIMIT, -EFBIG. */
static int limit_write(struct uio *u, uint64_t pos, uint64_t limit)
{
	if (u->left == 0)
		return 0;
	if (pos >= limit)
		return -EFSIZELIMIT;
	if (pos >= INT64_MAX)
		return -EFBIG;
	if (u->left > limit - pos)
		u->left = (size_t)(limit - pos);
	if (u->left > INT64_MAX - pos)
		u->left = (size_t)(INT64_MAX - pos);
	return 0;
}

/* Regular files: inode->lock is held, so that O_APPEND and the set-id bits are exact. */
static ssize_t write_regular(struct file *f, struct uio *u, uint64_t *pos, uint64_t limit)
{
	struct inode *inode = f->inode;
	ssize_t r;

	krwlock_write_lock(&inode->lock);
	if (file_io_flags(f, u) & O_APPEND)
		*pos = inode->size;
	r = limit_write(u, *pos, limit);
	if (r == 0 && u->left > 0)
		r = inode_strip_privs(inode, f->cred);
	if (r == 0)
		r = f->ops->write(f, u, pos);
	if (r > 0 && !inode->sb->own_times)
		inode->mtime = inode->ctime = kclock_realtime();
	krwlock_write_unlock(&inode->lock);
	return r;
}

ssize_t file_write(struct file *f, struct uio *u, uint64_t *pos, uint64_t fsize_limit)
{
	const bool own = !pos && !(f->mode & FMODE_STREAM);
	ssize_t r;

	if (!(f->mode & FMODE_WRITE))
		return -EBADF;
	if (pos && f->mode & FMODE_STREAM)
		return -ESPIPE;
	if (!f->ops->write)
		return -EINVAL;
	if (own) {
		kmutex_lock(&f->pos_lock);
		pos = &f->pos;
	}
	if (pos && (*pos > INT64_MAX || u->left > INT64_MAX - *pos))
		r = -EINVAL;
	else if (pos && is_kind(f, S_IFREG))
		r = write_regular(f, u, pos, fsize_limit);
	else
		r = f->ops->write(f, u, pos);
	if (own)
		kmutex_unlock(&f->pos_lock);
	if (r > 0)
		notify_path(&f->path, IN_MODIFY);
	return r;
}

ssize_t file_copy_range(struct file *in, uint64_t from, struct file *out, uint64_t to, uint64_t len,
			uint64_t fsize_limit)
{
	ssize_t r;

	if (in->ops != out->ops || !out->ops->copy_range || to > fsize_limit ||
	    len > fsize_limit - to)
		return -EOPNOTSUPP;
	krwlock_write_lock(&out->inode->lock);
	r = inode_strip_privs(out->inode, out->cred);
	if (r == 0)
		r = out->ops->copy_range(in, from, out, to, len);
	krwlock_write_unlock(&out->inode->lock);
	if (r > 0) {
		notify_path(&in->path, IN_ACCESS);
		notify_path(&out->path, IN_MODIFY);
	}
	return r;
}

ssize_t file_read_kernel(struct file *f, void *dst, size_t len, uint64_t offset)
{
	size_t done = 0;

	if (!f->ops->read)
		return is_kind(f, S_IFDIR) ? -EISDIR : -EINVAL;
	while (done < len) {
		uint64_t pos = offset + done;
		struct iovec single;
		struct uio u;
		ssize_t n;

		uio_init(&u, NULL, &single, (uintptr_t)dst + done, len - done);
		n = f->ops->read(f, &u, f->mode & FMODE_STREAM ? NULL : &pos);
		if (n < 0)
			return done ? (ssize_t)done : n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

uint32_t file_poll(struct file *f)
{
	return f->ops->poll ? f->ops->poll(f) : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

int64_t file_seek_size(struct file *f, int64_t offset, int whence, uint64_t size)
{
	int64_t base = 0;

	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		base = (int64_t)f->pos;
		break;
	case SEEK_END:
		base = (int64_t)size;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (offset < 0 || (uint64_t)offset >= size)
			return -ENXIO;
		if (whence == SEEK_HOLE)
			offset = (int64_t)size;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, offset, &offset) || offset < 0)
		return -EINVAL;
	f->pos = (uint64_t)offset;
	return offset;
}

int64_t file_seek(struct file *f, int64_t offset, int whence)
{
	int64_t r;

	if (f->mode & FMODE_STREAM)
		return -ESPIPE;
	kmutex_lock(&f->pos_lock);
	if (f->ops->seek) {
		r = f->ops->seek(f, offset, whence);
	} else if (!f->inode) {
		r = -ESPIPE;
	} else {
		r = 0;
		if (whence != SEEK_SET && whence != SEEK_CUR && f->inode->ops->getattr)
			r = f->inode->ops->getattr(f->inode);
		if (r == 0)
			r = file_seek_size(f, offset, whence, f->inode->size);
	}
	kmutex_unlock(&f->pos_lock);
	return r;
}

int file_iterate(struct file *f, struct dir_sink *sink)
{
	int r;

	if (!f->ops->iterate || !is_kind(f, S_IFDIR))
		return -ENOTDIR;
	kmutex_lock(&f->pos_lock);
	krwlock_read_lock(&f->inode->lock);
	if (f->path.dentry && f->path.dentry->unhashed)
		r = -ENOENT;
	else
		r = f->ops->iterate(f, sink);
	krwlock_read_unlock(&f->inode->lock);
	kmutex_unlock(&f->pos_lock);
	if (r >= 0) {
		touch_atime(f);
		notify_path(&f->path, IN_ACCESS);
	}
	return r;
}

int file_fallocate(struct file *f, int mode, uint64_t offset, uint64_t len, uint64_t fsize_limit)
{
	const int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE |
			  FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE |
			  FALLOC_FL_UNSHARE_RANGE;
	int r;

	if ((int64_t)offset < 0 || (int64_t)len <= 0)
		return -EINVAL;
	if (mode & ~known)
		return -EOPNOTSUPP;
	if (mode & FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (!(f->mode & FMODE_WRITE))
		return -EBADF;
	if (f->mode & FMODE_STREAM)
		return is_kind(f, S_IFIFO) ? -ESPIPE : -ENODEV;
	if (is_kind(f, S_IFDIR))
		return -EISDIR;
	if (!is_kind(f, S_IFREG))
		return -ENODEV;
	if (offset + len > INT64_MAX)
		return -EFBIG;
	if (!f->ops->fallocate)
		return -EOPNOTSUPP;
	krwlock_write_lock(&f->inode->lock);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && offset + len > f->inode->size &&
	    offset + len > fsize_limit)
		r = -EFSIZELIMIT;
	else
		r = inode_strip_privs(f->inode, f->cred);
	if (r == 0)
		r = f->ops->fallocate(f, mode, offset, len);
	if (r == 0 && !f->inode->sb->own_times)
		f->inode->mtime = f->inode->ctime = kclock_realtime();
	krwlock_write_unlock(&f->inode->lock);
	if (r == 0)
		notify_path(&f->path, IN_MODIFY);
	return r;
}

int file_set_flags(struct file *f, uint32_t flags)
{
	int r = 0;

	flags = (f->flags & ~(uint32_t)FILE_FLAGS_CHANGEABLE) | (flags & FILE_FLAGS_CHANGEABLE);
	if (f->ops->set_flags)
		r = f->ops->set_flags(f, flags);
	if (r == 0)
		f->flags = flags;
	return r;
}
