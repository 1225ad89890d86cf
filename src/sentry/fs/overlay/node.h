/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/overlay/node.h - inodes of the overlay, for the files of this folder only.
 */
#pragma once

#include "sentry/fs/overlay/overlay.h"
#include "sentry/vfs/file.h"

#define OVL_BUCKETS	 4096u
#define OVL_XATTR_PREFIX "trusted.overlay."
#define OVL_XATTR_OPAQUE OVL_XATTR_PREFIX "opaque"
#define OVL_XATTR_INO	 OVL_XATTR_PREFIX "ino" /* 8 bytes: the number before the copy-up */
#define OVL_UPPER_INO	 (1ull << 62)		/* in numbers of what was made here */

struct ovl_sb {
	struct superblock sb;
	struct path lower, upper; /* references; upper may be empty */
	char *options;		  /* as they were given, or NULL */
	bool writable;
	const struct cred *mounter; /* of a user namespace, whose rights copies need; or NULL */
	struct kmutex copy_lock;    /* one copy-up at a time; inside of overlay inodes' locks */
	struct list_head *buckets;  /* by real inode */
};

struct ovl_inode {
	struct inode inode;
	struct list_head node;	     /* in buckets */
	struct inode *upper, *lower; /* references; one of them at least */
	struct ovl_inode *parent;    /* while there is no upper: where its copy goes; a reference */
	char name[VFS_NAME_MAX];
	uint8_t name_len;
	bool unlinked; /* its copy has no name */
};

static inline struct ovl_inode *ovl_inode(const struct inode *inode)
{
	return container_of((struct inode *)(uintptr_t)inode, struct ovl_inode, inode);
}
static inline struct ovl_sb *ovl_sb(const struct superblock *sb)
{
	return container_of((struct superblock *)(uintptr_t)sb, struct ovl_sb, sb);
}
static inline struct inode *ovl_real(const struct ovl_inode *o)
{
	return o->upper ? o->upper : o->lower;
}

/* inode.c */
/* Takes over the references on upper and lower in any case. parent may be NULL for the root. */
int ovl_inode_get(struct ovl_sb *sb, struct inode *upper, struct inode *lower,
		  struct ovl_inode *parent, const struct vfs_name *name, struct inode **ret);
void ovl_sync(struct ovl_inode *o); /* attributes from the real inode */
void ovl_rehash(struct ovl_inode *o);
int ovl_getattr(struct inode *inode);
int ovl_setattr(struct inode *inode, const struct setattr *attr);
int ovl_permission(struct inode *inode, const struct cred *cred, unsigned int mask);
ssize_t ovl_getxattr(struct inode *inode, const char *name, void *value, size_t size);
int ovl_setxattr(struct inode *inode, const char *name, const void *value, size_t size, int flags);
ssize_t ovl_listxattr(struct inode *inode, char *list, size_t size);
int ovl_removexattr(struct inode *inode, const char *name);
void ovl_evict(struct inode *inode);
#define OVL_COMMON_OPS                                                                  \
	.getattr = ovl_getattr, .setattr = ovl_setattr, .permission = ovl_permission,   \
	.getxattr = ovl_getxattr, .setxattr = ovl_setxattr, .listxattr = ovl_listxattr, \
	.removexattr = ovl_removexattr, .evict = ovl_evict

/* copy_up.c: give an inode an upper one with the first max_bytes of its data. -EROFS. */
int ovl_copy_up(struct ovl_inode *o, uint64_t max_bytes);

/* dir.c */
extern const struct inode_ops ovl_dir_ops;
bool ovl_is_whiteout(const struct inode *inode);
bool ovl_is_opaque(struct inode *upper);
int ovl_set_opaque(struct inode *upper);

/* file.c */
extern const struct inode_ops ovl_file_ops;
extern const struct inode_ops ovl_symlink_ops;
extern const struct inode_ops ovl_special_ops;
/* An open description of a real inode, which stays its own. */
int ovl_open_real(struct inode *real, uint32_t flags, struct file **ret);

/* readdir.c */
int ovl_dir_open(struct inode *inode, uint32_t flags, struct file **ret);
/* 0: nothing but whiteouts is in the merged directory; -ENOTEMPTY. */
int ovl_dir_is_empty(struct ovl_inode *o);
/* Take the whiteouts out of an upper directory that is about to go. */
int ovl_dir_clear(struct inode *upper);
