/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internet sockets: birth and addresses.
 */
#include "sentry/net/inet.h"

#include <linux/capability.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/task/task.h"

static const uint8_t v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void set_v4(struct endpoint *e, uint32_t addr)
{
	const uint32_t be = htonl(addr);

	memcpy(e->ip, v4_prefix, sizeof(v4_prefix));
	memcpy(e->ip + 12, &be, sizeof(be));
}

static uint32_t get_v4(const struct endpoint *e)
{
	uint32_t be;

	memcpy(&be, e->ip + 12, sizeof(be));
	return ntohl(be);
}

bool endpoint_is_v4(const struct endpoint *e)
{
	return !memcmp(e->ip, v4_prefix, sizeof(v4_prefix));
}

bool endpoint_is_any(const struct endpoint *e)
{
	static const uint8_t zeros[16];

	return endpoint_is_v4(e) ? !get_v4(e) : !memcmp(e->ip, zeros, sizeof(zeros));
}

bool endpoint_is_multicast(const struct endpoint *e)
{
	return endpoint_is_v4(e) ? get_v4(e) >> 28 == 0xe : e->ip[0] == 0xff;
}

void endpoint_set_any(struct endpoint *e, int family)
{
	memset(e->ip, 0, sizeof(e->ip));
	if (family == AF_INET)
		set_v4(e, INADDR_ANY);
}

static bool is_v6_loopback(const struct endpoint *e)
{
	static const uint8_t one[16] = { [15] = 1 };

	return !memcmp(e->ip, one, sizeof(one));
}

bool endpoint_is_local(const struct net_ns *ns, const struct endpoint *e)
{
	if (!ns->loopback_up)
		return false;
	return endpoint_is_v4(e) ? get_v4(e) >> 24 == IN_LOOPBACKNET : is_v6_loopback(e);
}

bool endpoint_same_ip(const struct endpoint *a, const struct endpoint *b)
{
	return !memcmp(a->ip, b->ip, sizeof(a->ip));
}

int endpoint_decode(const struct inet_socket *s, const struct sock_addr *addr, struct endpoint *ret)
{
	*ret = (struct endpoint){ 0 };
	if (addr->len < sizeof(sa_family_t))
		return -EINVAL;
	if (addr->sa.sa_family == AF_INET6 && s->sock.family == AF_INET6) {
		if (addr->len < offsetof(struct sockaddr_in6, sin6_scope_id))
			return -EINVAL;
		memcpy(ret->ip, &addr->in6.sin6_addr, sizeof(ret->ip));
		ret->port = ntohs(addr->in6.sin6_port);
		return 0;
	}
	if (addr->len < sizeof(struct sockaddr_in))
		return -EINVAL;
	if (addr->sa.sa_family != AF_INET || (s->sock.family == AF_INET6 && s->v6only))
		return -EAFNOSUPPORT;
	set_v4(ret, ntohl(addr->in.sin_addr.s_addr));
	ret->port = ntohs(addr->in.sin_port);
	return 0;
}

void endpoint_encode(const struct inet_socket *s, const struct endpoint *e, struct sock_addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (s->sock.family == AF_INET) {
		ret->in.sin_family = AF_INET;
		ret->in.sin_port = htons(e->port);
		if (endpoint_is_v4(e))
			ret->in.sin_addr.s_addr = htonl(get_v4(e));
		ret->len = sizeof(ret->in);
	} else {
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_port = htons(e->port);
		memcpy(&ret->in6.sin6_addr, e->ip, sizeof(e->ip));
		ret->len = sizeof(ret->in6);
	}
}

int endpoint_route(const struct inet_socket *s, struct endpoint *to)
{
	if (endpoint_is_any(to)) {
		if (endpoint_is_v4(to))
			set_v4(to, INADDR_LOOPBACK);
		else
			to->ip[15] = 1;
	}
	if (s->v6only && endpoint_is_v4(to))
		return -ENETUNREACH;
	return endpoint_is_local(s->sock.ns, to) ? 0 : -ENETUNREACH;
}

void endpoint_source(const struct endpoint *to, struct endpoint *ret)
{
	if (endpoint_is_v4(to)) {
		set_v4(ret, INADDR_LOOPBACK);
	} else {
		memset(ret->ip, 0, sizeof(ret->ip));
		ret->ip[15] = 1;
	}
}

int inet_socket_new(struct net_ns *ns, int family, int type, int protocol, uint32_t flags,
		    struct inet_socket **ret)
{
	struct inet_socket *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = socket_init(&s->sock, type == SOCK_STREAM ? &tcp_ops : &udp_ops, ns, family, type,
			protocol, flags);
	if (r < 0) {
		free(s);
		return r;
	}
	stream_init(&s->st, &s->sock);
	list_init(&s->port_node);
	list_init(&s->pending);
	list_init(&s->pending_node);
	list_init(&s->waiting);
	list_init(&s->waiting_node);
	ktimer_init(&s->give_up, tcp_give_up);
	endpoint_set_any(&s->local, family);
	endpoint_set_any(&s->remote, family);
	inet_options_init(s);
	*ret = s;
	return 0;
}

void inet_socket_free(struct inet_socket *s)
{
	port_release(s);
	packet_queue_done(&s->st.rx);
	buf_done(&s->corked);
	socket_done(&s->sock);
	free(s);
}

int inet_create(struct net_ns *ns, int family, int type, int protocol, uint32_t flags,
		struct socket **ret)
{
	struct inet_socket *s;
	int r;

	if (protocol < 0 || protocol >= IPPROTO_MAX)
		return -EINVAL;
	switch (type) {
	case SOCK_STREAM:
		if (protocol && protocol != IPPROTO_TCP)
			return -EPROTONOSUPPORT;
		protocol = IPPROTO_TCP;
		break;
	case SOCK_DGRAM:
		if (protocol == (family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6))
			return raw_create(ns, family, type, protocol, flags, ret);
		if (protocol && protocol != IPPROTO_UDP)
			return -EPROTONOSUPPORT;
		protocol = IPPROTO_UDP;
		break;
	case SOCK_RAW:
		return raw_create(ns, family, type, protocol, flags, ret);
	default:
		return -ESOCKTNOSUPPORT;
	}
	r = inet_socket_new(ns, family, type, protocol, flags, &s);
	if (r >= 0)
		*ret = &s->sock;
	return r;
}

int inet_bind(struct socket *sock, const struct sock_addr *addr)
{
	struct inet_socket *s = to_inet(sock);
	struct endpoint e;
	int r;

	/* AF_UNSPEC with address 0 is "any" for old programs. */
	if (sock->family == AF_INET && addr->len >= sizeof(addr->in) &&
	    addr->in.sin_family == AF_UNSPEC && !addr->in.sin_addr.s_addr) {
		struct sock_addr in = *addr;

		in.in.sin_family = AF_INET;
		r = endpoint_decode(s, &in, &e);
	} else {
		if (sock->family == AF_INET6 && addr->len >= sizeof(sa_family_t) &&
		    addr->sa.sa_family != AF_INET6)
			return addr->len < sizeof(addr->in6) - 4 ? -EINVAL : -EAFNOSUPPORT;
		r = endpoint_decode(s, addr, &e);
	}
	if (r < 0)
		return r;
	if (!endpoint_is_any(&e) && !endpoint_is_local(sock->ns, &e) &&
	    !(endpoint_is_multicast(&e) && sock->type == SOCK_DGRAM) &&
	    !inet_option(s, IPPROTO_IP, IP_FREEBIND))
		return -EADDRNOTAVAIL;
	if (s->v6only && endpoint_is_v4(&e))
		return -EINVAL;
	if (e.port && e.port < sock->ns->limits.unprivileged_first &&
	    !net_capable(sock->ns, CAP_NET_BIND_SERVICE))
		return -EACCES;
	if (s->local.port || s->state != TCP_FRESH)
		return -EINVAL;
	memcpy(s->local.ip, e.ip, sizeof(e.ip));
	r = port_bind(s, e.port);
	if (r < 0) {
		endpoint_set_any(&s->local, sock->family);
		return r;
	}
	s->own_addr = !endpoint_is_any(&e);
	s->own_port = e.port;
	return 0;
}

int inet_getname(struct inet_socket *s, bool peer, struct sock_addr *ret)
{
	if (peer && !s->remote.port)
		return -ENOTCONN;
	endpoint_encode(s, peer ? &s->remote : &s->local, ret);
	return 0;
}
