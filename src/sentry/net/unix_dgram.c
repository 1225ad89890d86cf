/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams of unix sockets. A receiver that is full makes its senders wait; senders are found by
 * name again after every wait, because sockets come and go meanwhile.
 */
#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/net/unix_host.h"
#include "sentry/task/task.h"

#define POLL_READABLE (POLLIN | POLLRDNORM)
#define POLL_WRITABLE (POLLOUT | POLLWRNORM | POLLWRBAND)

static bool full(const struct unix_socket *u)
{
	return u->st.rx.count > UNIX_DGRAM_QUEUE_MAX;
}

/* A connected pair shares no queue with strangers: only the sender's buffer counts. */
static bool has_room(const struct unix_socket *from, const struct unix_socket *to)
{
	return !full(to) || (to->dest == from && to->st.rx.charge < (size_t)from->sock.opt.sndbuf);
}

/* A socket that is connected elsewhere takes no datagrams of others. */
static bool may_send(const struct unix_socket *from, const struct unix_socket *to)
{
	return !to->dest || to->dest == from;
}

static void disconnect(struct unix_socket *u)
{
	list_del(&u->client_node);
	u->dest = NULL;
	unix_host_unref(TAKE_PTR(u->host));
}

static int connect_host(struct unix_socket *u, const struct sock_addr *addr)
{
	struct unix_host *host;
	const int r = unix_connect_host(u, addr, &host);

	if (r < 0)
		return r;
	disconnect(u);
	u->host = host;
	u->connected = true;
	unix_set_peer(u, addr);
	return 0;
}

/* To the host: the default destination, or one that is connected for this datagram alone. */
static ssize_t send_host(struct unix_socket *u, struct socket_msg *m)
{
	AUTO(unix_host_unref_p) struct unix_host *host = NULL;
	int r;

	if (!m->addr.len)
		return unix_host_send(u->host, &u->sock, m);
	r = unix_connect_host(u, &m->addr, &host);
	return r < 0 ? r : unix_host_send(host, &u->sock, m);
}

/* Whether a datagram goes to the host; before its bytes are taken. */
static bool leads_to_host(struct unix_socket *u, const struct socket_msg *m)
{
	struct unix_socket *to;

	return m->addr.len ? unix_find(u, &m->addr, &to) == -EREMOTE : u->host != NULL;
}

static int dgram_connect(struct socket *s, const struct sock_addr *addr, bool nonblock)
{
	struct unix_socket *u = to_unix(s), *to;
	int r;

	if (addr->len >= sizeof(sa_family_t) && addr->sa.sa_family == AF_UNSPEC) {
		disconnect(u);
		u->connected = false;
		return 0;
	}
	if (s->opt.passcred) {
		r = unix_autobind(u);
		if (r < 0)
			return r;
	}
	r = unix_find(u, addr, &to);
	if (r == -EREMOTE)
		return connect_host(u, addr);
	if (r >= 0 && !may_send(u, to))
		r = -EPERM;
	if (r < 0)
		return r;
	disconnect(u);
	u->dest = to;
	u->connected = true;
	list_add_tail(&u->client_node, &to->clients);
	unix_remember_creds(u);
	return 0;
}

static int dgram_getname(struct socket *s, bool peer, struct sock_addr *ret)
{
	struct unix_socket *u = to_unix(s);

	if (!peer)
		return unix_getname(u->addr, ret);
	if (u->host)
		return unix_getname(u->peer_addr, ret);
	return u->dest ? unix_getname(u->dest->addr, ret) : -ENOTCONN;
}

/* Where a message goes, borrowed until the next park. */
static int find_dest(struct unix_socket *u, const struct socket_msg *m, struct unix_socket **ret)
{
	int r = 0;

	if (m->addr.len) {
		r = unix_find(u, &m->addr, ret);
	} else if (u->dest) {
		*ret = u->dest;
	} else if (u->connected) {
		u->connected = false; /* the peer was closed */
		r = -ECONNREFUSED;
	} else {
		r = -ENOTCONN;
	}
	if (r < 0)
		return r;
	if (!may_send(u, *ret))
		return -EPERM;
	return (*ret)->st.rx_shut ? -EPIPE : 0;
}

/* find_dest() with room for one more datagram. */
static int wait_dest(struct unix_socket *u, const struct socket_msg *m, struct unix_socket **ret)
{
	const nsec_t deadline = socket_deadline(u->sock.opt.sndtimeo);

	for (;;) {
		int r = find_dest(u, m, ret);

		if (r < 0 || has_room(u, *ret))
			return r;
		if (m->flags & MSG_DONTWAIT)
			return -EAGAIN;
		r = socket_wait(&(*ret)->sock.wq, deadline);
		if (r < 0)
			return r;
	}
}

static ssize_t dgram_send(struct socket *s, struct socket_msg *m)
{
	AUTO(packet_free_p) struct packet *p = NULL;
	struct unix_socket *u = to_unix(s), *to;
	const size_t len = m->data->left;
	int r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (s->error)
		return socket_take_error(s);
	if (u->st.tx_shut)
		return -EPIPE;
	if (len > SOCKET_SEND_MAX || len > (size_t)s->opt.sndbuf - 32)
		return -EMSGSIZE;
	if (s->opt.passcred) {
		r = unix_autobind(u);
		if (r < 0)
			return r;
	}
	if (leads_to_host(u, m))
		return send_host(u, m);
	p = packet_new(len);
	if (!p)
		return -ENOMEM;
	if (len && uio_get(m->data, p->bytes, len) != (ssize_t)len)
		return -EFAULT;
	r = wait_dest(u, m, &to);
	if (r < 0)
		return r;
	unix_stamp(u, to, m);
	p->scm = m->scm;
	m->scm = (struct scm){ 0 };
	p->from = unix_addr_ref(u->addr);
	p->arrived = kclock_realtime();
	packet_push(&to->st.rx, TAKE_PTR(p));
	waitq_wake(&to->sock.wq, POLL_READABLE);
	return (ssize_t)len;
}

/* Senders that poll their own socket learn of room here. */
static void wake_clients(struct unix_socket *u)
{
	struct unix_socket *c;

	waitq_wake(&u->sock.wq, POLL_WRITABLE);
	list_for_each(c, &u->clients, client_node) waitq_wake(&c->sock.wq, POLL_WRITABLE);
}

static void on_taken(struct socket *s, const struct packet *p, struct socket_msg *m)
{
	socket_put_times(s, m, p->arrived);
}

/* What the host sent to a socket that is bound there, too; -ENODATA: a datagram from inside waits.
 */
static ssize_t receive_host(struct unix_socket *u, struct socket_msg *m)
{
	const nsec_t deadline = socket_deadline(u->sock.opt.rcvtimeo);
	const int flags = m->flags;

	while (u->st.rx.count == 0 && !u->st.rx_shut) {
		ssize_t n;

		m->flags = flags | MSG_DONTWAIT;
		n = unix_host_receive(u->host_bound, &u->sock, m);
		m->flags = flags;
		if (n != -EAGAIN || flags & MSG_DONTWAIT)
			return n;
		n = socket_wait(&u->sock.wq, deadline);
		if (n < 0)
			return n;
	}
	return -ENODATA;
}

static ssize_t dgram_receive(struct socket *s, struct socket_msg *m)
{
	struct unix_socket *u = to_unix(s);
	ssize_t r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (u->host_bound) {
		r = receive_host(u, m);
		if (r != -ENODATA)
			return r;
	}
	m->taken = on_taken;
	r = packet_receive(s, &u->st.rx, m, &u->st.rx_shut);
	if (r >= 0) {
		unix_put_creds(u, m);
		wake_clients(u);
	}
	return r;
}

static int dgram_shutdown(struct socket *s, int how)
{
	struct unix_socket *u = to_unix(s);

	u->st.rx_shut |= how != SHUT_WR;
	u->st.tx_shut |= how != SHUT_RD;
	waitq_wake(&s->wq, WAIT_ALL);
	wake_clients(u);
	return 0;
}

static uint32_t dgram_poll(struct socket *s)
{
	const struct unix_socket *u = to_unix(s);
	uint32_t mask = 0;

	if (u->st.rx.count || (u->host_bound && unix_host_poll(u->host_bound) & POLLIN))
		mask |= POLL_READABLE;
	if (u->st.rx_shut)
		mask |= POLL_READABLE | POLLRDHUP;
	if (u->st.rx_shut && u->st.tx_shut)
		mask |= POLLHUP;
	if (u->host)
		mask |= unix_host_poll(u->host) & POLL_WRITABLE;
	else if (!u->dest || has_room(u, u->dest))
		mask |= POLL_WRITABLE;
	return mask;
}

static int dgram_pair(struct socket *a, struct socket *b)
{
	struct unix_socket *x = to_unix(a), *y = to_unix(b);

	x->dest = y;
	y->dest = x;
	x->connected = y->connected = true;
	list_add_tail(&x->client_node, &y->clients);
	list_add_tail(&y->client_node, &x->clients);
	unix_remember_creds(x);
	unix_remember_creds(y);
	scm_creds_copy(&x->creds, &y->peer_creds);
	scm_creds_copy(&y->creds, &x->peer_creds);
	x->peer_cred = cred_ref(y->cred);
	y->peer_cred = cred_ref(x->cred);
	return 0;
}

static void dgram_release(struct socket *s)
{
	struct unix_socket *u = to_unix(s);

	disconnect(u);
	while (!list_empty(&u->clients)) {
		struct unix_socket *c = list_first(&u->clients, struct unix_socket, client_node);

		disconnect(c);
		if (u->st.rx.count)
			c->sock.error = ECONNRESET;
		waitq_wake(&c->sock.wq, WAIT_ALL);
	}
	unix_socket_free(u);
}

const struct socket_ops unix_dgram_ops = {
	.bind = unix_bind,
	.connect = dgram_connect,
	.getname = dgram_getname,
	.send = dgram_send,
	.receive = dgram_receive,
	.shutdown = dgram_shutdown,
	.poll = dgram_poll,
	.getsockopt = unix_getsockopt,
	.ioctl = unix_ioctl,
	.pair = dgram_pair,
	.release = dgram_release,
};
