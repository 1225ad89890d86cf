/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP between two sockets of a sandbox (tcp(7)), without segments: a connection is two streams that
 * know each other, a reset is an error put on the other end.
 */
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sentry/core/kclock.h"
#include "sentry/net/inet.h"
#include "sentry/task/file_owner.h"
#include "sentry/task/task.h"

#define CONNECT_DOUBLINGS 6 /* of the time between first packets, then it stays: TCP_RTO_MAX */

static int tcp_listen(struct socket *sock, int backlog)
{
	struct inet_socket *s = to_inet(sock);
	int r;

	if (s->state != TCP_FRESH && s->state != TCP_LISTENING)
		return -EINVAL;
	if (backlog < 0 || (unsigned int)backlog > sock->ns->limits.backlog_max)
		backlog = (int)sock->ns->limits.backlog_max;
	s->backlog = (unsigned int)backlog;
	if (s->state == TCP_LISTENING)
		return 0;
	if (!s->local.port) {
		r = port_bind(s, 0);
		if (r < 0)
			return r;
	}
	s->state = TCP_LISTENING;
	if (port_conflicts(s)) {
		s->state = TCP_FRESH;
		return -EADDRINUSE;
	}
	return 0;
}

static struct inet_socket *find_listener(struct net_ns *ns, const struct endpoint *to)
{
	struct list_head *bucket = port_bucket(ns, SOCK_STREAM, to->port);
	struct inet_socket *s, *best = NULL;
	unsigned int best_score = 0;

	list_for_each(s, bucket, port_node)
	{
		const unsigned int score = s->state == TCP_LISTENING ? local_score(s, to) : 0;

		/* Among equals (SO_REUSEPORT) the one with the shortest queue. */
		if (score > best_score ||
		    (score && score == best_score && s->pending_count < best->pending_count)) {
			best = s;
			best_score = score;
		}
	}
	return best;
}

/* The other end of a connect, in the listener's queue. */
static int establish(struct inet_socket *client, struct inet_socket *listener)
{
	struct inet_socket *server;
	int r;

	r = inet_socket_new(listener->sock.ns, listener->sock.family, SOCK_STREAM, IPPROTO_TCP, 0,
			    &server);
	if (r < 0)
		return r;
	server->sock.opt = listener->sock.opt;
	server->v6only = listener->v6only;
	memcpy(server->values, listener->values, sizeof(server->values));
	server->local = client->remote;
	server->remote = client->local;
	server->state = client->state = TCP_CONNECTED;
	port_share(server);
	stream_join(&client->st, &server->st);
	server->listener = listener;
	list_add_tail(&server->pending_node, &listener->pending);
	listener->pending_count++;
	client->unreported = true;
	waitq_wake(&listener->sock.wq, POLLIN | POLLRDNORM);
	waitq_wake(&client->sock.wq, POLLOUT | POLLWRNORM);
	return 0;
}

/* Nobody waits in the listener's line any more. */
static void leave_line(struct inet_socket *s)
{
	list_del(&s->waiting_node);
	ktimer_cancel(&s->give_up);
	s->listener = NULL;
}

static void refuse(struct inet_socket *s, int error)
{
	s->state = TCP_FRESH;
	s->listener = NULL;
	s->unreported = true;
	s->sock.error = error;
	s->remote.port = 0;
	waitq_wake(&s->sock.wq, WAIT_ALL);
}

/* There is room in the queue again: those that wait come in. */
static void admit(struct inet_socket *listener)
{
	while (!list_empty(&listener->waiting) && listener->pending_count <= listener->backlog) {
		struct inet_socket *s =
			list_first(&listener->waiting, struct inet_socket, waiting_node);

		leave_line(s);
		if (establish(s, listener) < 0)
			refuse(s, ENOMEM);
	}
}

void tcp_give_up(struct ktimer *timer)
{
	struct inet_socket *s = container_of(timer, struct inet_socket, give_up);

	leave_line(s);
	refuse(s, ETIMEDOUT);
}

/*
 * How long a first packet is sent again: TCP_USER_TIMEOUT, or TCP_SYNCNT times, the first after a
 * second and each after twice the time of the one before (tcp(7)).
 */
static nsec_t connect_time(const struct inet_socket *s)
{
	const int ms = inet_option(s, IPPROTO_TCP, TCP_USER_TIMEOUT);
	const int count = inet_option(s, IPPROTO_TCP, TCP_SYNCNT);

	if (ms)
		return (nsec_t)ms * (NSEC_PER_SEC / 1000);
	return ((2ull << (count < CONNECT_DOUBLINGS ? count : CONNECT_DOUBLINGS)) - 1) *
	       NSEC_PER_SEC;
}

/* Begin a connect: it is over at once, or waits in the listener's list. */
static int begin_connect(struct inet_socket *s, const struct endpoint *to)
{
	struct inet_socket *listener;
	int r;

	if (!s->local.port) {
		r = port_bind(s, 0);
		if (r < 0)
			return -EADDRNOTAVAIL;
	}
	if (endpoint_is_any(&s->local))
		endpoint_source(to, &s->local);
	s->remote = *to;
	listener = find_listener(s->sock.ns, to);
	if (!listener) {
		refuse(s, ECONNREFUSED);
		return 0;
	}
	if (listener->pending_count > listener->backlog) {
		s->state = TCP_CONNECTING;
		s->listener = listener;
		list_add_tail(&s->waiting_node, &listener->waiting);
		ktimer_arm(&s->give_up, nsec_add(kclock_monotonic(), connect_time(s)));
		return 0;
	}
	return establish(s, listener);
}

/* Reset: the peer learns of it, nothing is read any more. */
static void send_reset(struct inet_socket *s)
{
	struct stream *peer = s->st.peer;

	if (!peer)
		return;
	to_inet(peer->sock)->reset = true;
	peer->sock->error = to_inet(peer->sock)->st.fin ? EPIPE : ECONNRESET;
	stream_leave(&s->st);
}

/* st.rx.lock is held: a receiver that is copying bytes to its guest has a packet in its hand. */
static int disconnect_locked(struct inet_socket *s)
{
	if (s->state == TCP_LISTENING)
		return -EISCONN;
	if (s->state == TCP_CONNECTING)
		leave_line(s);
	send_reset(s);
	packet_queue_done(&s->st.rx);
	s->st.rx_shut = s->st.tx_shut = s->st.fin = false;
	s->reset = s->peer_closed = s->unreported = false;
	s->state = TCP_FRESH;
	s->remote.port = 0;
	port_forget(s);
	waitq_wake(&s->sock.wq, WAIT_ALL); /* who waits for bytes or for the connect's end */
	return 0;
}

static int disconnect(struct inet_socket *s)
{
	int r;

	kmutex_lock(&s->st.rx.lock);
	r = disconnect_locked(s);
	kmutex_unlock(&s->st.rx.lock);
	return r;
}

/* The end of a connect that has begun: 0, or why it failed. */
static int finish_connect(struct inet_socket *s)
{
	int r;

	s->unreported = false;
	if (s->state == TCP_CONNECTED)
		return 0;
	r = socket_take_error(&s->sock);
	return r < 0 ? r : -ECONNABORTED;
}

static int wait_connect(struct inet_socket *s)
{
	const nsec_t deadline = socket_deadline(s->sock.opt.sndtimeo);

	while (s->state == TCP_CONNECTING) {
		const int r = socket_wait(&s->sock.wq, deadline);

		if (r < 0)
			return r == -EAGAIN ? -EINPROGRESS : r;
	}
	return finish_connect(s);
}

static int tcp_connect(struct socket *sock, const struct sock_addr *addr, bool nonblock)
{
	struct inet_socket *s = to_inet(sock);
	struct endpoint to;
	int r;

	if (addr->len < sizeof(sa_family_t))
		return -EINVAL;
	if (addr->sa.sa_family == AF_UNSPEC)
		return disconnect(s);
	if (s->unreported)
		return finish_connect(s);
	if (s->state == TCP_CONNECTING)
		return nonblock ? -EALREADY : wait_connect(s);
	if (s->state != TCP_FRESH)
		return -EISCONN;
	r = endpoint_decode(s, addr, &to);
	if (r >= 0)
		r = endpoint_route(s, &to);
	if (r < 0)
		return r;
	r = begin_connect(s, &to);
	if (r < 0)
		return r;
	/* As on Linux, where the answer comes when the socket is no longer locked. */
	if (nonblock)
		return -EINPROGRESS;
	return wait_connect(s);
}

static int tcp_accept(struct socket *sock, bool nonblock, struct socket **ret)
{
	const nsec_t deadline = socket_deadline(sock->opt.rcvtimeo);
	struct inet_socket *s = to_inet(sock), *server;

	for (;;) {
		int r;

		if (s->state != TCP_LISTENING)
			return -EINVAL;
		if (!list_empty(&s->pending))
			break;
		if (nonblock)
			return -EAGAIN;
		r = socket_wait(&sock->wq, deadline);
		if (r < 0)
			return r;
	}
	server = list_first(&s->pending, struct inet_socket, pending_node);
	list_del(&server->pending_node);
	server->listener = NULL;
	s->pending_count--;
	admit(s);
	*ret = &server->sock;
	return 0;
}

/* Both directions have ended: to Linux it is closed. */
static bool is_over(const struct inet_socket *s)
{
	return s->reset || (s->st.fin && s->st.tx_shut);
}

static int tcp_getname(struct socket *sock, bool peer, struct sock_addr *ret)
{
	struct inet_socket *s = to_inet(sock);

	if (peer && (s->state != TCP_CONNECTED || is_over(s)))
		return -ENOTCONN;
	return inet_getname(s, peer, ret);
}

static ssize_t send_urgent(struct inet_socket *s, struct socket_msg *m)
{
	struct inet_socket *peer;
	uint8_t bytes[64];
	ssize_t n, sent = 0;

	if (s->st.peer && s->st.peer->sock->opt.oobinline)
		return stream_send(&s->st, m, NULL);
	/* The last byte is the urgent one; what comes before is data. */
	while (m->data->left > 1) {
		struct socket_msg plain = *m;
		const size_t part =
			m->data->left - 1 < sizeof(bytes) ? m->data->left - 1 : sizeof(bytes);
		struct iovec iov;
		struct uio u;

		n = uio_get(m->data, bytes, part);
		if (n < 0)
			return n;
		uio_init(&u, NULL, &iov, (uint64_t)(uintptr_t)bytes, (size_t)n);
		plain.data = &u;
		n = stream_send(&s->st, &plain, NULL);
		if (n < (ssize_t)part)
			return n < 0 && sent ? sent : sent + n;
		sent += n;
	}
	n = uio_get(m->data, bytes, 1);
	if (n < 1)
		return sent ? sent : n;
	if (!s->st.peer)
		return -EPIPE;
	peer = to_inet(s->st.peer->sock);
	peer->urgent = bytes[0];
	peer->urgent_set = true;
	file_owner_urgent(&peer->sock.file);
	waitq_wake(&peer->sock.wq, POLLPRI);
	return sent + 1;
}

/* MSG_FASTOPEN: connect, and send what comes with it. */
static int connect_to_send(struct inet_socket *s, struct socket_msg *m)
{
	const bool nonblock = m->flags & MSG_DONTWAIT;
	int r;

	if (m->addr.len >= sizeof(sa_family_t) && m->addr.sa.sa_family == AF_UNSPEC)
		return -EOPNOTSUPP;
	r = tcp_connect(&s->sock, &m->addr, nonblock);
	/* Inside a sandbox the answer is there at once. */
	return r == -EINPROGRESS && s->unreported ? finish_connect(s) : r;
}

static ssize_t tcp_send(struct socket *sock, struct socket_msg *m)
{
	struct inet_socket *s = to_inet(sock);
	ssize_t n;

	if (m->flags & MSG_FASTOPEN) {
		n = connect_to_send(s, m);
		if (n < 0)
			return n;
	}
	if (s->state == TCP_CONNECTING) {
		if (m->flags & MSG_DONTWAIT)
			return -EAGAIN;
		n = wait_connect(s);
		if (n < 0)
			return n;
	}
	if (s->state != TCP_CONNECTED)
		return sock->error ? socket_take_error(sock) : -EPIPE;
	if (m->flags & MSG_OOB)
		return send_urgent(s, m);
	if (s->peer_closed && !s->st.tx_shut) {
		/* The bytes reach nobody; the answer is a reset, for the next call to see. */
		s->st.tx_shut = s->st.rx_shut = s->reset = true;
		sock->error = EPIPE;
		n = (ssize_t)m->data->left;
		waitq_wake(&sock->wq, WAIT_ALL);
		return n;
	}
	return stream_send(&s->st, m, NULL);
}

static ssize_t receive_urgent(struct inet_socket *s, struct socket_msg *m)
{
	ssize_t n;

	if (!s->urgent_set)
		return -EINVAL;
	n = uio_put(m->data, &s->urgent, 1);
	if (n == 1) {
		m->ret_flags |= MSG_OOB;
		if (!(m->flags & MSG_PEEK))
			s->urgent_set = false;
	}
	return n;
}

/* MSG_TRUNC: the bytes are thrown away (tcp(7)). */
static ssize_t discard(struct inet_socket *s, struct socket_msg *m)
{
	AUTO_FREE uint8_t *buffer = malloc(SOCKET_BUF_DEFAULT);
	const size_t want = m->data->left < SOCKET_BUF_DEFAULT ? m->data->left : SOCKET_BUF_DEFAULT;
	struct iovec iov;
	struct uio u, *data = m->data;
	ssize_t n;

	if (!buffer)
		return -ENOMEM;
	uio_init(&u, NULL, &iov, (uint64_t)(uintptr_t)buffer, want);
	m->data = &u;
	n = stream_receive(&s->st, m);
	m->data = data;
	return n;
}

static ssize_t tcp_receive(struct socket *sock, struct socket_msg *m)
{
	struct inet_socket *s = to_inet(sock);
	int r;

	if (s->state == TCP_CONNECTING) {
		if (m->flags & MSG_DONTWAIT)
			return -EAGAIN;
		r = wait_connect(s);
		if (r < 0)
			return r;
	}
	if (s->state != TCP_CONNECTED)
		return sock->error ? socket_take_error(sock) : -ENOTCONN;
	if (m->flags & MSG_OOB)
		return receive_urgent(s, m);
	if (m->flags & MSG_ERRQUEUE)
		return -EAGAIN; /* nothing is ever queued there */
	return m->flags & MSG_TRUNC ? discard(s, m) : stream_receive(&s->st, m);
}

/* Nothing more will come from here: the other end reads on to the end. */
static void send_fin(struct inet_socket *s)
{
	struct stream *peer = s->st.peer;

	s->st.tx_shut = true;
	if (!peer)
		return;
	peer->rx_shut = peer->fin = true;
	waitq_wake(&peer->sock->wq, POLLIN | POLLRDNORM | POLLRDHUP | POLLHUP);
}

/* The pending connections of a listener are reset, waiting ones refused. */
static void stop_listening(struct inet_socket *s)
{
	s->state = TCP_FRESH;
	while (!list_empty(&s->waiting)) {
		struct inet_socket *w = list_first(&s->waiting, struct inet_socket, waiting_node);

		leave_line(w);
		refuse(w, ECONNREFUSED);
	}
	while (!list_empty(&s->pending)) {
		struct inet_socket *p = list_first(&s->pending, struct inet_socket, pending_node);

		send_reset(p);
		file_unref(&p->sock.file); /* takes itself off the list */
	}
	waitq_wake(&s->sock.wq, WAIT_ALL);
}

static int tcp_shutdown(struct socket *sock, int how)
{
	struct inet_socket *s = to_inet(sock);

	if (s->state == TCP_LISTENING) {
		if (how != SHUT_WR)
			stop_listening(s);
		return 0;
	}
	if (s->state == TCP_CONNECTING) {
		leave_line(s);
		refuse(s, ECONNRESET);
		return 0;
	}
	if (s->state != TCP_CONNECTED || is_over(s))
		return -ENOTCONN;
	if (how != SHUT_WR)
		s->st.rx_shut = true;
	if (how != SHUT_RD)
		send_fin(s);
	waitq_wake(&sock->wq, WAIT_ALL);
	return 0;
}

static uint32_t tcp_poll(struct socket *sock)
{
	const struct inet_socket *s = to_inet(sock);

	switch (s->state) {
	case TCP_LISTENING:
		return list_empty(&s->pending) ? 0 : POLLIN | POLLRDNORM;
	case TCP_CONNECTING:
		return 0;
	case TCP_FRESH:
		return POLLOUT | POLLWRNORM | POLLHUP |
		       (sock->error ? POLLIN | POLLRDNORM | POLLRDHUP : 0);
	default:
		break;
	}
	return (stream_poll(&s->st) & ~(uint32_t)POLLWRBAND) | (s->urgent_set ? POLLPRI : 0);
}

static long tcp_ioctl(struct socket *sock, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	const struct inet_socket *s = to_inet(sock);
	int value;

	switch (cmd) {
	case SIOCINQ:
		if (s->state == TCP_LISTENING)
			return -EINVAL;
		value = (int)s->st.rx.bytes;
		break;
	case SIOCOUTQ:
		if (s->state == TCP_LISTENING)
			return -EINVAL;
		value = 0; /* what was sent has arrived */
		break;
	case SIOCATMARK:
		value = s->urgent_set && !s->st.rx.bytes;
		break;
	default:
		return -ENOTTY;
	}
	return user_copy_out(um, arg, &value, sizeof(value));
}

static void tcp_release(struct socket *sock)
{
	struct inet_socket *s = to_inet(sock);
	struct stream *peer = s->st.peer;

	if (s->state == TCP_LISTENING)
		stop_listening(s);
	if (s->listener && s->state == TCP_CONNECTED) {
		list_del(&s->pending_node);
		s->listener->pending_count--;
	}
	leave_line(s);
	if (peer && (s->st.rx.bytes || (sock->opt.linger.l_onoff && !sock->opt.linger.l_linger))) {
		send_reset(s);
	} else if (peer) {
		send_fin(s);
		to_inet(peer->sock)->peer_closed = true;
		peer->peer = NULL;
		s->st.peer = NULL;
		waitq_wake(&peer->sock->wq, POLLOUT | POLLWRNORM);
	}
	inet_socket_free(s);
}

int tcp_linux_state(const struct inet_socket *s)
{
	enum {
		ESTABLISHED = 1,
		SYN_SENT = 2,
		FIN_WAIT2 = 5,
		TIME_WAIT = 6,
		CLOSE = 7,
		CLOSE_WAIT = 8,
		LISTEN = 10
	};

	switch (s->state) {
	case TCP_LISTENING:
		return LISTEN;
	case TCP_CONNECTING:
		return SYN_SENT;
	case TCP_FRESH:
		return CLOSE;
	default:
		break;
	}
	if (is_over(s))
		return CLOSE;
	if (s->st.fin)
		return CLOSE_WAIT;
	return s->st.tx_shut ? FIN_WAIT2 : ESTABLISHED;
}

/* SO_ACCEPTCONN, then the levels of IP and TCP. */
static int tcp_getsockopt(struct socket *sock, int level, int name, void *value, size_t *len)
{
	const int on = to_inet(sock)->state == TCP_LISTENING;

	if (level == SOL_SOCKET && name == SO_ACCEPTCONN) {
		memcpy(value, &on, sizeof(on));
		return 0;
	}
	return inet_getsockopt(sock, level, name, value, len);
}

const struct socket_ops tcp_ops = {
	.bind = inet_bind,
	.connect = tcp_connect,
	.listen = tcp_listen,
	.accept = tcp_accept,
	.getname = tcp_getname,
	.send = tcp_send,
	.receive = tcp_receive,
	.shutdown = tcp_shutdown,
	.poll = tcp_poll,
	.setsockopt = inet_setsockopt,
	.getsockopt = tcp_getsockopt,
	.ioctl = tcp_ioctl,
	.release = tcp_release,
};
