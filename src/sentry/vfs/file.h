/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/file.h - open file descriptions.
 *
 * An implementation embeds struct file. Reference counted; release() runs when the last descriptor,
 * mapping or message in flight is gone.
 */
#pragma once

#include <fcntl.h>

#include "base/cleanup.h"
#include "sentry/mem/memfile.h"
#include "sentry/mem/user_memory.h"
#include "sentry/vfs/dentry.h"

struct file;

/* What a mapping of a file is made of. */
struct mmap_source {
	int host_fd;	 /* borrowed from the file; its access is no more than the mapping needs */
	uint64_t offset; /* of the mapping's start in host_fd, bytes */
	bool anonymous;	 /* /dev/zero: map private anonymous memory instead */
	bool no_write;	 /* sealed: mprotect(2) may not make it writable */
	struct memfile *memfile; /* shared pages behind it, or NULL (a host file) */
};

struct file_ops {
	/*
	 * Read or write at *pos and advance it; pos is NULL for streams (FMODE_STREAM). Bytes moved
	 * or -errno. Blocking unless O_NONBLOCK (-EAGAIN). Writes to regular files are entered with
	 * inode->lock held for writing. [EINVAL]
	 */
	ssize_t (*read)(struct file *f, struct uio *u, uint64_t *pos);
	ssize_t (*write)(struct file *f, struct uio *u, uint64_t *pos);

	/* Directory entries from f->pos on. [ENOTDIR] */
	int (*iterate)(struct file *f, struct dir_sink *sink);

	/* What is ready now: POLL* of poll(2). Changes are announced on file_wq(). [POLLIN|POLLOUT]
	 */
	uint32_t (*poll)(struct file *f);

	/*
	 * The queue where changes are announced to who asks now, where that is not the same for
	 * all. It outlives its entries or takes them off at its end. [f->wq]
	 */
	struct waitq *(*wait_queue)(struct file *f);

	/* arg is an address of um or a value. [ENOTTY] */
	long (*ioctl)(struct file *f, unsigned int cmd, uint64_t arg, struct user_memory *um);

	/* prot and flags are mmap(2)'s; offset and len are page-aligned bytes. [ENODEV] */
	int (*mmap)(struct file *f, int prot, int flags, uint64_t offset, uint64_t len,
		    struct mmap_source *ret);

	/* The new position; whence is SEEK_*. [generic: by inode size; ESPIPE for streams] */
	int64_t (*seek)(struct file *f, int64_t offset, int whence);

	int (*fsync)(struct file *f, bool data_only); /* [0] */
	int (*fallocate)(struct file *f, int mode, uint64_t offset,
			 uint64_t len); /* [EOPNOTSUPP] */

	/*
	 * Copy between two files of these ops without the sentry's memory: bytes, or -EOPNOTSUPP
	 * (read and write instead). The lock of out's inode is held for writing. [EOPNOTSUPP]
	 */
	ssize_t (*copy_range)(struct file *in, uint64_t from, struct file *out, uint64_t to,
			      uint64_t len);

	/* A descriptor of it was closed (POSIX locks are gone already). [0] */
	int (*flush)(struct file *f);

	/* O_NONBLOCK, O_APPEND, O_ASYNC, O_DIRECT are about to change to `flags`. [0] */
	int (*set_flags)(struct file *f, uint32_t flags);

	/* Text after pos, flags, mnt_id in /proc/PID/fdinfo. [nothing] */
	int (*show_fdinfo)(struct file *f, char *buf, size_t len);

	/* The last reference is gone: free the file. May park. */
	void (*release)(struct file *f);
};

enum file_mode {
	FMODE_READ = 1u << 0,
	FMODE_WRITE = 1u << 1,
	FMODE_STREAM = 1u << 2,	    /* no position: pread is ESPIPE */
	FMODE_PATH = 1u << 3,	    /* O_PATH */
	FMODE_ATOMIC_POS = 1u << 4, /* reads and writes at the position are serialised */
	FMODE_WRITER = 1u << 5,	    /* counted in inode->writers */
	FMODE_EXEC = 1u << 6,	    /* counted in inode->denied_writes */
	FMODE_OPENED = 1u << 7,	    /* counted in inode->opens */
};

struct file {
	/* immutable after file_init() */
	const struct file_ops *ops;
	struct path path;	 /* references; may be empty for pipes and the like */
	struct inode *inode;	 /* of the path, or one of its own; one reference; may be NULL */
	uint32_t mode;		 /* enum file_mode */
	const struct cred *cred; /* of the opener; one reference; may be NULL */
	struct waitq *wq;	 /* readiness; NULL: always ready. Belongs to the object */

	unsigned int refs;
	uint32_t flags; /* O_* as F_GETFL shows them, with the access mode */
	uint64_t pos;	/* lock: pos_lock */
	struct kmutex pos_lock;

	/* F_SETOWN and friends */
	int owner_type, owner_id, owner_signal;
	int owner_fd;		 /* for si_fd: by which descriptor the signal was asked for */
	struct wait_entry async; /* on wq while O_ASYNC is set: sends the signal */
	void *owner_ns; /* where owner_id counts, NULL: it may not be told; the syscall room's */
	void (*owner_done)(struct file *f); /* lets go of owner_ns; NULL: there is none */

	struct list_head epoll_items; /* vfs/epoll */
	void *flock_owner;	      /* vfs/locks */
};

/*
 * refs 1. Takes references on path (may be NULL), its inode and cred (may be NULL). In an open op
 * of inode_ops both are NULL: the VFS fills path, inode and cred afterwards.
 */
void file_init(struct file *f, const struct file_ops *ops, const struct path *path,
	       const struct cred *cred, uint32_t flags);
/* What file_init() took; release() calls it before it frees. */
void file_fini(struct file *f);

struct file *file_ref(struct file *f);
void file_unref(struct file *f); /* accepts NULL */
/* The inode that the name leads to: it has the locks. In an overlay f->inode is the real one. */
static inline struct inode *file_named_inode(const struct file *f)
{
	return f->path.dentry ? f->path.dentry->inode : f->inode;
}
/* The O_* by which a read or write op is to act: its file's, and those of this call (RWF_*). */
static inline uint32_t file_io_flags(const struct file *f, const struct uio *u)
{
	return f->flags | u->flags;
}
/* Where changes of readiness are announced to the caller; NULL: always ready. */
static inline struct waitq *file_wq(struct file *f)
{
	return f->ops->wait_queue ? f->ops->wait_queue(f) : f->wq;
}
static inline void file_unref_auto(struct file **f)
{
	file_unref(*f);
}
#define AUTO_FILE AUTO(file_unref_auto)

/*
 * Access mode, RLIMIT_FSIZE, O_APPEND, position, times and inotify handled; used by all of
 * read(2)'s kin. pos NULL: the file's own position. file_write() gives -EFSIZELIMIT at the limit
 * (kerrno.h).
 */
ssize_t file_read(struct file *f, struct uio *u, uint64_t *pos);
ssize_t file_write(struct file *f, struct uio *u, uint64_t *pos, uint64_t fsize_limit);

/*
 * The copy_range op, with set-id bits and inotify handled. -EOPNOTSUPP also for what goes beyond
 * the limit: file_write() has the right answer.
 */
ssize_t file_copy_range(struct file *in, uint64_t from, struct file *out, uint64_t to, uint64_t len,
			uint64_t fsize_limit);

/* Kernel memory, for ELF headers and the like. Bytes or -errno. */
ssize_t file_read_kernel(struct file *f, void *dst, size_t len, uint64_t offset);

uint32_t file_poll(struct file *f);

/* lseek(2): ops->seek, or by size (SEEK_DATA, SEEK_HOLE: one extent). -ESPIPE for streams. */
int64_t file_seek(struct file *f, int64_t offset, int whence);
/* The same rules for a seek op that knows its end; pos_lock is held. */
int64_t file_seek_size(struct file *f, int64_t offset, int whence, uint64_t size);
/* getdents(2): -ENOTDIR, -ENOENT in a removed directory, or what the filesystem says. */
int file_iterate(struct file *f, struct dir_sink *sink);
/* fallocate(2) without the limits of a descriptor's owner. */
int file_fallocate(struct file *f, int mode, uint64_t offset, uint64_t len, uint64_t fsize_limit);
/* F_SETFL: the O_* of it that may change. */
#define FILE_FLAGS_CHANGEABLE (O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK)
int file_set_flags(struct file *f, uint32_t flags);
/* close(2) of one descriptor: drops the POSIX locks of owner (NULL: none), then flush. */
int file_close_one(struct file *f, const void *owner);
