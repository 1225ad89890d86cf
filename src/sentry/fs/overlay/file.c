/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/overlay/file.c - everything but directories. An open file is one of the real inode: its
 * file->inode is the real one, file->path leads to ours.
 */
#include <errno.h>

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

static int file_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	struct ovl_inode *o = ovl_inode(inode);
	int r = 0;

	if ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC)
		r = ovl_copy_up(o, flags & O_TRUNC ? 0 : UINT64_MAX);
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
