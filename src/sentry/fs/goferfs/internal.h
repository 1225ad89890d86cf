/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/goferfs/internal.h - what the files of this folder share; nobody else includes it.
 */
#pragma once

#include "base/cleanup.h"
#include "base/list.h"
#include "sentry/core/khash.h"
#include "sentry/fs/goferfs/goferfs.h"
#include "sentry/vfs/file.h"
#include "wire/gofer_codec.h"

#define GOFERFS_NODES_LEAST  7168u
#define GOFERFS_NODES_MOST   (GOFER_NODES_MAX - 1024u)
#define GOFERFS_NODE_MEMORY  (32u << 10) /* bytes of the sandbox for one */
#define GOFERFS_PRUNE	     512u	 /* dentries at a time */
#define GOFERFS_IDLE_LEAST   512u	 /* inodes that keep descriptors without being open */
#define GOFERFS_IDLE_MOST    24576u
#define GOFERFS_IDLE_MEMORY  (64u << 10)  /* bytes of the sandbox for one */
#define GOFERFS_FETCHED_MAX  128u	  /* of them: not opened yet */
#define GOFERFS_LET_IN	     8u		  /* one in so many is kept in place of the oldest */
#define GOFERFS_LISTING_MAX  (64u << 20)  /* bytes of one directory's listing */
#define GOFERFS_LISTING_KEPT (256u << 10) /* bytes of one that is cached */
#define GOFERFS_CHUNK	     (128u << 10) /* bytes of one host read or write */
#define GOFERFS_HELPER_WRITE (64u << 10)  /* from so many bytes on a write goes to a helper */
#define GOFERFS_HELPER_CUT   (16u << 20)  /* bytes: a larger file is cut by a helper */
#define GOFERFS_AHEAD_MAX    96u	  /* inodes of a directory that wait to be asked for */
#define GOFERFS_OPEN_SCAN \
	1024u /* entries of a directory that are looked through for files to open */
#define GOFERFS_FRESH_NS      50000u	 /* shared mode: attributes are asked for once in so long */
#define GOFERFS_CONTENT_MAX   (8u << 10) /* bytes of a file that may be kept here */
#define GOFERFS_CONTENT_SHARE 256u	 /* one byte in so many of the sandbox's memory, */
#define GOFERFS_CONTENT_LEAST (256u << 10)
#define GOFERFS_CONTENT_MOST  (48u << 20) /* all files of the sandbox together */
#define GOFERFS_COPY_MIN      (64u << 10) /* bytes that the gofer is asked to copy */
#define NAMELESS_TRIES	      64u	  /* names of files that get none */

/* --- connection.c --- */

/* goferfs_set_limits() */
struct gofer_limits {
	uint32_t nodes;	  /* above it unused dentries make way */
	uint32_t idle;	  /* inodes that keep descriptors without being open */
	uint64_t content; /* bytes of files that are kept here */
};
extern struct gofer_limits gofer_limits;

/* One request and what came back. On the stack of the fiber that waits. */
struct gofer_call {
	struct gofer_conn *conn;      /* by the caller; borrowed */
	struct gofer_request request; /* by the caller: type, fields, names, blob */
	struct gofer_answer answer;   /* points into `message` */
	int fd;			      /* that came along, or -EBADF; owned */
	int many[GOFER_OPEN_MAX];     /* OPEN_MANY: what came, in its order; owned, or -EBADF */
	unsigned int many_len;
	int send_fd;   /* READER: goes along, borrowed */
	void *message; /* owned */

	/* connection.c */
	int status; /* 1: under way; 0, -errno */
	struct fiber *fiber;
	struct list_head node;
};

/* Sends and waits: 0, the gofer's -errno, or -EIO (gone, or it broke the protocol), -ENOMEM. */
int gofer_call(struct gofer_call *call);
/* Frees what came; for every call that was made. */
void gofer_call_done(struct gofer_call *call);
/* A call on the stack, not made yet, that frees what comes; the rest are fields of its request. */
#define GOFER_CALL(name, to, ...)    \
	struct gofer_call name AUTO( \
		gofer_call_done) = { .conn = (to), .fd = -EBADF, .request = { __VA_ARGS__ } }

/* The same without the answer's fields: 0 or -errno. */
int gofer_ask(struct gofer_conn *conn, const struct gofer_request *request);

/* A node is not needed any more; told to the gofer with others, some time, or now. */
void gofer_forget(struct gofer_conn *conn, uint64_t node);
void gofer_forget_now(struct gofer_conn *conn);

/* A filesystem keeps its connection, which answers -EIO once it is dead. */
struct gofer_conn *gofer_conn_ref(struct gofer_conn *conn);
void gofer_conn_unref(struct gofer_conn *conn);	     /* accepts NULL */
uint32_t gofer_nodes(const struct gofer_conn *conn); /* held there */

/* A host's errno as a guest may see it: what no file call of Linux says becomes -EIO. 0 stays. */
int gofer_errno(int error);

/* --- inode.c --- */

struct goferfs {
	struct superblock sb;
	struct gofer_conn *conn; /* one reference */
	bool exclusive;
	bool overlay;	/* the host's overlayfs: a descriptor from before a copy-up is stale */
	bool no_nowait; /* RWF_NOWAIT is not known there */
	bool remote;	/* a network, a program (FUSE): what is not at hand may take for ever */
	uint32_t flags; /* enum gofer_root_flags */
	uint64_t dev;	/* host's, of the root */
	uint64_t root_node;
	struct gofer_expected *expected; /* expect.c; owned */
	struct khash inodes;		 /* by host dev and ino */
};

/* A donated host descriptor. In use as long as anybody works with it, also across parks. */
struct gofer_handle {
	unsigned int refs;
	int host_fd;
	uint32_t access; /* enum gofer_open_flags: READ, WRITE */
};

/* All bytes of a small file (content.c). */
struct gofer_content {
	unsigned int refs;
	uint32_t len;
	bool still; /* the host's reads leave the time of access alone: none of them is needed */
	struct gofer_inode *owner;
	struct list_head node;
	char bytes[];
};

enum { HANDLE_READ, HANDLE_WRITE, HANDLES };

struct gofer_listing {
	unsigned int refs;
	uint32_t count; /* entries, holes included */
	uint32_t live;
	uint32_t bytes_len, bytes_cap, offsets_cap;
	uint32_t *offsets; /* of entries in bytes, with a mark at holes */
	char *bytes;	   /* struct gofer_dirent, name, NUL; as they came */
	uint32_t *index;   /* hash table: entry + 1; NULL: not made yet */
	uint32_t index_len;
};

struct gofer_inode {
	struct inode inode;
	struct goferfs *fs;
	uint64_t node; /* at the gofer */
	uint64_t dev, host_ino;
	struct list_head hash_node;
	nsec_t asked_at; /* of the host's CLOCK_MONOTONIC: when the attributes were */
	bool stale;	 /* attributes: ask before use */
	bool no_xattrs;	 /* known to have none (exclusive) */
	bool has_xattrs; /* had some when it was asked: one by one from now on */
	bool fetched;	 /* which list idle_node is on: nobody has asked for its descriptor yet */
	uint64_t listed_in; /* host_ino of the directory in whose listing it was found; 0: none */
	uint32_t listed_at; /* the entry there, if it still is this file */
	uint32_t seq;	    /* counts local changes: an answer from before one is not believed */
	char *target;	    /* of a link; owned; NULL: not asked yet */
	struct gofer_listing *listing; /* of a directory; NULL: not known (always in shared mode) */
	struct gofer_ahead *ahead;     /* owned; NULL: none */
	struct gofer_special *special; /* of a socket, a fifo, or a file that was opened; or NULL */

	struct gofer_content *content;	       /* NULL: not kept */
	uint32_t content_seq;		       /* counts ends of what is, or might be kept */
	unsigned int opens;		       /* open files of it */
	struct gofer_handle *handles[HANDLES]; /* one reference each */
	struct list_head idle_node;
};

static inline struct gofer_inode *gofer_inode(struct inode *inode)
{
	return container_of(inode, struct gofer_inode, inode);
}

extern const struct inode_ops gofer_dir_ops, gofer_file_ops_inode, gofer_link_ops,
	gofer_special_ops;

/* What the guest sees as the inode's number. */
uint64_t gofer_ino(const struct goferfs *fs, uint64_t dev, uint64_t ino);
/*
 * The inode of an entry that the gofer told: a known one (then the entry's node is given back), or
 * a new one. *ret: a reference.
 */
int gofer_inode_get(struct goferfs *fs, const struct gofer_entry *entry, struct inode **ret);
/* Attributes as the gofer told them, unless the inode has changed since seq. */
void gofer_inode_apply(struct gofer_inode *gi, const struct gofer_attr *attr, uint32_t seq);
int gofer_inode_getattr(struct inode *inode);
/* The same from a descriptor of the inode's, without the gofer. */
int gofer_inode_refresh(struct gofer_inode *gi, const struct gofer_handle *h);
int gofer_inode_setattr(struct inode *inode, const struct setattr *attr);
void gofer_inode_evict(struct inode *inode);
uint32_t gofer_file_hash(uint64_t dev, uint64_t ino);
/* Of a node of fs->inodes. */
uint32_t gofer_inode_hash(const struct list_head *node);
/* There is an inode of this number. */
bool gofer_inode_known(struct goferfs *fs, uint64_t dev, uint64_t ino);
/* It, not referenced, or NULL. */
struct gofer_inode *gofer_inode_find(struct goferfs *fs, uint64_t dev, uint64_t ino);
uint32_t goferfs_inodes(void);

/* --- names.c: superblock_ops.revalidate of shared mode --- */
int gofer_revalidate(struct dentry *d);

/* --- handle.c --- */

/*
 * A descriptor for what `access` says; *ret: a reference. May park. For the sentry's own reads one
 * that can also write will do (exact false); one that leaves for a guest process may not.
 */
int gofer_handle_get(struct gofer_inode *gi, uint32_t access, bool exact,
		     struct gofer_handle **ret);
struct gofer_handle *gofer_handle_ref(struct gofer_handle *h);
void gofer_handle_unref(struct gofer_handle *h); /* accepts NULL */
/* Whatever is there, for fstat(2); NULL: nothing. Not referenced. */
struct gofer_handle *gofer_handle_any(const struct gofer_inode *gi);
/* Keeps a descriptor that came with CREATE (READ and WRITE); takes fd over. */
void gofer_handle_adopt(struct gofer_inode *gi, int fd);
void gofer_inode_opened(struct gofer_inode *gi);
void gofer_inode_closed(struct gofer_inode *gi);
void gofer_handles_drop(struct gofer_inode *gi);
/* Descriptors that nobody has open, of all inodes: the sentry has no descriptors left. */
void gofer_idle_drop_all(void);
uint32_t gofer_idle_count(void);
/* fdatasync(2) of every file of fs that is, or was lately, open for writing. 0, -EIO, -ENOSPC ...
 */
int gofer_handles_sync(struct goferfs *fs);

/* --- special.c --- */
/*
 * A volume that several containers have: the socket that is bound to a file, or a fifo's pipe, and
 * locks are those of all its inodes, and inode_bound() names the file. Without memory they are this
 * inode's own.
 */
void gofer_special_share(struct gofer_inode *gi);
void gofer_special_drop(struct gofer_inode *gi);

/* --- content.c --- */
uint64_t gofer_content_bytes(void);
/* Worth reading whole at the first read. */
bool gofer_content_wanted(const struct gofer_inode *gi);
/*
 * What a read of h at 0 brought is kept if it was the whole file and gi->content_seq was seq
 * before. Makes the attributes fresh.
 */
void gofer_content_keep(struct gofer_inode *gi, uint32_t seq, const struct gofer_handle *h,
			const char *data, size_t len);
/* A read needs no descriptor now. */
bool gofer_content_serves(const struct gofer_inode *gi);
/* Somebody opens a file whose content serves. */
void gofer_content_used(struct gofer_inode *gi);
/* Of gi->content, which is there. Bytes, 0 at the end, or -EFAULT. */
ssize_t gofer_content_read(struct gofer_inode *gi, struct uio *u, uint64_t *pos);
/* Somebody may change the file from now on. */
void gofer_content_drop(struct gofer_inode *gi);

/* --- listing.c --- */
struct gofer_listing *gofer_listing_new(void);	   /* empty; NULL: out of memory */
void gofer_listing_unref(struct gofer_listing *l); /* accepts NULL */
int gofer_listing_append(struct gofer_listing *l, const struct gofer_answer *readdir);
int gofer_listing_add(struct gofer_listing *l, const struct vfs_name *name, uint64_t ino,
		      unsigned int type);
void gofer_listing_remove(struct gofer_listing *l, uint32_t entry);
/* The entry of a name, or -1. */
int64_t gofer_listing_find(struct gofer_listing *l, const struct vfs_name *name);
/* False: a hole; *ret is what was there. */
bool gofer_listing_entry(const struct gofer_listing *l, uint32_t entry,
			 struct gofer_dirent_view *ret);

/* --- expect.c --- */
/* A name of goferfs_expect(), once: 0 and its inode, or -ENOENT, in *ret_error. */
bool gofer_expected_take(struct gofer_inode *dir, const char *name, int *ret_error,
			 struct inode **ret);

/* --- ahead.c --- */
/* The inode of an entry of gi->listing, with others on the way. */
int gofer_ahead_lookup(struct gofer_inode *gi, uint32_t entry, struct inode **ret);
/*
 * The files that are about to be opened for reading, if gi goes on where its directory was left:
 * gi first; each with a reference. Their number, 0 if it is better opened alone.
 */
unsigned int gofer_ahead_opens(struct gofer_inode *gi,
			       struct gofer_inode *ret[static GOFER_OPEN_MAX]);
void gofer_ahead_drop(struct gofer_inode *gi);
void gofer_ahead_drop_all(void); /* the inodes that wait, of all directories */

/* --- dir.c: names of a directory changed by us; the VFS holds it --- */
void gofer_dir_changed(struct inode *dir); /* its attributes did */
void gofer_dir_add(struct inode *dir, const struct vfs_name *name, const struct inode *inode);
void gofer_dir_remove(struct inode *dir, const struct vfs_name *name);
void gofer_dir_is_empty(struct inode *dir); /* new */
void gofer_dir_forget_listing(struct inode *dir);

/* --- dir.c, file.c, xattr.c --- */
int gofer_dir_open(struct inode *inode, uint32_t flags, struct file **ret);
int gofer_file_open(struct inode *inode, uint32_t flags, struct file **ret);
ssize_t gofer_getxattr(struct inode *inode, const char *name, void *value, size_t size);
int gofer_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
		   int flags);
ssize_t gofer_listxattr(struct inode *inode, char *list, size_t size);
int gofer_removexattr(struct inode *inode, const char *name);
