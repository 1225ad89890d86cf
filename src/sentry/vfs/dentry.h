/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/dentry.h - the cache of names, mounts, and pairs of both: paths.
 *
 * A dentry is a name in a directory; without an inode it is negative. Children hold a reference on
 * their parent. Unused dentries stay cached (least recently used out first, bounded by
 * DENTRY_CACHE_MAX) unless their superblock forbids it.
 */
#pragma once

#include "sentry/vfs/superblock.h"

#define DENTRY_CACHE_MAX 65536

struct dentry {
	unsigned int refs;
	struct superblock *sb;
	struct inode *inode;   /* NULL: negative; one reference */
	struct dentry *parent; /* itself at a root; one reference otherwise */
	char *name;	       /* owned, NUL-terminated; "/" at a root */
	uint8_t name_len;
	bool unhashed;	     /* unlinked: "(deleted)" in /proc */
	unsigned int mounts; /* mounts on it in any namespace */
	uint32_t hash;
	struct list_head hash_node, lru_node;
	struct list_head children, sibling;
	void *priv; /* the filesystem's */
};

struct mount {
	unsigned int refs;
	int id;
	struct superblock *sb;
	struct dentry *root;	   /* shown part of the filesystem */
	struct mount *parent;	   /* NULL: detached, or the root of a namespace */
	struct dentry *mountpoint; /* in parent */
	char *source;		   /* for /proc/mounts */
	uint32_t flags;		   /* MOUNT_* below */
	unsigned int writers;	   /* files open for writing through it */
	struct mount_ns *ns;
	struct list_head child_node, children;
	struct list_head ns_node;
	struct peer_group *peers;  /* shared, NULL: not */
	struct peer_group *master; /* slave of, NULL: not */
	struct list_head peer_node, slave_node;
	bool unbindable;
	bool heard;	    /* while an audience is gathered: vfs/propagate.c */
	struct mount *copy; /* while a tree is copied */
	bool held;	    /* detached, and its reference a file's: vfs/mount_api.c */
};

enum mount_flags {
	MOUNT_RDONLY = 1u << 0,
	MOUNT_NOSUID = 1u << 1,
	MOUNT_NODEV = 1u << 2,
	MOUNT_NOEXEC = 1u << 3,
	MOUNT_NOATIME = 1u << 4,
	MOUNT_NODIRATIME = 1u << 5,
	MOUNT_RELATIME = 1u << 6,
	MOUNT_NOSYMFOLLOW = 1u << 7,
	MOUNT_LOCKED = 1u << 8,	    /* may not be unmounted from inside: it hides something */
	MOUNT_LOCK_FLAGS = 1u << 9, /* its restrictions may not be taken away */
};

struct path {
	struct mount *mnt;
	struct dentry *dentry;
};

struct mount_ns {
	unsigned int refs;
	uint64_t id; /* inode of /proc/PID/ns/mnt */
	struct mount *root;
	struct list_head mounts; /* in order of mounting */
	unsigned int count;
	struct waitq changed;	 /* poll(2) of /proc/mounts */
	struct user_ns *user_ns; /* one reference; NULL: the initial one */
};

/* A root dentry for a superblock: takes the reference on inode. NULL: out of memory. */
struct dentry *dentry_new_root(struct superblock *sb, struct inode *inode);
struct dentry *dentry_ref(struct dentry *d);
void dentry_unref(struct dentry *d);

/*
 * Free up to max dentries of sb that nobody references, spread over all ages; returns how many. For
 * a filesystem whose inodes hold something scarce. May park.
 */
unsigned int dentry_prune(struct superblock *sb, unsigned int max);

struct path path_ref(const struct path *p);
/* Replace *p by what is mounted on it, however often. */
void path_follow_mounts(struct path *p);
void path_unref(struct path *p); /* and empties it; accepts an empty one */
static inline bool path_equal(const struct path *a, const struct path *b)
{
	return a->mnt == b->mnt && a->dentry == b->dentry;
}

/*
 * The path as text as seen from root: "/a/b", with " (deleted)" as Linux does; "(unreachable)/..."
 * where root does not reach. *ret is the caller's. 0, -ENOMEM, -ENAMETOOLONG.
 */
int path_to_text(const struct path *p, const struct path *root, char **ret);
