/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/superblock.h - one instance of a filesystem, and the list of types.
 */
#pragma once

#include "sentry/vfs/inode.h"

/* "sync", "dirsync" and "lazytime" (mount(2)). */
#define SUPERBLOCK_MS_FLAGS ((uint64_t)(MS_SYNCHRONOUS | MS_DIRSYNC | MS_LAZYTIME))

struct superblock_ops {
	int (*statfs)(struct superblock *sb, struct statfs *ret); /* [f_type, zeros] */
	int (*sync)(struct superblock *sb);			  /* [0] */
	/* Options as /proc/mounts shows them, after "rw" or "ro": ",size=64k". */
	int (*show_options)(struct superblock *sb, char *buf, size_t len);
	/* MS_REMOUNT: new options text. [0] */
	int (*remount)(struct superblock *sb, const char *data);
	/*
	 * Is a cached dentry still right? Called before its use in a walk when revalidate is set.
	 * 1: yes; 0: look it up again; -errno. May park. [yes]
	 */
	int (*revalidate)(struct dentry *dentry);
	/* The last reference is gone. Frees sb. */
	void (*put)(struct superblock *sb);
};

struct superblock {
	const struct superblock_ops *ops;
	unsigned int refs;
	const char *type; /* name in /proc/mounts; static */
	uint64_t dev;	  /* st_dev */
	uint64_t magic;	  /* f_type of statfs(2) */
	uint32_t max_links;
	struct dentry *root; /* set by the mounter; holds the tree */
	struct kmutex rename_lock;
	uint64_t next_ino;
	bool no_negative;  /* negative dentries may not be kept (shared volumes, proc) */
	bool no_cache;	   /* no dentry is kept beyond its last reference (proc) */
	bool own_times;	   /* the filesystem keeps atime and mtime of reads and writes itself */
	bool strips_caps;  /* a write ends a file's capabilities below us (a host's file) */
	bool rdonly;	   /* EROFS for every mount of it */
	bool nodev;	   /* device nodes are not opened: as MOUNT_NODEV for every mount of it */
	uint64_t ms_flags; /* of SUPERBLOCK_MS_FLAGS: shown; no file of ours waits for a write */
	bool anonymous;	   /* pipes, sockets: never mounted in a namespace */

	struct superblock
		*covers;       /* an overlay's lower one, whose inodes its names keep; or NULL */
	unsigned int overlays; /* that it consists of, one on the other */

	struct user_ns *user_ns; /* of who mounted it; one reference, NULL: the initial one */

	unsigned int active;  /* mounts; owned by vfs/mount */
	unsigned int writers; /* files open for writing; owned by vfs/open */
	void *priv;
};

void superblock_init(struct superblock *sb, const struct superblock_ops *ops, const char *type,
		     uint64_t magic); /* refs 1, a dev number of its own */
struct superblock *superblock_ref(struct superblock *sb);
void superblock_unref(struct superblock *sb); /* accepts NULL */

struct filesystem_type {
	const char *name;
	bool needs_device; /* shown without "nodev" in /proc/filesystems */
	bool user_mount;   /* may be mounted in a user namespace */
	/*
	 * Make an instance. source and data are mount(2)'s; data is text. *ret has its root dentry.
	 */
	int (*mount)(const struct filesystem_type *type, const char *source, const char *data,
		     const struct cred *cred, struct superblock **ret);
	struct list_head node;
};

/* The list of boot/: types are static and never leave. */
void filesystem_register(struct filesystem_type *type);
struct filesystem_type *filesystem_find(const char *name);
struct filesystem_type *filesystem_next(struct filesystem_type *after); /* NULL: the first */
