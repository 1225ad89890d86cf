/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix sockets of the host, which the gofer connects or binds where --host-uds allows it: bytes and
 * datagrams pass through kernel memory, and nothing else does. Descriptors and credentials stay on
 * their sides: to the host every message is the sentry's.
 */
#include "sentry/net/unix_host.h"

#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sentry/task/task.h"
#include "sentry/vfs/namei.h"

#define CHUNK (64u << 10) /* bytes of one host call; a larger datagram is refused */

static void on_event(struct kloop_fd *source, uint32_t events)
{
	struct unix_host *h = container_of(source, struct unix_host, loop);

	waitq_wake(h->wq, events | POLLRDNORM | POLLWRNORM);
}

int unix_host_new(int host_fd, struct waitq *wq, struct unix_host **ret)
{
	AUTO_CLOSE int fd = host_fd;
	struct unix_host *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	*h = (struct unix_host){
		.refs = 1, .host_fd = fd, .loop = { .host_fd = fd, .fn = on_event }, .wq = wq
	};
	r = kloop_add(&h->loop, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	if (r < 0) {
		free(h);
		return r;
	}
	fd = -EBADF;
	*ret = h;
	return 0;
}

struct unix_host *unix_host_ref(struct unix_host *h)
{
	h->refs++;
	return h;
}

void unix_host_unref(struct unix_host *h)
{
	if (!h || --h->refs > 0)
		return;
	kloop_remove(&h->loop);
	(void)close(h->host_fd);
	free(h);
}

int unix_host_connect(struct unix_socket *u, const char *name, struct unix_host **ret)
{
	const struct vfs_ctx ctx = task_vfs_ctx(task_current());
	struct inode *inode;
	struct path path;
	int fd, r = path_walk(&ctx, NULL, name, WALK_FOLLOW, &path);

	if (r < 0)
		return r;
	inode = path.dentry->inode;
	r = inode_permission(inode, ctx.cred, MAY_WRITE);
	if (r >= 0)
		r = inode->ops->connect ? inode->ops->connect(inode, u->sock.type, &fd)
					: -ECONNREFUSED;
	path_unref(&path);
	return r < 0 ? r : unix_host_new(fd, &u->sock.wq, ret);
}

/* All of it, for a datagram at once. Waits for room unless the caller may not. */
static ssize_t send_bytes(struct unix_host *h, const struct socket_msg *m, const uint8_t *bytes,
			  size_t len, nsec_t deadline)
{
	size_t sent = 0;

	do {
		struct iovec iov = { (void *)(uintptr_t)(bytes + sent), len - sent };
		const struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n = sendmsg(h->host_fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			n = -errno;
		if (n == -EAGAIN && !(m->flags & MSG_DONTWAIT)) {
			n = socket_wait(h->wq, deadline);
			if (n >= 0)
				continue;
		}
		if (n < 0)
			return sent ? (ssize_t)sent : n;
		sent += (size_t)n;
	} while (sent < len);
	return (ssize_t)sent;
}

ssize_t unix_host_send(struct unix_host *host, const struct socket *s, struct socket_msg *m)
{
	const nsec_t deadline = socket_deadline(s->opt.sndtimeo);
	AUTO(unix_host_unref_p) struct unix_host *h = unix_host_ref(host);
	AUTO_FREE uint8_t *bytes = NULL;
	ssize_t total = 0;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->scm.files_len)
		return -EPERM;
	if (s->type != SOCK_STREAM && m->data->left > CHUNK)
		return -EMSGSIZE;
	bytes = malloc(CHUNK);
	if (!bytes)
		return -ENOMEM;
	do {
		const size_t want = m->data->left < CHUNK ? m->data->left : CHUNK;
		const ssize_t got = want ? uio_get(m->data, bytes, want) : 0;
		ssize_t n;

		if (got < 0)
			return total ? total : got;
		n = send_bytes(h, m, bytes, (size_t)got, deadline);
		if (n < 0)
			return total ? total : n;
		total += n;
		if (n < got)
			break;
	} while (m->data->left);
	return total;
}

/* One receive of at most `want` bytes: bytes in the guest's memory, or -errno. */
static ssize_t receive_once(struct unix_host *h, const struct socket *s, struct socket_msg *m,
			    uint8_t *bytes, size_t want)
{
	struct iovec iov = { bytes, want };
	/* No room for descriptors of the host: the kernel drops them. */
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	const ssize_t n =
		recvmsg(h->host_fd, &msg,
			MSG_DONTWAIT | MSG_CMSG_CLOEXEC | (m->flags & (MSG_PEEK | MSG_TRUNC)));
	size_t have;
	ssize_t put;

	if (n < 0)
		return -errno;
	have = (size_t)n < want ? (size_t)n : want;
	if (s->type == SOCK_STREAM && m->flags & MSG_TRUNC)
		have = 0;
	put = have ? uio_put(m->data, bytes, have) : 0;
	if (put < 0)
		return put;
	m->addr.len = 0;
	m->ret_flags |= msg.msg_flags & (MSG_TRUNC | MSG_EOR);
	return (size_t)put < have ? put : n;
}

ssize_t unix_host_receive(struct unix_host *host, const struct socket *s, struct socket_msg *m)
{
	const nsec_t deadline = socket_deadline(s->opt.rcvtimeo);
	const bool whole =
		m->flags & MSG_WAITALL && s->type == SOCK_STREAM && !(m->flags & MSG_PEEK);
	AUTO(unix_host_unref_p) struct unix_host *h = unix_host_ref(host);
	const size_t all = m->data->left;
	AUTO_FREE uint8_t *bytes = malloc(CHUNK);
	ssize_t total = 0;

	if (!bytes)
		return -ENOMEM;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	for (;;) {
		const size_t left = all - (size_t)total;
		ssize_t n = receive_once(h, s, m, bytes, left < CHUNK ? left : CHUNK);

		if (n == -EAGAIN && !(m->flags & MSG_DONTWAIT)) {
			n = socket_wait(h->wq, deadline);
			if (n >= 0)
				continue;
		}
		if (n < 0)
			return total ? total : n;
		total += n;
		if (!whole || n == 0 || (size_t)total >= all)
			return total;
	}
}

uint32_t unix_host_poll(const struct unix_host *h)
{
	struct pollfd p = { .fd = h->host_fd,
			    .events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLRDHUP };

	return poll(&p, 1, 0) == 1 ? (uint16_t)p.revents : 0;
}

static int host_connect(struct socket *s, const struct sock_addr *addr, bool nonblock)
{
	(void)s;
	(void)addr;
	(void)nonblock;
	return -EISCONN;
}

static int host_getname(struct socket *s, bool peer, struct sock_addr *ret)
{
	const struct unix_socket *u = to_unix(s);

	return unix_getname(peer ? u->peer_addr : u->addr, ret);
}

static ssize_t host_send(struct socket *s, struct socket_msg *m)
{
	return m->addr.len ? -EISCONN : unix_host_send(to_unix(s)->host, s, m);
}

static ssize_t host_receive(struct socket *s, struct socket_msg *m)
{
	return unix_host_receive(to_unix(s)->host, s, m);
}

static int host_shutdown(struct socket *s, int how)
{
	const int r = shutdown(to_unix(s)->host->host_fd, how) < 0 ? -errno : 0;

	if (r >= 0)
		waitq_wake(&s->wq, WAIT_ALL);
	return r;
}

static uint32_t host_poll(struct socket *s)
{
	return unix_host_poll(to_unix(s)->host);
}

static long host_ioctl(struct socket *s, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	int value = 0;

	if (cmd != SIOCINQ)
		return -ENOTTY;
	if (ioctl(to_unix(s)->host->host_fd, FIONREAD, &value) < 0)
		return -errno;
	return user_copy_out(um, arg, &value, sizeof(value));
}

static void host_release(struct socket *s)
{
	unix_socket_free(to_unix(s));
}

static const struct socket_ops unix_host_ops = {
	.bind = unix_bind,
	.connect = host_connect,
	.getname = host_getname,
	.send = host_send,
	.receive = host_receive,
	.shutdown = host_shutdown,
	.poll = host_poll,
	.getsockopt = unix_getsockopt,
	.ioctl = host_ioctl,
	.release = host_release,
};

void unix_join_host(struct unix_socket *u, struct unix_host *h)
{
	u->host = h;
	u->connected = true;
	u->sock.ops = &unix_host_ops;
}
