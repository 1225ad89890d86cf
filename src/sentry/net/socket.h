/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/socket.h - sockets (socket(7)): what all families share. A family embeds struct
 * socket and implements struct socket_ops.
 *
 * Waiting: state changes are announced on wq. A fiber never keeps a pointer to another socket over
 * a park: it looks it up again (the peer may be gone; a socket that ends empties its wait queue).
 */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "sentry/net/net_ns.h"
#include "sentry/net/packet.h"
#include "sentry/net/scm.h"
#include "sentry/vfs/file.h"

#define SOCKET_BUF_DEFAULT    212992 /* bytes: net.core.wmem_default and _max */
#define SOCKET_BUF_MAX	      212992
#define SOCKET_BUF_MIN	      4608
#define SOCKET_BUF_FORCED_MAX (64 << 20) /* SO_SNDBUFFORCE and SO_RCVBUFFORCE */
#define SOCKET_SEND_MAX	      (1u << 20) /* bytes of one datagram, before the family's own limit */

struct socket;
struct task;

/* An address in a family's format. */
struct sock_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage storage;
	};
	socklen_t len; /* bytes; 0: none */
};

/* One send or receive. */
struct socket_msg {
	struct uio *data;
	struct sock_addr addr; /* send: where to (len 0: the peer); receive: where from */
	struct scm scm;	       /* send: taken by the family; receive: filled */
	struct buf control;    /* send: messages of the family; receive: formatted ones */
	int flags;	       /* MSG_* as the caller gave them, with MSG_DONTWAIT if O_NONBLOCK */
	int ret_flags;	       /* receive: MSG_TRUNC, MSG_EOR ... */
	bool want_addr, want_control;
	/* receive: a datagram was taken, its bytes are copied; fills addr and control. */
	void (*taken)(struct socket *s, const struct packet *p, struct socket_msg *m);
};

struct socket_ops {
	int (*bind)(struct socket *s, const struct sock_addr *addr);
	int (*connect)(struct socket *s, const struct sock_addr *addr, bool nonblock);
	int (*listen)(struct socket *s, int backlog);
	int (*accept)(struct socket *s, bool nonblock, struct socket **ret);
	int (*getname)(struct socket *s, bool peer, struct sock_addr *ret);
	ssize_t (*send)(struct socket *s, struct socket_msg *m);
	ssize_t (*receive)(struct socket *s, struct socket_msg *m);
	int (*shutdown)(struct socket *s, int how);
	uint32_t (*poll)(struct socket *s);
	/* Options of the family's levels. value is *len bytes of kernel memory. */
	int (*setsockopt)(struct socket *s, int level, int name, const void *value, size_t len);
	int (*getsockopt)(struct socket *s, int level, int name, void *value, size_t *len);
	long (*ioctl)(struct socket *s, unsigned int cmd, uint64_t arg, struct user_memory *um);
	/* The pending error, 0 or -errno, which is cleared. [socket.error] */
	int (*take_error)(struct socket *s);
	bool mirror_options; /* SOL_SOCKET's options go to setsockopt() too, which may know them */
	/* Connect two fresh sockets with each other. [EOPNOTSUPP] */
	int (*pair)(struct socket *a, struct socket *b);
	/* The last reference is gone; socket_done() and free() are the family's last acts. */
	void (*release)(struct socket *s);
};

/* SOL_SOCKET, as set. Bytes, nanoseconds. */
struct socket_options {
	bool reuseaddr, reuseport, keepalive, broadcast, dontroute, oobinline, passcred;
	bool timestamp, timestamp_ns, passsec, rxq_ovfl, no_check;
	int sndbuf, rcvbuf, rcvlowat, priority, mark, busy_poll, peek_off;
	nsec_t rcvtimeo, sndtimeo; /* NSEC_NEVER: none */
	struct linger linger;
	char device[16]; /* SO_BINDTODEVICE */
};

struct socket {
	struct file file;
	const struct socket_ops *ops;
	struct net_ns *ns; /* one reference */
	int family, type, protocol;
	struct waitq wq;
	int error; /* SO_ERROR: a positive errno that the next call reports */
	struct socket_options opt;
};

static inline struct socket *file_socket(struct file *f)
{
	return container_of(f, struct socket, file);
}

/* NULL when the file is no socket. */
struct socket *socket_from_file(struct file *f);

/* socket(2)'s errors; *ret has one reference (of its file). */
int socket_create(struct net_ns *ns, int family, int type, int protocol, uint32_t flags,
		  struct socket **ret);

/* For families: a fresh socket's common part, with its inode; and its end. */
int socket_init(struct socket *s, const struct socket_ops *ops, struct net_ns *ns, int family,
		int type, int protocol, uint32_t flags);
void socket_done(struct socket *s);

/* Report and clear the pending error: 0 or -errno. */
int socket_take_error(struct socket *s);

/* Wait for a change on q until the deadline: 0, -EAGAIN (deadline), -ERESTARTSYS or, with a
 * time-out set, -EINTR (signal(7)). */
int socket_wait(struct waitq *q, nsec_t deadline);
nsec_t socket_deadline(nsec_t timeout); /* from now */

/* send(2) and recv(2) of kernel callers: flags are judged, SIGPIPE is sent. */
ssize_t socket_send(struct socket *s, struct socket_msg *m);
ssize_t socket_receive(struct socket *s, struct socket_msg *m);
void socket_msg_done(struct socket_msg *m);

/* setsockopt(2) and getsockopt(2), all levels. */
int socket_setsockopt(struct socket *s, int level, int name, const void *value, size_t len);
int socket_getsockopt(struct socket *s, int level, int name, void *value, size_t *len);

/* SIOCGIF* of any socket (netdevice(7)); -ENOTTY: none of them. */
long netdevice_ioctl(struct net_ns *ns, unsigned int cmd, uint64_t arg, struct user_memory *um);

/* Control messages of SOL_SOCKET that a receiver asked for: time stamps. */
void socket_put_times(const struct socket *s, struct socket_msg *m, nsec_t arrived);

/* Netlink sockets of the sandbox get messages of other rooms: bytes as they are. */
bool netlink_file(struct file *f);
void netlink_deliver(struct file *f, const uint8_t *bytes, size_t len);

/* Families: a fresh socket of a type and protocol that they know, or socket(2)'s errno. */
int unix_create(struct net_ns *ns, int type, int protocol, uint32_t flags, struct socket **ret);
int inet_create(struct net_ns *ns, int family, int type, int protocol, uint32_t flags,
		struct socket **ret);
int netlink_create(struct net_ns *ns, int type, int protocol, uint32_t flags, struct socket **ret);
