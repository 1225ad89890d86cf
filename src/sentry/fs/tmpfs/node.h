/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/tmpfs/node.h - the inodes of tmpfs, for the files of this folder only.
 */
#pragma once

#include "base/rbtree.h"
#include "sentry/fs/tmpfs/tmpfs.h"

#define TMPFS_DIRENT_SIZE 20u /* what st_size of a directory counts per name, as Linux does */

struct tmpfs_sb {
	struct superblock sb;
	uint64_t pages_max, pages; /* of 4096 bytes, data only */
	uint64_t inodes_max, inodes;
	uint32_t mode, uid, gid; /* of the root, for /proc/mounts */
	uint64_t size_shown;	 /* bytes; 0: not given */
	uint64_t inodes_shown;
	struct tmpfs_store *store; /* borrowed; NULL: memory */
};

/* A name in a directory: one reference on the inode. */
struct tmpfs_entry {
	struct rb_node by_name, by_cookie;
	struct list_head doomed;
	uint64_t cookie; /* its position for getdents(2); only grows */
	struct inode *inode;
	uint8_t len;
	char name[];
};

struct tmpfs_xattr {
	struct list_head node;
	size_t len;
	char *name;
	char *value;
};

struct tmpfs_inode {
	struct inode inode;
	struct list_head xattrs;
	size_t xattr_bytes;

	/* directories */
	struct rb_tree names, cookies;
	uint64_t next_cookie;
	struct inode *parent; /* not referenced: a directory is below its parent */
	size_t entries;

	/* symlinks */
	char *target;

	/* regular files: data or mem */
	char *data;
	size_t capacity;     /* bytes of data; behind the size they are zero */
	struct memfile *mem; /* once it is large or mapped */
	uint64_t pages;	     /* charged to the superblock */
	unsigned int seals;
};

static inline struct tmpfs_inode *tmpfs_inode(const struct inode *inode)
{
	return container_of((struct inode *)(uintptr_t)inode, struct tmpfs_inode, inode);
}
static inline struct tmpfs_sb *tmpfs_sb(const struct superblock *sb)
{
	return container_of((struct superblock *)(uintptr_t)sb, struct tmpfs_sb, sb);
}

/* super.c: 0, -ENOSPC, -ENOMEM. */
int tmpfs_inode_new(struct tmpfs_sb *sb, uint32_t mode, const struct cred *cred,
		    struct tmpfs_inode **ret);

/* data.c */
extern const struct file_ops tmpfs_file_ops;
int tmpfs_data_resize(struct tmpfs_inode *t, uint64_t size);
void tmpfs_data_free(struct tmpfs_inode *t);
int tmpfs_data_refresh(struct tmpfs_inode *t); /* blocks, after mappings were written */

/* dir.c */
extern const struct inode_ops tmpfs_dir_ops;
extern const struct inode_ops tmpfs_file_inode_ops;
extern const struct inode_ops tmpfs_symlink_ops;
extern const struct inode_ops tmpfs_special_ops;
extern const struct file_ops tmpfs_dir_file_ops;
void tmpfs_dir_free(struct tmpfs_inode *t);

/* xattr.c */
ssize_t tmpfs_getxattr(struct inode *inode, const char *name, void *value, size_t size);
int tmpfs_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
		   int flags);
ssize_t tmpfs_listxattr(struct inode *inode, char *list, size_t size);
int tmpfs_removexattr(struct inode *inode, const char *name);
void tmpfs_xattrs_free(struct tmpfs_inode *t);

/* inode.c */
int tmpfs_getattr(struct inode *inode);
int tmpfs_setattr(struct inode *inode, const struct setattr *attr);
int tmpfs_open(struct inode *inode, uint32_t flags, struct file **ret);
void tmpfs_evict(struct inode *inode);
