/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP between sockets of a sandbox (udp(7)). A datagram that finds nobody tells a connected sender
 * (ECONNREFUSED at its next call); one that finds a full buffer is lost.
 */
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sentry/core/kclock.h"
#include "sentry/net/inet.h"
#include "sentry/task/task.h"

#define UDP_PAYLOAD_MAX 65507 /* bytes over IPv4 */
#define POLL_READABLE	(POLLIN | POLLRDNORM)

static int udp_connect(struct socket *sock, const struct sock_addr *addr, bool nonblock)
{
	struct inet_socket *s = to_inet(sock);
	struct endpoint to;
	int r;

	if (addr->len < sizeof(sa_family_t))
		return -EINVAL;
	if (addr->sa.sa_family == AF_UNSPEC) {
		s->remote.port = 0;
		port_forget(s);
		return 0;
	}
	r = endpoint_decode(s, addr, &to);
	if (r >= 0 && !endpoint_is_multicast(&to))
		r = endpoint_route(s, &to);
	if (r >= 0 && !s->local.port)
		r = port_bind(s, 0);
	if (r < 0)
		return r;
	if (!s->own_addr)
		endpoint_source(&to, &s->local);
	s->remote = to;
	return 0;
}

static int udp_getname(struct socket *sock, bool peer, struct sock_addr *ret)
{
	return inet_getname(to_inet(sock), peer, ret);
}

/* How well a socket fits a datagram; 0: not at all. A connected one hears only its peer. */
static unsigned int receiver_score(const struct inet_socket *s, const struct endpoint *from,
				   const struct endpoint *to)
{
	unsigned int score = local_score(s, to);

	if (!score || !s->remote.port)
		return score;
	return s->remote.port == from->port && endpoint_same_ip(&s->remote, from) ? score + 8 : 0;
}

static struct inet_socket *find_receiver(struct net_ns *ns, const struct endpoint *from,
					 const struct endpoint *to)
{
	struct inet_socket *s, *best = NULL;
	unsigned int best_score = 0;

	list_for_each(s, port_bucket(ns, SOCK_DGRAM, to->port), port_node)
	{
		const unsigned int score = receiver_score(s, from, to);

		/* Among equals the youngest, as on Linux without SO_REUSEPORT. */
		if (score && score >= best_score) {
			best = s;
			best_score = score;
		}
	}
	return best;
}

void inet_deliver(struct inet_socket *to, struct packet *p)
{
	if (to->st.rx_shut ||
	    to->st.rx.charge + p->len + sizeof(*p) > (size_t)to->sock.opt.rcvbuf) {
		packet_free(p);
		return;
	}
	packet_push(&to->st.rx, p);
	waitq_wake(&to->sock.wq, POLL_READABLE);
}

static bool hears_group(const struct inet_socket *s, const struct endpoint *to)
{
	if (s->local.port != to->port || !inet_in_group(s, to))
		return false;
	return endpoint_is_any(&s->local) || endpoint_same_ip(&s->local, to);
}

static void deliver_group(struct net_ns *ns, const struct packet *p)
{
	struct inet_socket *s;

	list_for_each(s, port_bucket(ns, SOCK_DGRAM, p->dst.port), port_node)
	{
		struct packet *copy;

		if (!hears_group(s, &p->dst))
			continue;
		copy = packet_new(p->len);
		if (!copy)
			return;
		memcpy(copy->bytes, p->bytes, p->len);
		copy->src = p->src;
		copy->dst = p->dst;
		copy->hops = p->hops;
		copy->tos = p->tos;
		copy->arrived = p->arrived;
		inet_deliver(s, copy);
	}
}

/* Destination and source of a datagram. */
static int udp_route(struct inet_socket *s, const struct socket_msg *m, struct endpoint *to,
		     struct endpoint *from)
{
	int r = 0;

	if (m->addr.len)
		r = endpoint_decode(s, &m->addr, to);
	else if (s->remote.port)
		*to = s->remote;
	else
		r = -EDESTADDRREQ;
	if (r < 0)
		return r;
	if (!to->port)
		return -EINVAL;
	if (endpoint_is_multicast(to))
		r = s->sock.ns->loopback_up ? 0 : -ENETUNREACH;
	else
		r = endpoint_route(s, to);
	if (r >= 0 && !s->local.port)
		r = port_bind(s, 0);
	*from = s->local;
	if (r >= 0 && endpoint_is_any(from))
		endpoint_source(to, from);
	return r;
}

/* One control message of a sender: hop limit or traffic class. Others are not for us. */
static int take_control(const struct cmsghdr *head, const char *data, struct packet *p)
{
	const size_t len = head->cmsg_len - sizeof(*head);
	const bool v4 = head->cmsg_level == IPPROTO_IP, v6 = head->cmsg_level == IPPROTO_IPV6;
	int value = 0;

	if ((v4 && (head->cmsg_type == IP_TTL || head->cmsg_type == IP_TOS)) ||
	    (v6 && (head->cmsg_type == IPV6_HOPLIMIT || head->cmsg_type == IPV6_TCLASS))) {
		if (len >= sizeof(value))
			memcpy(&value, data, sizeof(value));
		else if (len == 1 && v4)
			value = *(const uint8_t *)data;
		else
			return -EINVAL;
		if (value < -1 || value > 255)
			return -EINVAL;
	}
	if ((v4 && head->cmsg_type == IP_TTL) || (v6 && head->cmsg_type == IPV6_HOPLIMIT)) {
		if (v4 && value < 1)
			return -EINVAL;
		if (value >= 0)
			p->hops = (uint8_t)value;
	} else if ((v4 && head->cmsg_type == IP_TOS) || (v6 && head->cmsg_type == IPV6_TCLASS)) {
		p->tos = value > 0 ? (uint8_t)value : 0;
	} else if (v4 && head->cmsg_type != IP_PKTINFO) {
		return -EINVAL;
	}
	return 0;
}

/* What the socket's options and the sender's control messages say of a datagram. */
int inet_mark_packet(const struct inet_socket *s, const struct buf *control, struct packet *p)
{
	const bool v6 = s->sock.family == AF_INET6, group = endpoint_is_multicast(&p->dst);
	size_t at = 0;
	int r = 0;

	if (v6)
		p->hops = (uint8_t)inet_option(s, IPPROTO_IPV6,
					       group ? IPV6_MULTICAST_HOPS : IPV6_UNICAST_HOPS);
	else
		p->hops = (uint8_t)inet_option(s, IPPROTO_IP, group ? IP_MULTICAST_TTL : IP_TTL);
	p->tos = (uint8_t)(v6 ? inet_option(s, IPPROTO_IPV6, IPV6_TCLASS)
			      : inet_option(s, IPPROTO_IP, IP_TOS));
	while (r >= 0 && at + sizeof(struct cmsghdr) <= control->len) {
		struct cmsghdr head;

		memcpy(&head, control->data + at, sizeof(head));
		r = take_control(&head, control->data + at + sizeof(head), p);
		at += CMSG_ALIGN(head.cmsg_len);
	}
	return r;
}

/* To its receiver, or to nobody: a connected sender learns of that. */
static void dispatch(struct inet_socket *s, struct packet *p)
{
	struct inet_socket *receiver;

	p->arrived = kclock_realtime();
	if (endpoint_is_multicast(&p->dst)) {
		deliver_group(s->sock.ns, p);
		packet_free(p);
		return;
	}
	receiver = find_receiver(s->sock.ns, &p->src, &p->dst);
	if (receiver) {
		inet_deliver(receiver, p);
		return;
	}
	packet_free(p);
	if (s->remote.port || inet_option(s, IPPROTO_IP, IP_RECVERR)) {
		s->sock.error = ECONNREFUSED;
		waitq_wake(&s->sock.wq, POLLERR);
	}
}

/* A datagram of what was gathered and what is new. */
static int gather(struct inet_socket *s, struct socket_msg *m, size_t len, struct packet **ret)
{
	const size_t before = s->corked.len;
	AUTO(packet_free_p) struct packet *p = NULL;

	if (before + len > UDP_PAYLOAD_MAX)
		return -EMSGSIZE;
	p = packet_new(before + len);
	if (!p)
		return -ENOMEM;
	if (len && uio_get(m->data, p->bytes + before, len) != (ssize_t)len)
		return -EFAULT;
	if (s->corked.len != before) /* another thread's part came between */
		return -EAGAIN;
	if (before)
		memcpy(p->bytes, s->corked.data, before);
	*ret = TAKE_PTR(p);
	return 0;
}

/* UDP_CORK and MSG_MORE: keep it for the call that sends. */
static int keep(struct inet_socket *s, struct packet *p)
{
	const size_t before = s->corked.len;
	int r;

	if (!before) {
		s->corked_to = p->dst;
		s->corked_from = p->src;
	}
	r = buf_append(&s->corked, p->bytes + before, p->len - before);
	packet_free(p);
	return r;
}

int udp_uncork(struct inet_socket *s)
{
	struct packet *p;

	s->cork = false;
	if (!s->corked.len)
		return 0;
	p = packet_new(s->corked.len);
	if (!p)
		return -ENOMEM;
	memcpy(p->bytes, s->corked.data, s->corked.len);
	p->src = s->corked_from;
	p->dst = s->corked_to;
	buf_done(&s->corked);
	(void)inet_mark_packet(s, &s->corked, p);
	dispatch(s, p);
	return 0;
}

static ssize_t udp_send(struct socket *sock, struct socket_msg *m)
{
	struct inet_socket *s = to_inet(sock);
	const size_t len = m->data->left;
	struct endpoint to, from;
	struct packet *p;
	int r;

	if (len > UDP_PAYLOAD_MAX)
		return -EMSGSIZE;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (sock->error)
		return socket_take_error(sock);
	r = udp_route(s, m, &to, &from);
	if (r >= 0 && s->st.tx_shut)
		r = -EPIPE;
	if (r >= 0)
		r = gather(s, m, len, &p);
	if (r < 0)
		return r;
	p->src = s->corked.len ? s->corked_from : from;
	p->dst = s->corked.len ? s->corked_to : to;
	r = inet_mark_packet(s, &m->control, p);
	if (r < 0) {
		packet_free(p);
		return r;
	}
	if (s->cork || m->flags & MSG_MORE) {
		r = keep(s, p);
	} else {
		buf_done(&s->corked);
		dispatch(s, p);
	}
	return r < 0 ? r : (ssize_t)len;
}

/* Control messages that the receiver asked for. */
static void put_control(struct inet_socket *s, const struct packet *p, struct socket_msg *m)
{
	const int hops = p->hops, tos = p->tos;

	socket_put_times(&s->sock, m, p->arrived);
	if (inet_option(s, IPPROTO_IP, IP_PKTINFO) && endpoint_is_v4(&p->dst)) {
		struct in_pktinfo info = { .ipi_ifindex = NET_LOOPBACK_INDEX };

		memcpy(&info.ipi_addr, p->dst.ip + 12, 4);
		memcpy(&info.ipi_spec_dst, p->dst.ip + 12, 4);
		scm_put(&m->control, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	}
	if (inet_option(s, IPPROTO_IP, IP_RECVTTL) && s->sock.family == AF_INET)
		scm_put(&m->control, IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
	if (inet_option(s, IPPROTO_IP, IP_RECVTOS) && s->sock.family == AF_INET)
		scm_put(&m->control, IPPROTO_IP, IP_TOS, &tos, 1);
	if (s->sock.family != AF_INET6)
		return;
	if (inet_option(s, IPPROTO_IPV6, IPV6_RECVPKTINFO)) {
		struct in6_pktinfo info = { .ipi6_ifindex = NET_LOOPBACK_INDEX };

		memcpy(&info.ipi6_addr, p->dst.ip, sizeof(p->dst.ip));
		scm_put(&m->control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
	if (inet_option(s, IPPROTO_IPV6, IPV6_RECVHOPLIMIT))
		scm_put(&m->control, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof(hops));
	if (inet_option(s, IPPROTO_IPV6, IPV6_RECVTCLASS))
		scm_put(&m->control, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
}

static void on_taken(struct socket *sock, const struct packet *p, struct socket_msg *m)
{
	struct inet_socket *s = to_inet(sock);

	endpoint_encode(s, &p->src, &m->addr);
	if (m->want_control)
		put_control(s, p, m);
}

ssize_t inet_receive_datagram(struct socket *sock, struct socket_msg *m)
{
	struct inet_socket *s = to_inet(sock);

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->flags & MSG_ERRQUEUE)
		return -EAGAIN;
	m->taken = on_taken;
	return packet_receive(sock, &s->st.rx, m, &s->st.rx_shut);
}

static int udp_shutdown(struct socket *sock, int how)
{
	struct inet_socket *s = to_inet(sock);

	/* It works on an unconnected one too, which is told ENOTCONN all the same (Linux). */
	s->st.rx_shut |= how != SHUT_WR;
	s->st.tx_shut |= how != SHUT_RD;
	waitq_wake(&sock->wq, WAIT_ALL);
	return s->remote.port ? 0 : -ENOTCONN;
}

uint32_t inet_poll_datagram(struct socket *sock)
{
	const struct inet_socket *s = to_inet(sock);
	uint32_t mask = POLLOUT | POLLWRNORM | POLLWRBAND;

	if (s->st.rx.count)
		mask |= POLL_READABLE;
	if (s->st.rx_shut)
		mask |= POLL_READABLE | POLLRDHUP;
	if (s->st.rx_shut && s->st.tx_shut)
		mask |= POLLHUP;
	return mask;
}

long inet_ioctl_datagram(struct socket *sock, unsigned int cmd, uint64_t arg,
			 struct user_memory *um)
{
	const struct packet *first = packet_first(&to_inet(sock)->st.rx);
	int value = 0;

	if (cmd == SIOCINQ)
		value = first ? (int)first->len : 0;
	else if (cmd != SIOCOUTQ)
		return -ENOTTY;
	return user_copy_out(um, arg, &value, sizeof(value));
}

void inet_release(struct socket *sock)
{
	inet_socket_free(to_inet(sock));
}

const struct socket_ops udp_ops = {
	.bind = inet_bind,
	.connect = udp_connect,
	.getname = udp_getname,
	.send = udp_send,
	.receive = inet_receive_datagram,
	.shutdown = udp_shutdown,
	.poll = inet_poll_datagram,
	.setsockopt = inet_setsockopt,
	.getsockopt = inet_getsockopt,
	.ioctl = inet_ioctl_datagram,
	.release = inet_release,
};
