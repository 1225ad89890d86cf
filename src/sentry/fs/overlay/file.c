/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/overlay/file.c - everything but directories. An open file is one of the real inode: its
 * file->inode is the real one, file->path leads to ours. What is open for reading alone and may
 * still be copied up has a file of ours around the lower one, which reads the upper one from then
 * on, as Linux does; mappings keep the pages that they had.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/fs/devtmpfs/chrdev.h"
#include "sentry/fs/overlay/node.h"

int ovl_open_real(struct inode *real, uint32_t flags, struct file **ret)
{
	struct file *f;
	int r;

	if (!real->ops->open)
		return -ENXIO;
	r = real->ops->open(real, flags, &f);
	if (r < 0)
		return r;
	if (!f->inode)
		f->inode = inode_ref(real);
	*ret = f;
	return 0;
}

/* Opened before a copy-up. Both stay open until the end: mappings are made of their descriptors. */
struct early_file {
	struct file file;	    /* its inode is that of the one at work */
	struct ovl_inode *o;	    /* one reference */
	struct file *lower, *upper; /* upper: NULL before the copy-up was seen */
};

static struct early_file *to_early(struct file *f)
{
	return container_of(f, struct early_file, file);
}

/* The file at work: 0, or what opening the upper one says. */
static int at_work(struct file *f, struct file **ret)
{
	struct early_file *e = to_early(f);
	struct inode *old;
	struct file *upper;
	int r;

	if (!e->upper && e->o->upper) {
		r = ovl_open_real(e->o->upper, f->flags, &upper);
		if (r < 0)
			return r;
		if (e->upper) { /* another thread was faster while this one waited */
			file_unref(upper);
		} else {
			e->upper = upper;
			old = f->inode;
			f->inode = inode_ref(e->o->upper);
			inode_unref(old);
		}
	}
	*ret = e->upper ? e->upper : e->lower;
	return 0;
}

static ssize_t early_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct file *real;
	const int r = at_work(f, &real);

	if (r < 0)
		return r;
	return real->ops->read ? real->ops->read(real, u, pos) : -EINVAL;
}

static int early_mmap(struct file *f, int prot, int flags, uint64_t offset, uint64_t len,
		      struct mmap_source *ret)
{
	struct file *real;
	const int r = at_work(f, &real);

	if (r < 0)
		return r;
	return real->ops->mmap ? real->ops->mmap(real, prot, flags, offset, len, ret) : -ENODEV;
}

/* The position is ours; where data and holes are, the real one knows. */
static int64_t early_seek(struct file *f, int64_t offset, int whence)
{
	struct inode *inode;
	struct file *real;
	int64_t r = at_work(f, &real);

	if (r < 0)
		return r;
	if ((whence == SEEK_DATA || whence == SEEK_HOLE) && real->ops->seek) {
		real->pos = f->pos;
		r = real->ops->seek(real, offset, whence);
		if (r >= 0)
			f->pos = (uint64_t)r;
		return r;
	}
	inode = real->inode;
	r = inode->ops->getattr ? inode->ops->getattr(inode) : 0;
	return r < 0 ? r : file_seek_size(f, offset, whence, inode->size);
}

static int early_fsync(struct file *f, bool data_only)
{
	struct file *real;
	const int r = at_work(f, &real);

	return r < 0 || !real->ops->fsync ? r : real->ops->fsync(real, data_only);
}

static void early_release(struct file *f)
{
	struct early_file *e = to_early(f);

	file_unref(e->lower);
	file_unref(e->upper);
	inode_unref(&e->o->inode);
	file_fini(f);
	free(e);
}

static const struct file_ops early_ops = {
	.read = early_read,
	.mmap = early_mmap,
	.seek = early_seek,
	.fsync = early_fsync,
	.release = early_release,
};

static int open_early(struct ovl_inode *o, uint32_t flags, struct file **ret)
{
	struct early_file *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	r = ovl_open_real(o->lower, flags, &e->lower);
	if (r < 0) {
		free(e);
		return r;
	}
	file_init(&e->file, &early_ops, NULL, NULL, flags);
	e->file.inode = inode_ref(e->lower->inode);
	e->file.mode = e->lower->mode;
	e->o = ovl_inode(inode_ref(&o->inode));
	*ret = &e->file;
	return 0;
}

static int file_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	struct ovl_inode *o = ovl_inode(inode);
	int r = 0;

	if ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC)
		r = ovl_copy_up(o, flags & O_TRUNC ? 0 : UINT64_MAX);
	else if (!o->upper && ovl_sb(inode->sb)->writable)
		return open_early(o, flags, ret);
	return r < 0 ? r : ovl_open_real(ovl_real(o), flags, ret);
}

static int symlink_readlink(struct inode *inode, char **ret)
{
	struct inode *real = ovl_real(ovl_inode(inode));

	return real->ops->readlink ? real->ops->readlink(real, ret) : -EINVAL;
}

static int node_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	return S_ISCHR(inode->mode) ? chrdev_open(inode, flags, ret) : -ENXIO;
}

const struct inode_ops ovl_file_ops = {
	.open = file_open,
	OVL_COMMON_OPS,
};

const struct inode_ops ovl_symlink_ops = {
	.readlink = symlink_readlink,
	OVL_COMMON_OPS,
};

static int node_connect(struct inode *inode, int type, int *ret_fd)
{
	struct inode *real = ovl_real(ovl_inode(inode));

	return real->ops->connect ? real->ops->connect(real, type, ret_fd) : -ECONNREFUSED;
}

const struct inode_ops ovl_special_ops = {
	.connect = node_connect,
	.open = node_open,
	OVL_COMMON_OPS,
};
