/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/inet.h - internet sockets inside the sandbox (ip(7), ipv6(7), tcp(7), udp(7)), for the
 * files of this room. There is one link, loopback; no packet is ever made: what a socket sends is
 * queued at the socket that it is for.
 */
#pragma once

#include "sentry/core/ktimer.h"
#include "sentry/net/stream.h"

#define INET_GROUPS_MAX	 20 /* multicast groups of a socket: igmp_max_memberships */
#define INET_OPTIONS_MAX 64

enum tcp_state {
	TCP_FRESH,	/* not connected (yet), or disconnected */
	TCP_LISTENING,	/* */
	TCP_CONNECTING, /* waits for room in the listener's queue */
	TCP_CONNECTED,	/* or was, until it is closed */
};

struct inet_socket {
	struct socket sock;
	struct stream st;	    /* udp uses its queue and shut flags only */
	struct list_head port_node; /* in the namespace's table; empty: no port */
	struct endpoint local, remote;
	bool v6only, cork; /* UDP_CORK */
	struct buf corked; /* udp: what MSG_MORE has gathered of the next datagram */
	struct endpoint corked_to, corked_from;
	bool own_addr, own_port;      /* given by bind(2): a disconnect leaves them */
	int values[INET_OPTIONS_MAX]; /* by inet_options[] */
	uint8_t groups[INET_GROUPS_MAX][16];
	unsigned int group_count;
	char congestion[16];

	uint32_t icmp_filter; /* raw: ICMP_FILTER */
	bool own_head;	      /* raw: IP_HDRINCL, what is sent begins with its IP header */

	/* tcp */
	enum tcp_state state;
	bool unreported;  /* a connect(2) has come to its end and nobody was told */
	bool peer_closed; /* orderly: the next bytes that we send meet nobody */
	bool reset;
	bool urgent_set;
	uint8_t urgent; /* the byte of MSG_OOB */
	unsigned int backlog, pending_count;
	struct list_head pending, pending_node; /* connections that wait for accept(2) */
	struct list_head waiting, waiting_node; /* connects that wait for room in pending */
	struct inet_socket *listener;		/* of a pending or waiting one */
	struct ktimer give_up;			/* armed while TCP_CONNECTING */
};

static inline struct inet_socket *to_inet(struct socket *s)
{
	return container_of(s, struct inet_socket, sock);
}

extern const struct socket_ops tcp_ops, udp_ops;

int inet_socket_new(struct net_ns *ns, int family, int type, int protocol, uint32_t flags,
		    struct inet_socket **ret);
void inet_socket_free(struct inet_socket *s);

/* Addresses. */
bool endpoint_is_v4(const struct endpoint *e);
bool endpoint_is_any(const struct endpoint *e);
bool endpoint_is_multicast(const struct endpoint *e);
bool endpoint_is_local(const struct net_ns *ns, const struct endpoint *e);
void endpoint_set_any(struct endpoint *e, int family);
bool endpoint_same_ip(const struct endpoint *a, const struct endpoint *b);
/* Decode an address given to a socket: -EINVAL, -EAFNOSUPPORT. */
int endpoint_decode(const struct inet_socket *s, const struct sock_addr *addr,
		    struct endpoint *ret);
void endpoint_encode(const struct inet_socket *s, const struct endpoint *e, struct sock_addr *ret);
/* Where a packet to `to` goes: "any" is loopback. -ENETUNREACH. */
int endpoint_route(const struct inet_socket *s, struct endpoint *to);
/* The source address of packets to `to` when the socket has none of its own. */
void endpoint_source(const struct endpoint *to, struct endpoint *ret);

/* Ports. */
struct list_head *port_bucket(struct net_ns *ns, int type, uint16_t port);
/* Give the socket a local port, 0: an ephemeral one. -EADDRINUSE, -EADDRNOTAVAIL. */
int port_bind(struct inet_socket *s, uint16_t port);
void port_release(struct inet_socket *s);
/* A disconnect: what connect(2) chose for the local side is given back. */
void port_forget(struct inet_socket *s);
/* A socket that became a listener may conflict with others now. */
bool port_conflicts(const struct inet_socket *s);
/* Put a socket with the listener's port (an accepted connection) into the table. */
void port_share(struct inet_socket *s);
/* Does the socket's local address take what is sent to `to`? 0: no; larger is more exact. */
unsigned int local_score(const struct inet_socket *s, const struct endpoint *to);

int inet_bind(struct socket *s, const struct sock_addr *addr);
int inet_getname(struct inet_socket *s, bool peer, struct sock_addr *ret);

/* Of udp, for all datagrams. A full buffer loses the packet, which is taken in any case. */
void inet_deliver(struct inet_socket *to, struct packet *p);
/* What the socket's options and the sender's control messages say of a datagram. 0, -EINVAL. */
int inet_mark_packet(const struct inet_socket *s, const struct buf *control, struct packet *p);
ssize_t inet_receive_datagram(struct socket *sock, struct socket_msg *m);
uint32_t inet_poll_datagram(struct socket *sock);
long inet_ioctl_datagram(struct socket *sock, unsigned int cmd, uint64_t arg,
			 struct user_memory *um);
void inet_release(struct socket *sock);

/* A raw socket of a protocol (-EPERM, -EPROTONOSUPPORT), or a ping socket. */
int raw_create(struct net_ns *ns, int family, int type, int protocol, uint32_t flags,
	       struct socket **ret);

/* UDP_CORK is off: send what was gathered. 0, -ENOMEM. */
int udp_uncork(struct inet_socket *s);

/* Options of the levels IP, IPV6, TCP and UDP. */
int inet_setsockopt(struct socket *s, int level, int name, const void *value, size_t len);
int inet_getsockopt(struct socket *s, int level, int name, void *value, size_t *len);
void inet_options_init(struct inet_socket *s);
int inet_option(const struct inet_socket *s, int level, int name); /* its value; it is known */
bool inet_in_group(const struct inet_socket *s, const struct endpoint *group);

/* The timer of a connect that nobody answers: ETIMEDOUT. */
void tcp_give_up(struct ktimer *timer);

/* The state as Linux numbers it, for TCP_INFO and /proc/net/tcp. */
int tcp_linux_state(const struct inet_socket *s);
