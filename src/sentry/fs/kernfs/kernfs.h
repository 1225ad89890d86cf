/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/kernfs/kernfs.h - synthetic trees: proc, sysfs, cgroup.
 *
 * A tree is described by tables of struct kern_node: directories with fixed children and, if they
 * have lookup() and next(), computed ones; text files; symlinks; links that lead to objects; files
 * that open themselves. An inode is a node and the object that it is about (a process, a
 * container), which fixed children inherit. Inodes are made at lookup and forgotten with their last
 * reference; an inode number is a hash of the way to it, so it stays the same.
 *
 * A text is made whole when it is read from position 0 and kept in the open file until then, as
 * Linux's seq_file does. What is written arrives as one piece per write(2), NUL-terminated and not
 * longer than KERN_STORE_MAX (-EINVAL).
 */
#pragma once

#include "base/buf.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/file.h"

#define KERN_STORE_MAX 4096u	   /* bytes of one write */
#define KERN_TEXT_MAX  (16u << 20) /* bytes of one text */
#define KERN_NAME_MAX  64u	   /* of a computed entry, with the NUL */

struct kern_inode;

/* A computed directory entry. */
struct kern_entry {
	char name[KERN_NAME_MAX];
	unsigned int type; /* DT_* */
};

/* A NULL operation means what its comment says; out-parameters are set on success only. */
struct kern_node {
	const char *name; /* NULL ends a table */
	uint32_t mode;	  /* type and permissions */
	const void *data; /* for the callbacks */

	/* Directories. */
	const struct kern_node *children; /* NULL: none */
	/* A child that is not in the table: kern_inode_new(). [-ENOENT] */
	int (*lookup)(struct kern_inode *dir, const struct vfs_name *name, struct inode **ret);
	/* The first computed entry with a key >= *key: 1 and its key; 0: no more. [0] */
	int (*next)(struct kern_inode *dir, uint64_t *key, struct kern_entry *ret);
	/* Is the fixed child there for this object? [yes] */
	bool (*hidden)(struct kern_inode *dir, const struct kern_node *child);

	/* Text files. */
	int (*show)(struct kern_inode *ki, struct buf *b);			     /* [-EINVAL] */
	int (*store)(struct kern_inode *ki, struct file *f, char *text, size_t len); /* [-EINVAL] */

	/* Symlinks: inode_ops.readlink and follow. A fixed target may stand in data instead. */
	int (*readlink)(struct kern_inode *ki, char **ret);
	int (*follow)(struct kern_inode *ki, struct path *ret);

	/* Instead of a text file. */
	int (*open)(struct kern_inode *ki, uint32_t flags, struct file **ret);
	/* Before a text file or a directory is opened. [0] */
	int (*may_open)(struct kern_inode *ki, uint32_t flags);

	int (*permission)(struct kern_inode *ki, const struct cred *cred, unsigned int mask);
	int (*getattr)(struct kern_inode *ki);
};

#define KERN_DIR(name_, mode_, children_)                                           \
	{                                                                           \
		.name = (name_), .mode = S_IFDIR | (mode_), .children = (children_) \
	}
#define KERN_SHOW(name_, mode_, show_)                                      \
	{                                                                   \
		.name = (name_), .mode = S_IFREG | (mode_), .show = (show_) \
	}
#define KERN_RW(name_, mode_, show_, store_)                                                   \
	{                                                                                      \
		.name = (name_), .mode = S_IFREG | (mode_), .show = (show_), .store = (store_) \
	}
/* A constant text. */
#define KERN_TEXT(name_, mode_, text_)                                              \
	{                                                                           \
		.name = (name_), .mode = S_IFREG | (mode_), .show = kern_show_data, \
		.data = (text_)                                                     \
	}
/* A symlink with a constant target. */
#define KERN_LINK(name_, target_)                                          \
	{                                                                  \
		.name = (name_), .mode = S_IFLNK | 0777, .data = (target_) \
	}

struct kernfs_ops {
	/* References on the objects of inodes; obj may be NULL. [no counting] */
	void (*obj_ref)(void *obj);
	void (*obj_unref)(void *obj);
	/* Owner of a new inode. [root] */
	void (*owner)(struct kern_inode *ki);
	/* The superblock's private pointer goes away. [nothing] */
	void (*free_info)(void *info);
	int (*revalidate)(struct dentry *dentry);
	int (*show_options)(struct superblock *sb, char *buf, size_t len);
	int (*remount)(struct superblock *sb, const char *data);
};

/* One mounted tree. */
struct kernfs {
	struct superblock sb;
	struct superblock_ops sb_ops;
	const struct kernfs_ops *ops;
	void *info; /* the filesystem's */
};

struct kern_inode {
	struct inode inode;
	const struct kern_node *node;
	void *obj;    /* one reference */
	uint64_t arg; /* more of what it is about: a descriptor's number, a CPU */
};

/*
 * A superblock with its root directory. Takes info (freed on failure too). magic is statfs(2)'s.
 * 0, -ENOMEM.
 */
int kernfs_mount(const char *type, uint64_t magic, const struct kernfs_ops *ops, void *info,
		 const struct kern_node *root, struct superblock **ret);

static inline struct kernfs *kernfs_of(const struct inode *inode)
{
	return container_of(inode->sb, struct kernfs, sb);
}
static inline struct kern_inode *kern_inode_of(struct inode *inode)
{
	return container_of(inode, struct kern_inode, inode);
}
/* The inode of a dentry of a kernfs; NULL when the dentry is negative. */
struct kern_inode *kern_inode_of_dentry(const struct dentry *d);

/* For lookup(): an inode of this name below dir. Takes its own reference on obj. */
int kern_inode_new(struct kern_inode *dir, const struct vfs_name *name,
		   const struct kern_node *node, void *obj, uint64_t arg, struct inode **ret);

/* The object that an open file of a kernfs is about. */
static inline struct kern_inode *kern_file_inode(struct file *f)
{
	return kern_inode_of(f->inode);
}

bool vfs_name_is(const struct vfs_name *name, const char *text);
/* A decimal number without sign or leading zeros. -ENOENT when it is none or exceeds max. */
int vfs_name_number(const struct vfs_name *name, uint64_t max, uint64_t *ret);

/* show() of a constant text in node->data. */
int kern_show_data(struct kern_inode *ki, struct buf *b);

/* A whole decimal number in what was written, white space around it; -EINVAL, -ERANGE. */
int kern_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret);

/* kernfs_file.c: inode_ops.open of directories and text files. */
int kern_open(struct inode *inode, uint32_t flags, struct file **ret);
uint64_t kern_child_ino(const struct inode *dir, const char *name, size_t len);
