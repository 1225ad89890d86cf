/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local ports: who has which, and who may share one (socket(7), SO_REUSEADDR and SO_REUSEPORT).
 */
#include <string.h>
#include <sys/random.h>

#include "sentry/net/inet.h"

struct list_head *port_bucket(struct net_ns *ns, int type, uint16_t port)
{
	return type == SOCK_STREAM ? &ns->tcp_ports[port % NET_PORT_BUCKETS]
				   : &ns->udp_ports[port % NET_PORT_BUCKETS];
}

/* Does address a stand for b too? */
static bool covers(const struct inet_socket *a, const struct inet_socket *b)
{
	if (!endpoint_is_any(&a->local))
		return false;
	if (endpoint_is_v4(&a->local))
		return endpoint_is_v4(&b->local);
	return !endpoint_is_v4(&b->local) || !a->v6only;
}

static bool overlap(const struct inet_socket *a, const struct inet_socket *b)
{
	return endpoint_same_ip(&a->local, &b->local) || covers(a, b) || covers(b, a);
}

/* May a have b's port, too? */
static bool may_share(const struct inet_socket *a, const struct inet_socket *b)
{
	const bool reuse = a->sock.opt.reuseaddr && b->sock.opt.reuseaddr;

	if (reuse && (a->sock.type == SOCK_DGRAM || b->state != TCP_LISTENING))
		return true;
	return a->sock.opt.reuseport && b->sock.opt.reuseport && a->sock.file.cred &&
	       b->sock.file.cred && a->sock.file.cred->euid == b->sock.file.cred->euid;
}

static bool conflicts_at(const struct inet_socket *s, uint16_t port, bool strict)
{
	const struct list_head *bucket = port_bucket(s->sock.ns, s->sock.type, port);
	const struct inet_socket *other;

	list_for_each(other, bucket, port_node)
	{
		if (other == s || other->local.port != port || !overlap(s, other))
			continue;
		if (strict || !may_share(s, other))
			return true;
	}
	return false;
}

bool port_conflicts(const struct inet_socket *s)
{
	return conflicts_at(s, s->local.port, false);
}

void port_share(struct inet_socket *s)
{
	list_add_tail(&s->port_node, port_bucket(s->sock.ns, s->sock.type, s->local.port));
}

/* A free port of the ephemeral range, from a random one on; 0: none. */
static uint16_t find_ephemeral(const struct inet_socket *s)
{
	const uint32_t first = (uint32_t)s->sock.ns->limits.ports[0];
	const uint32_t count = (uint32_t)s->sock.ns->limits.ports[1] - first + 1;
	uint32_t start = 0;

	if (getrandom(&start, sizeof(start), 0) != sizeof(start))
		start = first;
	for (uint32_t i = 0; i < count; i++) {
		const uint16_t port = (uint16_t)(first + (start + i) % count);

		if (!conflicts_at(s, port, true))
			return port;
	}
	return 0;
}

int port_bind(struct inet_socket *s, uint16_t port)
{
	if (!port) {
		port = find_ephemeral(s);
		if (!port)
			return -EADDRINUSE;
	} else if (conflicts_at(s, port, false)) {
		return -EADDRINUSE;
	}
	s->local.port = port;
	port_share(s);
	return 0;
}

void port_release(struct inet_socket *s)
{
	list_del(&s->port_node);
	s->local.port = 0;
}

void port_forget(struct inet_socket *s)
{
	if (!s->own_addr)
		endpoint_set_any(&s->local, s->sock.family);
	if (!s->own_port)
		port_release(s);
}

unsigned int local_score(const struct inet_socket *s, const struct endpoint *to)
{
	if (s->local.port != to->port)
		return 0;
	if (endpoint_same_ip(&s->local, to))
		return 4;
	if (!endpoint_is_any(&s->local))
		return 0;
	if (endpoint_is_v4(&s->local))
		return endpoint_is_v4(to) ? 3 : 0;
	if (!endpoint_is_v4(to))
		return 3;
	return s->v6only ? 0 : 2;
}
