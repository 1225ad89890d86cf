/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/gofer_msg.h - what the sentry (src/sentry/fs/goferfs) asks its gofer (src/gofer), and what
 * it is told.
 *
 * One SOCK_SEQPACKET pair per container; one message is one request or one reply, at most
 * GOFER_MESSAGE_MAX bytes. The client may have many requests in flight: the gofer takes them in
 * order and every reply carries the tag of its request. Descriptors travel from the gofer to the
 * client, as SCM_RIGHTS of the reply that says so (gofer_reply.fds), and the other way with READER
 * alone (a descriptor that comes with anything else ends the connection).
 *
 * Files are named by node ids, which the gofer hands out (ATTACH, WALK, CREATE ...), which only
 * grow and are never used twice; the client gives them back with CLOSE. Each id stands for one
 * descriptor of the gofer: every WALK of the same file makes a new one. A name is one path
 * component: 1..255 bytes, no '/', no NUL, not "." and not "..".
 *
 * Layout: a request is struct gofer_request_head, the fields of its type (struct gofer_*), then its
 * names, each as one byte of length, the bytes and a NUL, then a blob whose length is a field. A
 * reply is struct gofer_reply, then, if error is 0, the fields of the type. Everything is
 * little-endian, without padding; reserved fields are 0. wire/gofer_codec.h checks all of it.
 *
 * Errors: -errno of the host's call, and of the gofer itself: -EPROTO (malformed), -EBADF (no such
 * node), -EINVAL (flags, name), -EROFS (read-only root), -EXDEV (two roots), -ENFILE (too many
 * nodes), -EPERM (a device node, an attribute that the root does not allow), GOFER_NO_SOCKETS. A
 * message without a whole head ends the connection.
 */
#pragma once

#include <stdint.h>

#define GOFER_MSG_VERSION 1u
#define GOFER_MESSAGE_MAX (64u << 10) /* bytes, head included */
#define GOFER_NODES_MAX	  32768u      /* held by a client at one time */
#define GOFER_ROOTS_MAX	  256u
#define GOFER_WALK_MAX	  16u		/* names of one WALK */
#define GOFER_LOOKUP_MAX  32u		/* names of one LOOKUP */
#define GOFER_CLOSE_MAX	  4096u		/* ids of one CLOSE */
#define GOFER_OPEN_MAX	  16u		/* ids of one OPEN_MANY: descriptors of a reply */
#define GOFER_NAME_MAX	  255u		/* bytes of a name (NAME_MAX) */
#define GOFER_SYMLINK_MAX 4095u		/* bytes of a target (PATH_MAX with its NUL) */
#define GOFER_XATTR_MAX	  (60u << 10)	/* bytes of a value or a list: fits one message */
#define GOFER_COPY_MAX	  (8u << 20)	/* bytes of one COPY_RANGE: others wait meanwhile */
#define GOFER_IN_FLIGHT	  64u		/* requests that a client should have unanswered at most */
#define GOFER_NO_SOCKETS  (-EOPNOTSUPP) /* CONNECT or BIND: the root does not allow it */
#define GOFER_BACKLOG	  128u		/* connections that wait at a socket of BIND */

enum gofer_type {
	GOFER_ATTACH = 1,
	GOFER_WALK,
	GOFER_GETATTR,
	GOFER_SETATTR,
	GOFER_OPEN,
	GOFER_CREATE,
	GOFER_MKDIR,
	GOFER_SYMLINK,
	GOFER_MKNOD,
	GOFER_LINK,
	GOFER_UNLINK,
	GOFER_RENAME,
	GOFER_READLINK,
	GOFER_READDIR,
	GOFER_STATFS,
	GOFER_GETXATTR,
	GOFER_SETXATTR,
	GOFER_LISTXATTR,
	GOFER_REMOVEXATTR,
	GOFER_FSYNC,
	GOFER_CLOSE,
	GOFER_COPY_RANGE,
	GOFER_CONNECT,
	GOFER_BIND,
	GOFER_LOOKUP,
	GOFER_TMPFILE,
	GOFER_STAY,
	GOFER_READER,
	GOFER_OPEN_MANY,
	GOFER_TYPE_MAX, /* one more than the last */
};

struct gofer_request_head {
	uint32_t size; /* of the message in bytes */
	uint32_t type; /* enum gofer_type */
	uint64_t tag;  /* comes back in the reply */
};

struct gofer_reply {
	uint32_t size;
	uint32_t type;
	uint64_t tag;
	int32_t error; /* 0 or -errno; with an error nothing follows */
	uint32_t fds;  /* descriptors that come along: 0 or 1, of OPEN_MANY up to GOFER_OPEN_MAX */
};

/* What statx(2) says. Times in nanoseconds since 1970, cut at what 64 bits hold. */
struct gofer_attr {
	uint64_t dev, ino;
	uint32_t mode, nlink;
	uint32_t uid, gid;
	uint64_t rdev;
	uint64_t size, blocks; /* bytes; units of 512 bytes */
	uint32_t blksize;
	uint32_t has_btime; /* 1: the file system knows btime_ns */
	int64_t atime_ns, mtime_ns, ctime_ns, btime_ns;
};

struct gofer_entry {
	uint64_t node;
	struct gofer_attr attr;
};

/* What a root allows; given to the gofer when it starts, told to the client by ATTACH. */
enum gofer_root_flags {
	GOFER_ROOT_RO = 1u << 0,      /* every change is -EROFS */
	GOFER_ROOT_XATTR = 1u << 1,   /* not only user.* */
	GOFER_ROOT_CONNECT = 1u << 2, /* CONNECT to unix sockets of the host */
	GOFER_ROOT_BIND = 1u << 3,    /* BIND: new ones */
	/* ATTACH alone says it, of the host's mount: each read moves the time of access. */
	GOFER_ROOT_ATIME = 1u << 4,
};

/*
 * The first request. -EPROTONOSUPPORT for another version: a sentry that runs gets the gofers of
 * its pod's later containers from the disk, where another build may be meanwhile.
 */
struct gofer_attach {
	uint32_t root;	  /* index in the order of the gofer's command line */
	uint32_t version; /* GOFER_MSG_VERSION */
};

/*
 * Run on this CPU, or on any again (GOFER_ANYWHERE). A client that waits for one answer after the
 * other has its CPU idle meanwhile, and waking another one costs more than most requests.
 */
#define GOFER_ANYWHERE UINT32_MAX
#define GOFER_CPUS_MAX 1024u
struct gofer_stay {
	uint32_t cpu;
	uint32_t reserved;
};

struct gofer_attach_reply {
	uint32_t flags;	  /* enum gofer_root_flags */
	uint32_t fs_type; /* f_type of statfs(2) */
	struct gofer_entry entry;
};

/*
 * `count` names follow, 1 or more. The walk stops at the first name that is not there (stop is its
 * errno, as the host says it), and behind a symbolic link, which is still an entry: links are the
 * client's to resolve. found entries follow the reply; found == count means stop == 0. A name after
 * an entry that is not a directory is stop = -ENOTDIR, or 0 behind a link.
 */
struct gofer_walk {
	uint64_t node;
	uint32_t count;
	uint32_t reserved;
};

struct gofer_walk_reply {
	uint32_t found;
	int32_t stop;
};

/*
 * Many names of one directory: `count` names follow. Reply: gofer_lookup_reply with `count` results
 * in the order of the names, each an entry or the errno of its name.
 */
struct gofer_lookup {
	uint64_t dir;
	uint32_t count;
	uint32_t reserved;
};

struct gofer_lookup_result {
	int32_t error; /* 0: entry counts */
	uint32_t reserved;
	struct gofer_entry entry;
};

struct gofer_lookup_reply {
	uint32_t count;
	uint32_t reserved;
};

/* GETATTR, READLINK, STATFS. */
struct gofer_node {
	uint64_t node;
};

struct gofer_attr_reply {
	struct gofer_attr attr;
};

enum gofer_setattr_valid {
	GOFER_SET_MODE = 1u << 0, /* the twelve permission bits */
	GOFER_SET_UID = 1u << 1,
	GOFER_SET_GID = 1u << 2,
	GOFER_SET_SIZE = 1u << 3, /* regular files */
	GOFER_SET_ATIME = 1u << 4,
	GOFER_SET_MTIME = 1u << 5,
	GOFER_SET_ATIME_NOW = 1u << 6, /* the host's clock; excludes GOFER_SET_ATIME */
	GOFER_SET_MTIME_NOW = 1u << 7,
	GOFER_SET_ALL = (1u << 8) - 1,
};

/*
 * Done in this order: size, owner, mode, times; the first failure ends it and what was done stays.
 * A change of owner clears set-id bits as chown(2) does, so GOFER_SET_MODE can put them back. The
 * gofer holds CAP_FSETID: a size change alone does not clear them. Reply: gofer_attr_reply.
 */
struct gofer_setattr {
	uint64_t node;
	uint32_t valid;
	uint32_t mode, uid, gid;
	uint64_t size;
	int64_t atime_ns, mtime_ns;
};

enum gofer_open_flags {
	GOFER_OPEN_READ = 1u << 0,
	GOFER_OPEN_WRITE = 1u << 1,
	GOFER_OPEN_TRUNC = 1u << 2, /* with WRITE */
	GOFER_OPEN_ALL = (1u << 3) - 1,
};

/*
 * Regular files only (-EISDIR a directory, -ELOOP a link, -ENXIO anything else). The descriptor has
 * the asked access mode, O_NONBLOCK and a file offset of its own. Reply: gofer_attr_reply.
 */
struct gofer_open {
	uint64_t node;
	uint32_t flags; /* READ, WRITE or both */
	uint32_t reserved;
};

/*
 * OPEN of many for reading alone: `count` ids follow. Reply: gofer_open_many_reply, then `count`
 * times 0 or the -errno of its node (int32_t), in the order of the ids; a descriptor comes for each
 * that is 0, in the same order. Who asks for descriptors before anybody opened the files keeps them
 * to itself until somebody who may does.
 */
struct gofer_open_many {
	uint32_t count; /* 1..GOFER_OPEN_MAX */
	uint32_t reserved;
};

struct gofer_open_many_reply {
	uint32_t count;
	uint32_t reserved;
};

/*
 * CREATE (a new regular file: O_EXCL; reply gofer_entry and a descriptor as OPEN), MKDIR, MKNOD
 * (S_IFREG, S_IFIFO or S_IFSOCK in mode; flags 0; reply gofer_entry). One name. mode is taken as it
 * is, no umask, set-id bits included; the file belongs to uid:gid or is not made.
 * TMPFILE is CREATE without a name: LINK gives it one; -EOPNOTSUPP where the host cannot.
 */
struct gofer_make {
	uint64_t dir;
	uint32_t mode, uid, gid;
	uint32_t flags; /* CREATE: enum gofer_open_flags without TRUNC */
};

/* One name, then the target. Reply: gofer_entry. */
struct gofer_symlink {
	uint64_t dir;
	uint32_t uid, gid;
	uint32_t target_len; /* 1..GOFER_SYMLINK_MAX, no NUL inside */
	uint32_t reserved;
};

/* A new name in `dir` for `node`, which may not be a directory. One name. Reply: gofer_attr_reply.
 */
struct gofer_link {
	uint64_t dir;
	uint64_t node;
};

#define GOFER_UNLINK_DIR 1u /* flags: AT_REMOVEDIR */

/* One name. Reply: nothing. */
struct gofer_unlink {
	uint64_t dir;
	uint32_t flags;
	uint32_t reserved;
};

enum gofer_rename_flags {
	GOFER_RENAME_NOREPLACE = 1u << 0,
	GOFER_RENAME_EXCHANGE = 1u << 1, /* excludes NOREPLACE */
};

/* Two names: the old, the new. Nodes keep standing for their files. Reply: nothing. */
struct gofer_rename {
	uint64_t old_dir, new_dir;
	uint32_t flags;
	uint32_t reserved;
};

/* READLINK, GETXATTR, LISTXATTR: len bytes follow. */
struct gofer_bytes_reply {
	uint32_t len;
	uint32_t reserved;
};

/*
 * cookie 0 starts, the cookie of an entry goes on behind it. "." and ".." do not appear. Reply: as
 * many entries as fit max_bytes (and one message); eof is 1 when nothing comes after them.
 */
struct gofer_readdir {
	uint64_t node;
	uint64_t cookie;
	uint32_t max_bytes; /* of entries; 0: a message full; less than one entry: -EINVAL */
	uint32_t reserved;
};

struct gofer_readdir_reply {
	uint32_t count;
	uint32_t eof;
	/* count struct gofer_dirent, each followed by its name and a NUL, without alignment */
};

/* Read with memcpy: entries are packed one behind the other (wire/gofer_codec.h). */
struct gofer_dirent {
	uint64_t ino;
	uint64_t cookie;
	uint8_t type; /* DT_*; DT_UNKNOWN on some file systems */
	uint8_t name_len;
} __attribute__((packed));

struct gofer_statfs_reply {
	uint64_t type, block_size, fragment_size;
	uint64_t blocks, blocks_free, blocks_available;
	uint64_t files, files_free;
	uint64_t name_max;
	uint64_t flags; /* ST_* of statfs(2) */
	uint64_t fsid;
};

/* GETXATTR (one name), LISTXATTR (none), REMOVEXATTR (one name; max_bytes 0; reply: nothing). */
struct gofer_xattr {
	uint64_t node;
	uint32_t max_bytes; /* 0: len alone is asked for; else 1..GOFER_XATTR_MAX; too small:
			       -ERANGE */
	uint32_t reserved;
};

/* One name, then the value. Reply: nothing. */
struct gofer_setxattr {
	uint64_t node;
	uint32_t flags; /* XATTR_CREATE, XATTR_REPLACE or 0 */
	uint32_t value_len;
};

/* Regular files and directories. Reply: nothing. */
struct gofer_fsync {
	uint64_t node;
	uint32_t data_only; /* fdatasync(2) */
	uint32_t reserved;
};

/* `count` ids follow. All are checked before one is closed. Reply: nothing. */
struct gofer_close {
	uint32_t count; /* 1..GOFER_CLOSE_MAX */
	uint32_t reserved;
};

/* copy_file_range(2) between two regular files; fewer bytes than asked is no error. */
struct gofer_copy_range {
	uint64_t in_node, out_node;
	uint64_t in_offset, out_offset;
	uint64_t len; /* bytes; what is above GOFER_COPY_MAX is not copied */
};

struct gofer_copy_reply {
	uint64_t copied;
};

/*
 * A new socket of this type that is connected with the host's behind `node` (-ECONNREFUSED: nobody
 * listens, or no socket; -EAGAIN: its queue is full; -EPROTOTYPE). Reply: nothing, and the socket,
 * O_NONBLOCK.
 */
struct gofer_connect {
	uint64_t node;
	uint32_t socket_type; /* SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET */
	uint32_t reserved;
};

/*
 * One name: a socket that is bound there and, unless of datagrams, listens. mode, uid and gid as
 * MKNOD. Reply: gofer_entry, and the socket, O_NONBLOCK.
 */
struct gofer_bind {
	uint64_t dir;
	uint32_t mode, uid, gid;
	uint32_t socket_type;
};

/*
 * READER: with the request comes a descriptor of a memory file (memfd_create(2)); with the reply
 * one that can only read it, which the client cannot make. No fields. -EINVAL: it is none, -EPROTO:
 * there was none.
 */

_Static_assert(sizeof(struct gofer_request_head) == 16, "wire");
_Static_assert(sizeof(struct gofer_reply) == 24, "wire");
_Static_assert(sizeof(struct gofer_attr) == 96, "wire");
_Static_assert(sizeof(struct gofer_entry) == 104, "wire");
_Static_assert(sizeof(struct gofer_lookup_result) == 112, "wire");
_Static_assert(sizeof(struct gofer_attach_reply) == 112, "wire");
_Static_assert(sizeof(struct gofer_setattr) == 48, "wire");
_Static_assert(sizeof(struct gofer_make) == 24, "wire");
_Static_assert(sizeof(struct gofer_dirent) == 18, "wire");
_Static_assert(sizeof(struct gofer_statfs_reply) == 88, "wire");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire is little-endian");
