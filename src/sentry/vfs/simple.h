/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/simple.h - operations for filesystems that keep nothing of their own: inodes and open
 * files that are a plain struct inode and struct file on the heap, directories whose position is a
 * number of their choice (what Linux has in fs/libfs.c).
 */
#pragma once

#include "sentry/vfs/dentry.h"
#include "sentry/vfs/file.h"

/* The attributes of attr->mask but the size go into the inode. 0. inode_ops.setattr. */
int simple_setattr(struct inode *inode, const struct setattr *attr);

/* inode_ops.evict and file_ops.release of what is embedded in nothing, or first in its embedder. */
void simple_evict(struct inode *inode);
void simple_release(struct file *f);

/* An open file with these operations and no path yet, for inode_ops.open. 0, -ENOMEM. */
int simple_open(const struct file_ops *ops, uint32_t flags, struct file **ret);

/* file_ops.seek of a directory: SEEK_SET and SEEK_CUR, any position. -EINVAL. */
int64_t simple_dir_seek(struct file *f, int64_t offset, int whence);

/* One entry, NUL-terminated, then the directory stands at next. False: the sink is full. */
bool simple_emit(struct file *f, struct dir_sink *sink, const char *name, uint64_t ino,
		 unsigned int type, uint64_t next);

#define SIMPLE_ROOT_INO 1

/* sb->root: a directory of root's with inode number SIMPLE_ROOT_INO. 0, -ENOMEM. */
int simple_root(struct superblock *sb, const struct inode_ops *ops, uint32_t permissions);
