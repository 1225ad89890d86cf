/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/unix.h - unix sockets (unix(7)), for the files of this room.
 */
#pragma once

#include "sentry/net/stream.h"

#define UNIX_DGRAM_QUEUE_MAX 10 /* datagrams before a sender waits: net.unix.max_dgram_qlen */

/* A bound name; immutable. */
struct unix_addr {
	unsigned int refs;
	socklen_t len; /* of `un`, with the family; abstract names have sun_path[0] == 0 */
	struct sockaddr_un un;
	char pad; /* a NUL behind the longest path */
};

/* Both accept NULL. */
struct unix_addr *unix_addr_ref(struct unix_addr *addr);
void unix_addr_unref(struct unix_addr *addr);

struct unix_socket {
	struct socket sock;
	struct stream st; /* datagram sockets use its queue and shut flags only */
	struct list_head ns_node;
	struct list_head name_node;  /* in net_ns.unix_names with an abstract name of its own */
	struct unix_addr *addr;	     /* NULL: not bound; one reference */
	struct unix_addr *peer_addr; /* of a peer that is gone */
	struct inode *inode;	/* of a bound path; one reference; its `bound` is this socket */
	struct unix_host *host; /* connected with the host: unix_host.h; one reference */
	struct unix_host *host_bound; /* bound there, too; one reference */
	struct scm_creds
		creds; /* of who made it connect or listen: SO_PEERCRED of the other side */
	struct scm_creds peer_creds;
	const struct cred *cred, *peer_cred; /* the same with groups: SO_PEERGROUPS */

	/* streams and sequenced packets */
	bool listening, connected;
	unsigned int backlog, pending_count;
	struct list_head pending, pending_node; /* connections that wait for accept(2) */
	struct unix_socket *listener;		/* of one that waits */

	/* datagrams */
	struct unix_socket *dest; /* connect(2): default destination */
	struct list_head clients, client_node;

	unsigned int in_flight; /* references from messages: unix_gc.h */
	unsigned int gc_inner;
	bool reachable;
	struct list_head gc_node, gc_todo;
};

static inline struct unix_socket *to_unix(struct socket *s)
{
	return container_of(s, struct unix_socket, sock);
}

extern const struct socket_ops unix_stream_ops, unix_dgram_ops;

/* The hash of a struct unix_socket.name_node. */
uint32_t unix_name_hash(const struct list_head *node);

/* Parts of both kinds. */
int unix_socket_new(struct net_ns *ns, int type, uint32_t flags, struct unix_socket **ret);
void unix_socket_free(struct unix_socket *u);
int unix_bind(struct socket *s, const struct sock_addr *addr);
int unix_autobind(struct unix_socket *u);
/* A name, or NULL: the unnamed one. */
int unix_getname(const struct unix_addr *addr, struct sock_addr *ret);
int unix_getsockopt(struct socket *s, int level, int name, void *value, size_t *len);
long unix_ioctl(struct socket *s, unsigned int cmd, uint64_t arg, struct user_memory *um);
/* The socket that a name leads to, borrowed until the next park: -ECONNREFUSED, -EPROTOTYPE,
 * -EREMOTE (a node of the host's, for unix_connect_host()) and the errors of a walk. */
int unix_find(struct unix_socket *from, const struct sock_addr *addr, struct unix_socket **ret);
/* Connect with the host's socket behind such a name; *ret: a reference. */
int unix_connect_host(struct unix_socket *from, const struct sock_addr *addr,
		      struct unix_host **ret);
/* getpeername(2) of a socket whose peer is the host's. */
void unix_set_peer(struct unix_socket *u, const struct sock_addr *addr);
/* The sender's credentials for a message, if one side wants them and it has none. */
void unix_stamp(struct unix_socket *from, const struct unix_socket *to, struct socket_msg *m);
/* SCM_CREDENTIALS for a receiver that asked for them. */
void unix_put_creds(struct unix_socket *u, struct socket_msg *m);
void unix_remember_creds(struct unix_socket *u);
