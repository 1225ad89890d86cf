/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of unix sockets: SOCK_STREAM and SOCK_SEQPACKET.
 */
#include <stdlib.h>
#include <unistd.h>

#include "sentry/core/hostfd.h"
#include "sentry/net/unix_host.h"
#include "sentry/task/task.h"

static int stream_listen(struct socket *s, int backlog)
{
	struct unix_socket *u = to_unix(s);

	if (!u->addr || u->connected)
		return -EINVAL;
	if (backlog < 0 || (unsigned int)backlog > s->ns->limits.backlog_max)
		backlog = (int)s->ns->limits.backlog_max;
	u->backlog = (unsigned int)backlog;
	u->listening = true;
	unix_remember_creds(u);
	waitq_wake(&s->wq, POLLOUT); /* connects that wait for a longer queue */
	return 0;
}

/* Two ends become a connection; each remembers who the other was. */
static void join(struct unix_socket *client, struct unix_socket *server)
{
	stream_join(&client->st, &server->st);
	client->connected = server->connected = true;
	scm_creds_copy(&server->creds, &client->peer_creds);
	scm_creds_copy(&client->creds, &server->peer_creds);
	client->peer_cred = server->cred ? cred_ref(server->cred) : NULL;
	server->peer_cred = client->cred ? cred_ref(client->cred) : NULL;
}

/* The listener's end of a new connection, in its queue. */
static void enqueue(struct unix_socket *listener, struct unix_socket *client,
		    struct unix_socket *server)
{
	server->addr = unix_addr_ref(listener->addr);
	scm_creds_copy(&listener->creds, &server->creds);
	server->cred = cred_ref(listener->cred);
	server->sock.opt.passcred = listener->sock.opt.passcred;
	server->listener = listener;
	join(client, server);
	list_add_tail(&server->pending_node, &listener->pending);
	listener->pending_count++;
	waitq_wake(&listener->sock.wq, POLLIN | POLLRDNORM);
}

/* The listener, with room in its queue; waits for room. Borrowed until the next park. */
static int find_listener(struct unix_socket *u, const struct sock_addr *addr, bool nonblock,
			 struct unix_socket **ret)
{
	const nsec_t deadline = socket_deadline(u->sock.opt.sndtimeo);

	for (;;) {
		struct unix_socket *l;
		int r = unix_find(u, addr, &l);

		if (r < 0)
			return r;
		if (!l->listening || l->st.rx_shut)
			return -ECONNREFUSED;
		if (l->pending_count <= l->backlog) {
			*ret = l;
			return 0;
		}
		if (nonblock)
			return -EAGAIN;
		r = socket_wait(&l->sock.wq, deadline);
		if (r < 0)
			return r;
	}
}

/* From here on the host serves this socket. */
static int connect_host(struct unix_socket *u, const struct sock_addr *addr)
{
	struct unix_host *host;
	int r;

	if (u->connected || u->listening)
		return u->connected ? -EISCONN : -EINVAL;
	r = unix_connect_host(u, addr, &host);
	if (r < 0)
		return r;
	if (u->connected || u->listening) { /* another thread, meanwhile */
		unix_host_unref(host);
		return -EISCONN;
	}
	unix_join_host(u, host);
	unix_set_peer(u, addr);
	waitq_wake(&u->sock.wq, WAIT_ALL);
	return 0;
}

static int stream_connect(struct socket *s, const struct sock_addr *addr, bool nonblock)
{
	struct unix_socket *u = to_unix(s), *listener, *server;
	int r;

	if (s->opt.passcred) {
		r = unix_autobind(u);
		if (r < 0)
			return r;
	}
	r = unix_socket_new(s->ns, s->type, 0, &server);
	if (r < 0)
		return r;
	r = find_listener(u, addr, nonblock, &listener);
	if (r >= 0 && u->connected)
		r = -EISCONN;
	if (r >= 0 && u->listening)
		r = -EINVAL;
	if (r < 0) {
		file_unref(&server->sock.file);
		return r == -EREMOTE ? connect_host(u, addr) : r;
	}
	unix_remember_creds(u);
	enqueue(listener, u, server);
	return 0;
}

/* A connection from the host to a socket that is bound there, too. */
static int accept_host(struct unix_socket *u, struct socket **ret)
{
	struct unix_socket *server;
	struct unix_host *host;
	int r, fd = hostfd_keep(
		       accept4(u->host_bound->host_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK),
		       HOSTFD_GUEST);

	if (fd < 0)
		return -errno;
	r = unix_socket_new(u->sock.ns, u->sock.type, 0, &server);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	r = unix_host_new(fd, &server->sock.wq, &host);
	if (r < 0) {
		file_unref(&server->sock.file);
		return r;
	}
	server->addr = unix_addr_ref(u->addr);
	server->sock.opt.passcred = u->sock.opt.passcred;
	unix_join_host(server, host);
	*ret = &server->sock;
	return 0;
}

static int stream_accept(struct socket *s, bool nonblock, struct socket **ret)
{
	const nsec_t deadline = socket_deadline(s->opt.rcvtimeo);
	struct unix_socket *u = to_unix(s), *server;

	if (!u->listening)
		return -EINVAL;
	while (list_empty(&u->pending)) {
		int r = u->host_bound ? accept_host(u, ret) : -EAGAIN;

		if (r != -EAGAIN)
			return r;
		if (u->st.rx_shut)
			return -EINVAL;
		if (nonblock)
			return -EAGAIN;
		r = socket_wait(&s->wq, deadline);
		if (r < 0)
			return r;
	}
	server = list_first(&u->pending, struct unix_socket, pending_node);
	list_del(&server->pending_node);
	u->pending_count--;
	server->listener = NULL;
	waitq_wake(&s->wq, POLLOUT);
	*ret = &server->sock;
	return 0;
}

static int stream_getname(struct socket *s, bool peer, struct sock_addr *ret)
{
	struct unix_socket *u = to_unix(s);

	if (!peer)
		return unix_getname(u->addr, ret);
	if (!u->connected)
		return -ENOTCONN;
	return unix_getname(u->st.peer ? to_unix(u->st.peer->sock)->addr : u->peer_addr, ret);
}

static ssize_t unix_stream_send(struct socket *s, struct socket_msg *m)
{
	struct unix_socket *u = to_unix(s);
	ssize_t r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->addr.len)
		return u->connected ? -EISCONN : -EOPNOTSUPP;
	if (!u->connected)
		return -ENOTCONN;
	if (s->error)
		return socket_take_error(s);
	unix_stamp(u, u->st.peer ? to_unix(u->st.peer->sock) : NULL, m);
	if (s->type == SOCK_STREAM)
		return stream_send(&u->st, m, u->addr);
	r = stream_send_record(&u->st, m, u->addr);
	return r;
}

static ssize_t unix_stream_receive(struct socket *s, struct socket_msg *m)
{
	struct unix_socket *u = to_unix(s);
	ssize_t r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (!u->connected)
		return s->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
	if (s->type == SOCK_STREAM) {
		r = stream_receive(&u->st, m);
	} else {
		const struct stream *peer = u->st.peer;

		r = packet_receive(s, &u->st.rx, m, &u->st.rx_shut);
		if (r >= 0 && u->st.peer && u->st.peer == peer)
			waitq_wake(&peer->sock->wq, POLLOUT | POLLWRNORM);
	}
	if (r >= 0 && (r > 0 || s->type != SOCK_STREAM))
		unix_put_creds(u, m);
	return r;
}

static int stream_shutdown(struct socket *s, int how)
{
	struct unix_socket *u = to_unix(s);
	struct stream *peer = u->st.peer;
	const bool rx = how != SHUT_WR, tx = how != SHUT_RD;

	u->st.rx_shut |= rx;
	u->st.tx_shut |= tx;
	if (peer) {
		peer->rx_shut |= tx;
		peer->tx_shut |= rx;
		waitq_wake(&peer->sock->wq, WAIT_ALL);
	}
	waitq_wake(&s->wq, WAIT_ALL);
	return 0;
}

static uint32_t unix_stream_poll(struct socket *s)
{
	const struct unix_socket *u = to_unix(s);

	if (u->listening && u->host_bound && unix_host_poll(u->host_bound) & POLLIN)
		return POLLIN | POLLRDNORM;
	if (u->listening)
		return list_empty(&u->pending) ? 0 : POLLIN | POLLRDNORM;
	if (!u->connected)
		return POLLOUT | POLLWRNORM | POLLWRBAND | POLLHUP |
		       (u->st.rx_shut ? POLLIN | POLLRDNORM | POLLRDHUP : 0);
	return stream_poll(&u->st);
}

static int stream_pair(struct socket *a, struct socket *b)
{
	unix_remember_creds(to_unix(a));
	unix_remember_creds(to_unix(b));
	join(to_unix(a), to_unix(b));
	return 0;
}

static void stream_release(struct socket *s)
{
	struct unix_socket *u = to_unix(s);
	struct stream *peer = u->st.peer;

	/* What was sent and never read tells the sender (ECONNRESET). */
	if (peer && (u->st.rx.count || u->listener))
		peer->sock->error = ECONNRESET;
	if (peer)
		to_unix(peer->sock)->peer_addr = unix_addr_ref(u->addr);
	stream_leave(&u->st);
	if (u->listener) {
		list_del(&u->pending_node);
		u->listener->pending_count--;
	}
	u->listening = false;
	while (!list_empty(&u->pending)) {
		struct unix_socket *server =
			list_first(&u->pending, struct unix_socket, pending_node);

		file_unref(&server->sock.file); /* takes itself off the list */
	}
	unix_socket_free(u);
}

const struct socket_ops unix_stream_ops = {
	.bind = unix_bind,
	.connect = stream_connect,
	.listen = stream_listen,
	.accept = stream_accept,
	.getname = stream_getname,
	.send = unix_stream_send,
	.receive = unix_stream_receive,
	.shutdown = stream_shutdown,
	.poll = unix_stream_poll,
	.getsockopt = unix_getsockopt,
	.ioctl = unix_ioctl,
	.pair = stream_pair,
	.release = stream_release,
};
