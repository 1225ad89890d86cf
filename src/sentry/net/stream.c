/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/net/stream.h"

#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/net/unix.h"

#define CHUNK	      (32u << 10) /* bytes of a stream's packet */
#define POLL_READABLE (POLLIN | POLLRDNORM)
#define POLL_WRITABLE (POLLOUT | POLLWRNORM | POLLWRBAND)

void stream_init(struct stream *st, struct socket *sock)
{
	*st = (struct stream){ .sock = sock };
	packet_queue_init(&st->rx);
}

void stream_join(struct stream *a, struct stream *b)
{
	a->peer = b;
	b->peer = a;
}

void stream_leave(struct stream *st)
{
	struct stream *peer = st->peer;

	if (!peer)
		return;
	st->peer = NULL;
	peer->peer = NULL;
	peer->rx_shut = peer->tx_shut = true;
	waitq_wake(&peer->sock->wq, POLL_READABLE | POLL_WRITABLE | POLLHUP | POLLRDHUP | POLLERR);
}

/* What may wait at the peer: our send buffer and, for TCP, its receive buffer. */
static size_t limit_of(const struct stream *st)
{
	size_t limit = (size_t)st->sock->opt.sndbuf;

	if (st->sock->family != AF_UNIX)
		limit += (size_t)st->peer->sock->opt.rcvbuf;
	return limit;
}

size_t stream_room(const struct stream *st)
{
	size_t limit;

	if (!st->peer)
		return 0;
	limit = limit_of(st);
	return st->peer->rx.charge < limit ? limit - st->peer->rx.charge : 0;
}

/* Until `need` bytes fit (or, for a stream, any). 0, -EPIPE, -EAGAIN, the wait's error. */
static int wait_room(struct stream *st, const struct socket_msg *m, size_t need, nsec_t deadline)
{
	for (;;) {
		int r;

		if (st->sock->error)
			return socket_take_error(st->sock);
		if (!st->peer || st->tx_shut)
			return -EPIPE;
		if (stream_room(st) >= need)
			return 0;
		if (m->flags & MSG_DONTWAIT)
			return -EAGAIN;
		r = socket_wait(&st->sock->wq, deadline);
		if (r < 0)
			return r;
	}
}

/* A packet of n bytes from the caller's memory. */
static int fill_packet(struct socket_msg *m, size_t n, struct unix_addr *from, struct packet **ret)
{
	AUTO(packet_free_p) struct packet *p = packet_new(n);
	ssize_t got;

	if (!p)
		return -ENOMEM;
	got = n ? uio_get(m->data, p->bytes, n) : 0;
	if (got < 0)
		return (int)got;
	p->len = (size_t)got;
	p->from = unix_addr_ref(from);
	p->scm = m->scm;
	m->scm = (struct scm){ 0 };
	*ret = TAKE_PTR(p);
	return 0;
}

static void deliver(struct stream *to, struct packet *p)
{
	p->arrived = kclock_realtime();
	packet_push(&to->rx, p);
	waitq_wake(&to->sock->wq, POLL_READABLE);
}

ssize_t stream_send(struct stream *st, struct socket_msg *m, struct unix_addr *from)
{
	const nsec_t deadline = socket_deadline(st->sock->opt.sndtimeo);
	ssize_t sent = 0;

	while (m->data->left) {
		size_t n = m->data->left < CHUNK ? m->data->left : CHUNK;
		struct packet *p;
		int r;

		r = wait_room(st, m, 1, deadline);
		if (r < 0)
			return sent ? sent : r;
		if (n > stream_room(st))
			n = stream_room(st);
		r = fill_packet(m, n, from, &p);
		if (r < 0)
			return sent ? sent : r;
		if (!st->peer || st->tx_shut) { /* while the bytes were copied */
			packet_free(p);
			return sent ? sent : -EPIPE;
		}
		n = p->len;
		deliver(st->peer, p);
		sent += (ssize_t)n;
		fiber_resched();
	}
	return sent;
}

ssize_t stream_send_record(struct stream *st, struct socket_msg *m, struct unix_addr *from)
{
	const size_t len = m->data->left, need = len + sizeof(struct packet);
	struct packet *p;
	int r;

	if (len > SOCKET_SEND_MAX || need > (size_t)st->sock->opt.sndbuf)
		return -EMSGSIZE;
	r = wait_room(st, m, need, socket_deadline(st->sock->opt.sndtimeo));
	if (r >= 0)
		r = fill_packet(m, len, from, &p);
	if (r < 0)
		return r;
	if (p->len < len || !st->peer || st->tx_shut) {
		r = p->len < len ? -EFAULT : -EPIPE;
		packet_free(p);
		return r;
	}
	deliver(st->peer, p);
	return (ssize_t)len;
}

static bool same_creds(const struct scm_creds *a, const struct scm_creds *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid && a->set == b->set;
}

/* What travels with a packet goes to the receiver once; a peek gets copies. */
static int take_scm(struct socket_msg *m, struct packet *p, bool peek)
{
	if (!m->scm.creds.set)
		scm_creds_copy(&p->scm.creds, &m->scm.creds);
	if (peek)
		return scm_files_copy(&p->scm, &m->scm);
	m->scm.files = TAKE_PTR(p->scm.files);
	m->scm.files_len = p->scm.files_len;
	p->scm.files_len = 0;
	return 0;
}

static void take_addr(struct socket_msg *m, const struct packet *p)
{
	if (!p->from || m->addr.len)
		return;
	m->addr.len = p->from->len;
	memcpy(&m->addr.un, &p->from->un, p->from->len);
}

/*
 * Move queued bytes to the caller, under rx.lock. *stop: a boundary was met, the call is over.
 * Bytes or -errno when nothing was moved.
 */
static ssize_t drain(struct stream *st, struct socket_msg *m, bool first, bool *stop)
{
	const bool peek = m->flags & MSG_PEEK;
	struct packet *p = packet_first(&st->rx);
	ssize_t total = 0;

	while (p && m->data->left && !*stop) {
		struct packet *next = p->node.next == &st->rx.packets
					      ? NULL
					      : list_entry(p->node.next, struct packet, node);
		const size_t have = p->len - p->at;
		ssize_t n;
		int r = 0;

		if ((total || !first) && st->sock->opt.passcred &&
		    !same_creds(&p->scm.creds, &m->scm.creds)) {
			*stop = true;
			break;
		}
		n = uio_put(m->data, p->bytes + p->at, have < m->data->left ? have : m->data->left);
		if (n < 0)
			return total ? total : n;
		*stop = p->scm.files_len;
		if (!total && first)
			take_addr(m, p);
		r = take_scm(m, p, peek);
		if (r < 0)
			return total ? total : r;
		total += n;
		if ((size_t)n < have && m->data->left)
			*stop = true; /* a fault */
		if (!peek) {
			st->rx.bytes -= (size_t)n;
			p->at += (size_t)n;
		}
		if (!peek && p->at == p->len) {
			packet_remove(&st->rx, p);
			packet_free(p);
		}
		p = next;
	}
	return total;
}

static ssize_t receive_some(struct stream *st, struct socket_msg *m, bool first, bool *stop)
{
	const size_t before = st->rx.charge;
	ssize_t n;

	kmutex_lock(&st->rx.lock);
	n = drain(st, m, first, stop);
	kmutex_unlock(&st->rx.lock);
	if (st->peer && st->rx.charge < before)
		waitq_wake(&st->peer->sock->wq, POLL_WRITABLE);
	return n;
}

ssize_t stream_receive(struct stream *st, struct socket_msg *m)
{
	const nsec_t deadline = socket_deadline(st->sock->opt.rcvtimeo);
	const bool nothing = !m->data->left; /* waits, too, and takes no byte */
	size_t target = m->data->left;
	ssize_t total = 0;
	bool stop = false;

	if (!(m->flags & MSG_WAITALL) && target > (size_t)st->sock->opt.rcvlowat)
		target = (size_t)st->sock->opt.rcvlowat;
	if (m->flags & MSG_PEEK || nothing)
		target = 1;
	for (;;) {
		ssize_t n = receive_some(st, m, !total, &stop);

		if (n < 0)
			return total ? total : n;
		total += n;
		if ((size_t)total >= target || stop)
			return total;
		if (!list_empty(&st->rx.packets)) {
			if (nothing)
				return 0;
			continue; /* arrived meanwhile */
		}
		if (st->sock->error && !st->fin)
			return total ? total : socket_take_error(st->sock);
		if (st->rx_shut || !st->peer)
			return total;
		if (m->flags & MSG_DONTWAIT)
			return total ? total : -EAGAIN;
		n = socket_wait(&st->sock->wq, deadline);
		if (n < 0)
			return total ? total : n;
	}
}

/* One packet to the caller, under the queue's lock. */
static ssize_t take_packet(struct socket *s, struct packet_queue *q, struct packet *p,
			   struct socket_msg *m)
{
	const bool peek = m->flags & MSG_PEEK;
	const size_t len = p->len, n = len < m->data->left ? len : m->data->left;
	ssize_t r = n ? uio_put(m->data, p->bytes, n) : 0;

	if (r >= 0 && (size_t)r < n)
		r = -EFAULT;
	if (r >= 0 && n < len)
		m->ret_flags |= MSG_TRUNC;
	if (r >= 0) {
		take_addr(m, p);
		if (m->taken)
			m->taken(s, p, m);
		if (take_scm(m, p, peek) < 0)
			r = -ENOMEM;
	}
	if (!peek) {
		packet_remove(q, p);
		packet_free(p);
	}
	if (r < 0)
		return r;
	return m->flags & MSG_TRUNC ? (ssize_t)len : (ssize_t)n;
}

ssize_t packet_receive(struct socket *s, struct packet_queue *q, struct socket_msg *m,
		       const bool *eof)
{
	const nsec_t deadline = socket_deadline(s->opt.rcvtimeo);

	for (;;) {
		struct packet *p;
		ssize_t r;

		if (s->error)
			return socket_take_error(s);
		kmutex_lock(&q->lock);
		p = packet_first(q);
		r = p ? take_packet(s, q, p, m) : 0;
		kmutex_unlock(&q->lock);
		if (p)
			return r;
		/* Only connections end: who would not wait for a datagram has none. */
		if (*eof && (s->type == SOCK_SEQPACKET || !(m->flags & MSG_DONTWAIT)))
			return 0;
		if (m->flags & MSG_DONTWAIT)
			return -EAGAIN;
		r = socket_wait(&s->wq, deadline);
		if (r < 0)
			return r;
	}
}

uint32_t stream_poll(const struct stream *st)
{
	uint32_t mask = 0;

	if (st->rx_shut)
		mask |= POLL_READABLE | POLLRDHUP;
	if (st->rx_shut && st->tx_shut)
		mask |= POLLHUP;
	if (st->rx.bytes || st->rx.count)
		mask |= POLL_READABLE;
	/* As much room as Linux asks for before it calls a socket writable. */
	if (!st->peer || st->tx_shut || stream_room(st) >= limit_of(st) / 4 * 3)
		mask |= POLL_WRITABLE;
	return mask;
}
