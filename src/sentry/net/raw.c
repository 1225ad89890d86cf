/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw sockets (raw(7)) and ping sockets (icmp(7)) on loopback: what one sends every raw socket of
 * its protocol hears, the sender's among them, and an echo request is answered.
 *
 * A ping socket's port is the identifier of its echoes; its messages begin with the ICMP header. A
 * raw socket of IPv4 reads packets with their IP header. A sender's own header (IP_HDRINCL) says
 * addresses, protocol, TTL and TOS; its options and identification are not passed on, and what it
 * makes of TCP and UDP only raw sockets hear.
 */
#include <linux/capability.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/core/kclock.h"
#include "sentry/net/inet.h"
#include "sentry/task/task.h"

#define PAYLOAD_MAX 65507 /* bytes */
#define ICMP_HEAD   8	  /* bytes: type, code, checksum, identifier, sequence */
#define ID_OFFSET   4
#define NOBODY	    256 /* no protocol */
#ifndef ICMP_FILTER	/* linux/icmp.h has it, and a struct of netinet/ip_icmp.h */
#define ICMP_FILTER 1
#endif

static bool is_ping(const struct inet_socket *s)
{
	return s->sock.type == SOCK_DGRAM;
}

static uint32_t sum_words(uint32_t sum, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | (i + 1 < len ? bytes[i + 1] : 0u);
	return sum;
}

/* The checksum of an ICMP message that stands in the packet, its field counted as it is. */
static uint16_t checksum(const struct packet *p, bool v6)
{
	uint32_t sum = 0;

	if (v6) {
		/* The pseudo header: addresses, length, next header. */
		sum = sum_words(sum, p->src.ip, sizeof(p->src.ip));
		sum = sum_words(sum, p->dst.ip, sizeof(p->dst.ip));
		sum += (uint32_t)p->len + IPPROTO_ICMPV6;
	}
	sum = sum_words(sum, p->bytes, p->len);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put_checksum(struct packet *p, bool v6)
{
	uint16_t sum;

	p->bytes[2] = p->bytes[3] = 0;
	sum = checksum(p, v6);
	p->bytes[2] = (uint8_t)(sum >> 8);
	p->bytes[3] = (uint8_t)sum;
}

static bool hears(const struct inet_socket *s, const struct packet *p, int protocol, bool v6)
{
	const uint8_t type = p->len ? p->bytes[0] : 0;

	if ((s->sock.family == AF_INET6) != v6 || s->sock.protocol != protocol)
		return false;
	if (!endpoint_is_any(&s->local) && !endpoint_same_ip(&s->local, &p->dst))
		return false;
	if (s->state == TCP_CONNECTED && !endpoint_same_ip(&s->remote, &p->src))
		return false;
	if (is_ping(s))
		return type == (v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) && p->len >= ICMP_HEAD &&
		       (p->bytes[ID_OFFSET] << 8 | p->bytes[ID_OFFSET + 1]) == s->local.port;
	return protocol != IPPROTO_ICMP || type >= 32 || !(s->icmp_filter >> type & 1);
}

/* The packet as s reads it: with its IP header on a raw socket of IPv4. */
static struct packet *copy_for(const struct inet_socket *s, const struct packet *p)
{
	const bool with_head = !is_ping(s) && s->sock.family == AF_INET;
	struct iphdr head = { .version = 4, .ihl = 5, .tos = p->tos, .ttl = p->hops };
	const size_t extra = with_head ? sizeof(head) : 0;
	struct packet *copy = packet_new(extra + p->len);

	if (!copy)
		return NULL;
	if (with_head) {
		head.protocol = (uint8_t)s->sock.protocol;
		head.tot_len = htons((uint16_t)(extra + p->len));
		memcpy(&head.saddr, p->src.ip + 12, 4);
		memcpy(&head.daddr, p->dst.ip + 12, 4);
		memcpy(copy->bytes, &head, sizeof(head));
	}
	memcpy(copy->bytes + extra, p->bytes, p->len);
	copy->src = p->src;
	copy->dst = p->dst;
	copy->src.port = 0;
	copy->hops = p->hops;
	copy->tos = p->tos;
	copy->arrived = p->arrived;
	return copy;
}

static void deliver_all(struct net_ns *ns, const struct packet *p, int protocol, bool v6)
{
	struct inet_socket *s;

	list_for_each(s, &ns->raw_sockets, port_node)
	{
		struct packet *copy = hears(s, p, protocol, v6) ? copy_for(s, p) : NULL;

		if (copy)
			inet_deliver(s, copy);
	}
}

/* An echo request that is whole: the same bytes go back. */
static void answer(struct net_ns *ns, struct packet *p, int protocol, bool v6)
{
	const struct endpoint from = p->dst;

	if (protocol != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) || p->len < ICMP_HEAD ||
	    p->bytes[0] != (v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO) || checksum(p, v6))
		return;
	p->bytes[0] = v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY;
	p->dst = p->src;
	p->src = from;
	put_checksum(p, v6);
	deliver_all(ns, p, protocol, v6);
}

static bool id_is_taken(const struct inet_socket *s, uint16_t id)
{
	const struct inet_socket *other;

	list_for_each(other, &s->sock.ns->raw_sockets, port_node)
	{
		if (other != s && is_ping(other) && other->sock.family == s->sock.family &&
		    other->local.port == id)
			return true;
	}
	return false;
}

/* An identifier for a ping socket: this one, which others may have, too; or (0) a free one. */
static int take_id(struct inet_socket *s, uint16_t id)
{
	for (uint32_t i = 1; !id && i <= UINT16_MAX; i++) {
		const uint16_t next = (uint16_t)(s->sock.ns->ping_next + i);

		if (next && !id_is_taken(s, next))
			s->sock.ns->ping_next = id = next;
	}
	if (!id)
		return -EAGAIN;
	s->local.port = id;
	return 0;
}

static int raw_bind(struct socket *sock, const struct sock_addr *addr)
{
	struct inet_socket *s = to_inet(sock);
	struct endpoint e;
	int r = endpoint_decode(s, addr, &e);

	if (r < 0)
		return r;
	if (is_ping(s) && s->local.port)
		return -EINVAL;
	if (!endpoint_is_any(&e) && !endpoint_is_local(sock->ns, &e))
		return -EADDRNOTAVAIL;
	if (is_ping(s))
		r = take_id(s, e.port);
	if (r == 0)
		memcpy(s->local.ip, e.ip, sizeof(e.ip));
	return r;
}

static int raw_connect(struct socket *sock, const struct sock_addr *addr, bool nonblock)
{
	struct inet_socket *s = to_inet(sock);
	struct endpoint to;
	int r;

	if (addr->len < sizeof(sa_family_t))
		return -EINVAL;
	if (addr->sa.sa_family == AF_UNSPEC) {
		s->state = TCP_FRESH;
		return 0;
	}
	r = endpoint_decode(s, addr, &to);
	if (r >= 0)
		r = endpoint_route(s, &to);
	if (r == 0 && is_ping(s) && !s->local.port)
		r = take_id(s, 0);
	if (r < 0)
		return r;
	if (endpoint_is_any(&s->local)) {
		struct endpoint from;

		endpoint_source(&to, &from);
		memcpy(s->local.ip, from.ip, sizeof(from.ip));
	}
	s->remote = to;
	s->state = TCP_CONNECTED;
	return 0;
}

static int raw_getname(struct socket *sock, bool peer, struct sock_addr *ret)
{
	struct inet_socket *s = to_inet(sock);

	if (peer && s->state != TCP_CONNECTED)
		return -ENOTCONN;
	endpoint_encode(s, peer ? &s->remote : &s->local, ret);
	return 0;
}

/* Where from and to; -EDESTADDRREQ. */
static int route(struct inet_socket *s, const struct socket_msg *m, struct packet *p)
{
	int r = 0;

	if (m->addr.len)
		r = endpoint_decode(s, &m->addr, &p->dst);
	else if (s->state == TCP_CONNECTED)
		p->dst = s->remote;
	else
		r = -EDESTADDRREQ;
	if (r >= 0)
		r = endpoint_route(s, &p->dst);
	if (r == 0 && is_ping(s) && !s->local.port)
		r = take_id(s, 0);
	p->src = s->local;
	if (r == 0 && endpoint_is_any(&p->src))
		endpoint_source(&p->dst, &p->src);
	return r;
}

/* What a ping socket may send: an echo request, whose identifier is the socket's. */
static int judge_echo(const struct inet_socket *s, struct packet *p)
{
	const bool v6 = s->sock.family == AF_INET6;

	if (p->len < ICMP_HEAD || p->bytes[0] != (v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO) ||
	    p->bytes[1])
		return -EINVAL;
	p->bytes[ID_OFFSET] = (uint8_t)(s->local.port >> 8);
	p->bytes[ID_OFFSET + 1] = (uint8_t)s->local.port;
	return 0;
}

/* IP_HDRINCL: the sender's IP header goes into p. Its protocol, NOBODY (a packet that is dropped)
 * or -EINVAL. */
static int take_head(const struct inet_socket *s, struct packet *p)
{
	struct iphdr head;
	size_t len;

	if (p->len < sizeof(head))
		return -EINVAL;
	memcpy(&head, p->bytes, sizeof(head));
	len = head.ihl * 4u;
	if (len > p->len)
		return -EINVAL;
	if (head.saddr)
		memcpy(p->src.ip + 12, &head.saddr, sizeof(head.saddr));
	memcpy(p->dst.ip + 12, &head.daddr, sizeof(head.daddr));
	p->tos = head.tos;
	p->hops = head.ttl;
	if (head.version != 4 || len < sizeof(head) || !endpoint_is_local(s->sock.ns, &p->dst))
		return NOBODY;
	memmove(p->bytes, p->bytes + len, p->len - len);
	p->len -= len;
	return head.protocol;
}

static ssize_t raw_send(struct socket *sock, struct socket_msg *m)
{
	struct inet_socket *s = to_inet(sock);
	const bool v6 = sock->family == AF_INET6;
	const size_t len = m->data->left;
	AUTO(packet_free_p) struct packet *p = NULL;
	int r, protocol = sock->protocol;

	if (len > PAYLOAD_MAX)
		return -EMSGSIZE;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	p = packet_new(len);
	if (!p)
		return -ENOMEM;
	if (len && uio_get(m->data, p->bytes, len) != (ssize_t)len)
		return -EFAULT;
	r = route(s, m, p);
	if (r == 0 && is_ping(s))
		r = judge_echo(s, p);
	if (r == 0)
		r = inet_mark_packet(s, &m->control, p);
	if (r == 0 && s->own_head)
		r = protocol = take_head(s, p);
	if (r < 0)
		return r;
	if ((is_ping(s) || sock->protocol == IPPROTO_ICMPV6) && len >= ICMP_HEAD)
		put_checksum(p, v6);
	p->arrived = kclock_realtime();
	deliver_all(sock->ns, p, protocol, v6);
	answer(sock->ns, p, protocol, v6);
	return (ssize_t)len;
}

static int raw_shutdown(struct socket *sock, int how)
{
	return to_inet(sock)->state == TCP_CONNECTED ? 0 : -ENOTCONN;
}

static bool is_own_head(const struct socket *sock, int level, int name)
{
	return level == SOL_IP && name == IP_HDRINCL && sock->type == SOCK_RAW &&
	       sock->family == AF_INET;
}

static int set_own_head(struct inet_socket *s, const void *value, size_t len)
{
	int on = 0;

	if (!len)
		return -EINVAL;
	memcpy(&on, value, len < sizeof(on) ? len : sizeof(on));
	s->own_head = on;
	return 0;
}

/* ICMP_FILTER of raw(7): a bit for each type that is not wanted. */
static int raw_setsockopt(struct socket *sock, int level, int name, const void *value, size_t len)
{
	struct inet_socket *s = to_inet(sock);

	if (is_own_head(sock, level, name))
		return set_own_head(s, value, len);
	if (level != SOL_RAW || name != ICMP_FILTER || is_ping(s))
		return inet_setsockopt(sock, level, name, value, len);
	if (sock->protocol != IPPROTO_ICMP)
		return -EOPNOTSUPP;
	memcpy(&s->icmp_filter, value, len < sizeof(s->icmp_filter) ? len : sizeof(s->icmp_filter));
	return 0;
}

static int raw_getsockopt(struct socket *sock, int level, int name, void *value, size_t *len)
{
	const struct inet_socket *s = to_inet(sock);
	const int own_head = s->own_head;

	if (is_own_head(sock, level, name)) {
		if (*len > sizeof(own_head))
			*len = sizeof(own_head);
		memcpy(value, &own_head, *len);
		return 0;
	}
	if (level != SOL_RAW || name != ICMP_FILTER || is_ping(s))
		return inet_getsockopt(sock, level, name, value, len);
	if (sock->protocol != IPPROTO_ICMP)
		return -EOPNOTSUPP;
	if (*len > sizeof(s->icmp_filter))
		*len = sizeof(s->icmp_filter);
	memcpy(value, &s->icmp_filter, *len);
	return 0;
}

static const struct socket_ops raw_ops = {
	.bind = raw_bind,
	.connect = raw_connect,
	.getname = raw_getname,
	.send = raw_send,
	.receive = inet_receive_datagram,
	.shutdown = raw_shutdown,
	.poll = inet_poll_datagram,
	.setsockopt = raw_setsockopt,
	.getsockopt = raw_getsockopt,
	.ioctl = inet_ioctl_datagram,
	.release = inet_release,
};

int raw_create(struct net_ns *ns, int family, int type, int protocol, uint32_t flags,
	       struct socket **ret)
{
	struct inet_socket *s;
	int r;

	if (type == SOCK_RAW &&
	    (!protocol || protocol > IPPROTO_RAW || (protocol == IPPROTO_RAW && family != AF_INET)))
		return -EPROTONOSUPPORT;
	if (type == SOCK_RAW && !net_capable(ns, CAP_NET_RAW))
		return -EPERM;
	r = inet_socket_new(ns, family, type, protocol, flags, &s);
	if (r < 0)
		return r;
	s->sock.ops = &raw_ops;
	s->own_head = protocol == IPPROTO_RAW;
	list_add_tail(&s->port_node, &ns->raw_sockets);
	*ret = &s->sock;
	return 0;
}
