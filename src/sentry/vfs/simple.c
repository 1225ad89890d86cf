/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/vfs/simple.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int simple_setattr(struct inode *inode, const struct setattr *attr)
{
	if (attr->mask & SETATTR_MODE)
		inode->mode = (inode->mode & S_IFMT) | (attr->mode & 07777);
	if (attr->mask & SETATTR_UID)
		inode->uid = attr->uid;
	if (attr->mask & SETATTR_GID)
		inode->gid = attr->gid;
	if (attr->mask & SETATTR_ATIME)
		inode->atime = attr->atime;
	if (attr->mask & SETATTR_MTIME)
		inode->mtime = attr->mtime;
	if (attr->mask & SETATTR_CTIME)
		inode->ctime = attr->ctime;
	return 0;
}

void simple_evict(struct inode *inode)
{
	inode_fini(inode);
	free(inode);
}

void simple_release(struct file *f)
{
	file_fini(f);
	free(f);
}

int simple_open(const struct file_ops *ops, uint32_t flags, struct file **ret)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	file_init(f, ops, NULL, NULL, flags);
	*ret = f;
	return 0;
}

int64_t simple_dir_seek(struct file *f, int64_t offset, int whence)
{
	if (whence == SEEK_CUR && __builtin_add_overflow(offset, (int64_t)f->pos, &offset))
		return -EINVAL;
	if ((whence != SEEK_SET && whence != SEEK_CUR) || offset < 0)
		return -EINVAL;
	f->pos = (uint64_t)offset;
	return offset;
}

bool simple_emit(struct file *f, struct dir_sink *sink, const char *name, uint64_t ino,
		 unsigned int type, uint64_t next)
{
	if (!sink->emit(sink, name, strlen(name), ino, type, next))
		return false;
	f->pos = next;
	return true;
}

int simple_root(struct superblock *sb, const struct inode_ops *ops, uint32_t permissions)
{
	struct inode *root = calloc(1, sizeof(*root));

	if (!root)
		return -ENOMEM;
	inode_init(root, sb, ops, SIMPLE_ROOT_INO, S_IFDIR | permissions, NULL);
	root->nlink = 2;
	sb->root = dentry_new_root(sb, root);
	inode_unref(root);
	return sb->root ? 0 : -ENOMEM;
}
