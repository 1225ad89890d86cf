/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gofer/server.h - the file server of one container (wire/gofer_msg.h says what it serves).
 *
 * The client is taken for hostile: whatever it sends, the server only ever makes calls relative to
 * descriptors that it opened below its roots, with one checked component as the name, following no
 * symbolic link. It keeps an O_PATH descriptor per node. What an O_PATH descriptor cannot do goes
 * through one directory descriptor of /proc/self/fd and a decimal name that the server made itself.
 *
 * One thread, one connection, requests in order. No handler keeps state outside struct gofer_server
 * and none sends its own reply, so that slow ones could move to helper threads.
 *
 * No libc but memcpy(3) and its like: the program starts without one, and works in a cage where
 * most of it could not run. Calls return -errno (base/sys.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/gofer_codec.h"
#include "wire/gofer_msg.h"

#define GOFER_STREAMS_MAX 16u /* open directories that are being read */
#define GOFER_FDS_SPARE	  64u /* descriptors besides roots, nodes and streams */

struct gofer_root {
	int fd;		/* owned; O_PATH */
	uint32_t flags; /* enum gofer_root_flags */
};

/* Who the file is was decided when the node was made and never changes: fd stays on that inode. */
struct gofer_held {
	uint64_t id; /* 0: free */
	uint64_t dev, ino;
	int fd;	       /* owned; O_PATH */
	uint32_t type; /* S_IFMT of the mode */
	uint16_t root;
	uint16_t next_free; /* slot + 1, or 0 */
};

struct gofer_stream {
	uint64_t node;	 /* 0: free */
	uint64_t cookie; /* of the next entry that fd returns */
	uint64_t used;	 /* when: a count of uses */
	int fd;		 /* owned */
};

struct gofer_server {
	int sock;    /* borrowed */
	int proc_fd; /* borrowed: /proc/self/fd */
	uint32_t roots_len;
	uint32_t nodes_max; /* at most GOFER_NODES_MAX; fewer under a small RLIMIT_NOFILE */
	uint32_t nodes_len;
	uint32_t nodes_top; /* slots that were ever used */
	uint16_t free_head; /* slot + 1, or 0 */
	uint64_t serial;    /* of the youngest id */
	uint64_t uses;	    /* of streams */
	int came;	    /* with the request: -EBADF, or owned, and closed after it */
	struct gofer_root roots[GOFER_ROOTS_MAX];
	struct gofer_held nodes[GOFER_NODES_MAX];
	struct gofer_stream streams[GOFER_STREAMS_MAX];
	uint64_t in[GOFER_MESSAGE_MAX / 8], out[GOFER_MESSAGE_MAX / 8];
	char scratch[GOFER_MESSAGE_MAX]; /* of one handler */
};

/* Descriptors of one reply. */
struct gofer_fds {
	unsigned int len;
	int fd[GOFER_OPEN_MAX];
};

/* What a handler says: bytes behind the head of the reply, and perhaps descriptors. */
struct gofer_out {
	char *bytes;
	size_t room; /* at `bytes` */
	size_t len;
	struct gofer_fds fds; /* owned: sent, then closed */
};

/* An empty server in zeroed memory. nofile: how many descriptors the process may have. */
void gofer_server_init(struct gofer_server *s, int sock, int proc_fd, uint64_t nofile);

/* The next root; takes the descriptor over. -ENFILE past GOFER_ROOTS_MAX. */
int gofer_server_add_root(struct gofer_server *s, int fd, uint32_t flags);

/* Serves until the client is gone (0) or sends what has no head (-EBADMSG); or -errno of the
 * socket. */
int gofer_serve(struct gofer_server *s);

/* One message: the reply is in s->out. Returns its length, or -EBADMSG. What is in *ret is the
 * caller's. */
int gofer_handle(struct gofer_server *s, const void *message, size_t len, struct gofer_fds *ret);

/* Closes what the server owns; the descriptors that it borrows stay. */
void gofer_server_done(struct gofer_server *s);

/* --- private to the room --- */

/* nodes.c. The pointer is good until the next change of the table. */
struct gofer_held *gofer_node(struct gofer_server *s, uint64_t id);
/* Takes `fd` over, also when it fails. -ENFILE, or what statx(2) says; fills *ret. */
int gofer_node_add(struct gofer_server *s, int fd, uint16_t root, struct gofer_entry *ret);
/* The same with entry->attr known already. */
int gofer_node_add_known(struct gofer_server *s, int fd, uint16_t root, struct gofer_entry *entry);
void gofer_node_close(struct gofer_server *s, struct gofer_held *node);
/* A node that may be changed: -EBADF, -EROFS. */
int gofer_node_writable(struct gofer_server *s, uint64_t id, struct gofer_held **ret);

/* make.c. Removes a name that still leads to the file with `attr`. */
void gofer_undo(int dir, const char *name, const struct gofer_attr *attr);

/* host.c. What statx(2) says of a descriptor, of either kind. */
int gofer_attr(int fd, struct gofer_attr *ret);
/* The decimal name of a descriptor in /proc/self/fd. */
#define GOFER_NUMBER_MAX 12
const char *gofer_number(int fd, char text[static GOFER_NUMBER_MAX]);
/* A second descriptor for the file of an O_PATH one; flags are O_*; no create, no truncate by name.
 */
int gofer_reopen(const struct gofer_server *s, int fd, int flags);
int gofer_close_fd(int fd);
/* A regular file, opened as asked, and proved to be the node's: -EISDIR, -ELOOP, -ENXIO, -ESTALE.
 */
int gofer_open_regular(const struct gofer_server *s, const struct gofer_held *node, uint32_t flags,
		       struct gofer_attr *ret_attr);

/* One more descriptor for the reply, which has room for it; takes it over. */
static inline void gofer_give(struct gofer_out *out, int fd)
{
	out->fds.fd[out->fds.len++] = fd;
}

#define GOFER_HANDLER(name)                                                        \
	int gofer_do_##name(struct gofer_server *s, const struct gofer_request *r, \
			    struct gofer_out *out)
GOFER_HANDLER(attach);
GOFER_HANDLER(walk);
GOFER_HANDLER(lookup);
GOFER_HANDLER(getattr);
GOFER_HANDLER(setattr);
GOFER_HANDLER(open);
GOFER_HANDLER(open_many);
GOFER_HANDLER(reader);
GOFER_HANDLER(create);
GOFER_HANDLER(tmpfile);
GOFER_HANDLER(mkdir);
GOFER_HANDLER(symlink);
GOFER_HANDLER(mknod);
GOFER_HANDLER(link);
GOFER_HANDLER(unlink);
GOFER_HANDLER(rename);
GOFER_HANDLER(readlink);
GOFER_HANDLER(readdir);
GOFER_HANDLER(statfs);
GOFER_HANDLER(getxattr);
GOFER_HANDLER(setxattr);
GOFER_HANDLER(listxattr);
GOFER_HANDLER(removexattr);
GOFER_HANDLER(fsync);
GOFER_HANDLER(close);
GOFER_HANDLER(copy_range);
GOFER_HANDLER(connect);
GOFER_HANDLER(bind);
GOFER_HANDLER(stay);

/* readdir.c: the node is gone. */
void gofer_streams_forget(struct gofer_server *s, uint64_t node);
