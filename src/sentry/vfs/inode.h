/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/inode.h - what a filesystem implements: names and inodes, never paths.
 *
 * The VFS walks paths, follows symlinks, checks permissions, sticky bits and mounts before it calls
 * an op; a filesystem sees one name in one directory. Returns: 0 or -errno. Out-parameters are set
 * on success only; a returned pointer carries one reference. A NULL op means the errno in brackets.
 * A filesystem embeds struct inode in its own and gets back with container_of.
 *
 * Locks: operations on a directory are entered with dir->lock held (read for lookup and iterate,
 * write for the rest; rename: both directories, the upper one first, else the lower address, under
 * the superblock's rename lock), and a directory that goes below its parent. Ops may park.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>
#include <time.h>

#include "sentry/core/cred.h"
#include "sentry/core/fiber.h"
#include "sentry/core/kmutex.h"
#include "sentry/core/waitq.h"

#define VFS_NAME_MAX 255  /* bytes without the NUL; NAME_MAX */
#define VFS_PATH_MAX 4096 /* bytes with the NUL; PATH_MAX */

struct file;
struct dentry;
struct mount;
struct superblock;
struct inode;
struct path;
struct lock_context; /* vfs/locks: POSIX, OFD and flock locks of an inode */
struct watch_list;   /* vfs/inotify */

struct vfs_name {
	const char *bytes; /* not NUL-terminated; no '/', never "." or ".." */
	uint8_t len;	   /* 1..VFS_NAME_MAX */
};

/* Who asks, for everything that needs to know. Built by task_vfs_ctx(). */
struct vfs_ctx {
	const struct cred *cred;
	const struct path *root;
	const struct path *cwd;
	uint32_t umask;
	uint64_t fsize_limit; /* RLIMIT_FSIZE in bytes */
};

enum setattr_mask {
	SETATTR_MODE = 1u << 0,
	SETATTR_UID = 1u << 1,
	SETATTR_GID = 1u << 2,
	SETATTR_SIZE = 1u << 3,
	SETATTR_ATIME = 1u << 4,
	SETATTR_MTIME = 1u << 5,
	SETATTR_CTIME = 1u << 6,
};

/* Times of inodes are signed: nanoseconds from the epoch, two's complement, saturating. */
static inline nsec_t inode_time(const struct timespec *ts)
{
	const int64_t sec_max = INT64_MAX / (int64_t)NSEC_PER_SEC - 1;
	int64_t sec = ts->tv_sec;

	if (sec > sec_max)
		sec = sec_max;
	if (sec < -sec_max)
		sec = -sec_max;
	return (nsec_t)(sec * (int64_t)NSEC_PER_SEC + ts->tv_nsec);
}
static inline struct timespec inode_timespec(nsec_t time)
{
	int64_t sec = (int64_t)time / (int64_t)NSEC_PER_SEC;
	int64_t nsec = (int64_t)time % (int64_t)NSEC_PER_SEC;

	if (nsec < 0) {
		nsec += (int64_t)NSEC_PER_SEC;
		sec--;
	}
	return (struct timespec){ .tv_sec = sec, .tv_nsec = nsec };
}

struct setattr {
	uint32_t mask; /* enum setattr_mask: which of the following count */
	uint32_t mode; /* permission and set-id bits only */
	uint32_t uid, gid;
	uint64_t size;
	nsec_t atime, mtime, ctime; /* since the epoch */
};

/* Where directory entries go. emit() returns false when the buffer is full: iterate then stops. */
struct dir_sink {
	bool (*emit)(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		     unsigned int type /* DT_* */, uint64_t next_pos);
};

struct inode_ops {
	/* Find a child. -ENOENT if there is none. [ENOTDIR] */
	int (*lookup)(struct inode *dir, const struct vfs_name *name, struct inode **ret);

	/* Make a regular file, fifo, socket or device node: mode has the type. -EEXIST. [EPERM] */
	int (*mknod)(struct inode *dir, const struct vfs_name *name, uint32_t mode, uint64_t rdev,
		     const struct cred *cred, struct inode **ret);
	/* A socket that the host finds, too: *ret_fd, the caller's, gets what it sends; type is
	 * SOCK_*. [mknod()] */
	int (*bind)(struct inode *dir, const struct vfs_name *name, uint32_t mode, int type,
		    const struct cred *cred, struct inode **ret, int *ret_fd);
	int (*mkdir)(struct inode *dir, const struct vfs_name *name, uint32_t mode,
		     const struct cred *cred, struct inode **ret); /* [EPERM] */
	int (*symlink)(struct inode *dir, const struct vfs_name *name, const char *target,
		       const struct cred *cred, struct inode **ret); /* [EPERM] */
	int (*link)(struct inode *dir, const struct vfs_name *name,
		    struct inode *target); /* [EPERM] */

	/* Remove a name; the inode lives until its last reference goes. rmdir: -ENOTEMPTY. [EPERM]
	 */
	int (*unlink)(struct inode *dir, const struct vfs_name *name, struct inode *victim);
	int (*rmdir)(struct inode *dir, const struct vfs_name *name, struct inode *victim);

	/* flags: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT. `replaced` may be NULL.
	 * [EPERM] */
	int (*rename)(struct inode *old_dir, const struct vfs_name *old_name, struct inode *moved,
		      struct inode *new_dir, const struct vfs_name *new_name,
		      struct inode *replaced, uint32_t flags);

	/* An unnamed file for O_TMPFILE in this directory. [EOPNOTSUPP] */
	int (*tmpfile)(struct inode *dir, uint32_t mode, const struct cred *cred,
		       struct inode **ret);

	/* The target, NUL-terminated, at most VFS_PATH_MAX bytes with it; *ret is the caller's.
	 * [EINVAL] */
	int (*readlink)(struct inode *inode, char **ret);

	/* A link that leads to an object instead of a name (/proc/PID/fd/N). *ret: references.
	 * [none] */
	int (*follow)(struct inode *inode, struct path *ret);

	/* Bring the attribute fields below up to date. [they are] */
	int (*getattr)(struct inode *inode);

	/* Change what attr->mask names; the VFS has judged permission. [EPERM] */
	int (*setattr)(struct inode *inode, const struct setattr *attr);

	/* An open file description. flags are O_*; the VFS has judged permission and truncates.
	 * [ENXIO] */
	int (*open)(struct inode *inode, uint32_t flags, struct file **ret);

	/* A socket of the host behind this node: a connected descriptor, the caller's; type is
	 * SOCK_*. [ECONNREFUSED] */
	int (*connect)(struct inode *inode, int type, int *ret_fd);

	/* More than mode bits decide (proc). mask: MAY_READ|WRITE|EXEC. [generic check] */
	int (*permission)(struct inode *inode, const struct cred *cred, unsigned int mask);

	/* Extended attributes: sizes in bytes; -ENODATA, -ERANGE (size 0 asks for the size).
	 * [EOPNOTSUPP] */
	ssize_t (*getxattr)(struct inode *inode, const char *name, void *value, size_t size);
	int (*setxattr)(struct inode *inode, const char *name, const void *value, size_t size,
			int flags);
	ssize_t (*listxattr)(struct inode *inode, char *list, size_t size);
	int (*removexattr)(struct inode *inode, const char *name);

	/* The last reference is gone: free private state and the inode. Must not fail, may park. */
	void (*evict)(struct inode *inode);
};

#define MAY_EXEC  1u
#define MAY_WRITE 2u
#define MAY_READ  4u

struct inode {
	/* immutable */
	const struct inode_ops *ops;
	struct superblock *sb; /* one reference */
	uint64_t ino;
	uint64_t rdev; /* device nodes: makedev(3) encoding of the guest (new_encode_dev) */

	unsigned int refs;

	/* attributes: written by the filesystem (getattr, setattr and its own changes) */
	uint32_t mode; /* type and permissions */
	uint32_t uid, gid;
	uint32_t nlink;
	uint64_t size;	 /* bytes */
	uint64_t blocks; /* of 512 bytes */
	nsec_t atime, mtime, ctime, btime;

	/* owned by the VFS */
	struct krwlock lock;	    /* directories: names; files: size changes */
	struct lock_context *locks; /* NULL: none; see locks_at */
	struct watch_list *watches; /* NULL: none */
	struct list_head leases;    /* struct lease of vfs/lease */
	struct waitq lease_waiters;
	unsigned int opens;		     /* descriptions of a regular file */
	unsigned int writers, denied_writes; /* ETXTBSY: open for writing; running as a program */
	unsigned int writable_maps;	     /* shared mappings that may write; counted by mm */
	uint8_t write_hint;		     /* RWH_* of F_SET_RW_HINT, kept and told */
	bool tmpfile_linkable;		     /* O_TMPFILE without O_EXCL */
	bool no_caps;			     /* known to have none; owned by vfs/file_caps */
	bool layered; /* a directory whose names an overlay changes: no cached one is believed */
	void *bound;  /* unix socket bound here, or the fifo's pipe; see vfs/special.h */
	/* Those of all inodes of this file; NULL: ours. By the filesystem */
	void **bound_at;
	struct lock_context **locks_at;
};

/* Where that hangs; its address is also what names a mapped file for futexes. */
static inline void **inode_bound(struct inode *inode)
{
	return inode->bound_at ? inode->bound_at : &inode->bound;
}

/* Fill the fields that every filesystem fills alike; refs is 1, times are now. Takes a reference
 * on sb. */
void inode_init(struct inode *inode, struct superblock *sb, const struct inode_ops *ops,
		uint64_t ino, uint32_t mode, const struct cred *cred);
/* What inode_init() took; evict() calls it before it frees. */
void inode_fini(struct inode *inode);

struct inode *inode_ref(struct inode *inode);
void inode_unref(struct inode *inode); /* accepts NULL */

/* ops->permission if there is one, else the generic check. 0, -EACCES, -EPERM. */
int inode_permission(struct inode *inode, const struct cred *cred, unsigned int mask);
/* Check of path_resolution(7) by mode bits, with CAP_DAC_OVERRIDE and DAC_READ_SEARCH. */
int inode_permission_generic(const struct inode *inode, const struct cred *cred, unsigned int mask);

/* The owner, or CAP_FOWNER. */
/* capable_wrt_inode_uidgid() of Linux: the capability counts for files of mapped owners. */
bool inode_capable(const struct inode *inode, const struct cred *cred, unsigned int cap);
bool inode_owner_or_capable(const struct inode *inode, const struct cred *cred);

/* The group and mode of a new child: BSD semantics of a set-gid directory, umask is applied
 * before. */
void inode_init_owner(struct inode *child, const struct inode *dir, const struct cred *cred);
