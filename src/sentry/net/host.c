/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of the host. Each is non-blocking; the event loop says when something changed. Bytes go
 * through kernel memory: the host never sees an address of a guest.
 */
#include "sentry/net/host.h"

#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sentry/core/hostfd.h"
#include "sentry/core/kloop.h"
#include "sentry/task/task.h"

#define CHUNK	     (64u << 10) /* bytes of one host call; the largest datagram fits */
#define CONTROL_MAX  512	 /* bytes of control messages of one datagram */
#define OPTION_BYTES 256
#define SEND_FLAGS   (MSG_OOB | MSG_MORE | MSG_DONTROUTE | MSG_CONFIRM | MSG_EOR)
#define RECV_FLAGS   (MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_ERRQUEUE)

struct host_socket {
	struct socket sock;
	int host_fd; /* owned */
	struct kloop_fd loop;
};

static const struct socket_ops host_ops;

static struct host_socket *to_host(struct socket *s)
{
	return container_of(s, struct host_socket, sock);
}

static void on_event(struct kloop_fd *source, uint32_t events)
{
	struct host_socket *h = container_of(source, struct host_socket, loop);

	waitq_wake(&h->sock.wq, events | POLLRDNORM | POLLWRNORM);
}

/* Takes over host_fd, also on failure. */
static int host_socket_new(struct net_ns *ns, int family, int type, int protocol, uint32_t flags,
			   int host_fd, struct socket **ret)
{
	struct host_socket *h = calloc(1, sizeof(*h));
	int r = -ENOMEM;

	if (h)
		r = socket_init(&h->sock, &host_ops, ns, family, type, protocol, flags);
	if (r < 0) {
		(void)close(host_fd);
		free(h);
		return r;
	}
	h->host_fd = host_fd;
	h->loop = (struct kloop_fd){ .host_fd = host_fd, .fn = on_event };
	r = kloop_add(&h->loop, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET);
	if (r < 0) {
		file_unref(&h->sock.file);
		return r;
	}
	*ret = &h->sock;
	return 0;
}

int host_create(struct net_ns *ns, int family, int type, int protocol, uint32_t flags,
		struct socket **ret)
{
	const bool netlink = family == AF_NETLINK;
	int fd;

	if (netlink && type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (netlink && protocol != NETLINK_ROUTE)
		return -EPROTONOSUPPORT;
	if (!netlink && type != SOCK_STREAM && type != SOCK_DGRAM)
		return type == SOCK_RAW ? -EPERM : -ESOCKTNOSUPPORT;
	if (!netlink && protocol && protocol != (type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP))
		return -EPROTONOSUPPORT;
	if (!netlink)
		protocol = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
	fd = hostfd_keep(socket(family, (netlink ? SOCK_RAW : type) | SOCK_NONBLOCK | SOCK_CLOEXEC,
				protocol),
			 HOSTFD_GUEST);
	if (fd < 0)
		return -errno;
	return host_socket_new(ns, family, type, protocol, flags, fd, ret);
}

/* Of internet addresses, whose ports lie at the same place. */
static bool may_have_port(const struct socket *s, const struct sock_addr *addr)
{
	const uint16_t port = addr->len < offsetof(struct sockaddr_in, sin_port) + sizeof(in_port_t)
				      ? 0
				      : ntohs(addr->in.sin_port);

	return s->family == AF_NETLINK || !port || port >= s->ns->limits.unprivileged_first ||
	       net_capable(s->ns, CAP_NET_BIND_SERVICE);
}

static int host_bind(struct socket *s, const struct sock_addr *addr)
{
	if (s->ns->judges_ports && !may_have_port(s, addr))
		return -EACCES;
	return bind(to_host(s)->host_fd, &addr->sa, addr->len) < 0 ? -errno : 0;
}

static int host_listen(struct socket *s, int backlog)
{
	return listen(to_host(s)->host_fd, backlog) < 0 ? -errno : 0;
}

static uint32_t host_poll(struct socket *s)
{
	struct pollfd p = { .fd = to_host(s)->host_fd,
			    .events = POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLWRNORM |
				      POLLRDHUP };

	return poll(&p, 1, 0) == 1 ? (uint16_t)p.revents : 0;
}

static int host_error(struct socket *s)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(to_host(s)->host_fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

static int host_connect(struct socket *s, const struct sock_addr *addr, bool nonblock)
{
	const nsec_t deadline = socket_deadline(s->opt.sndtimeo);
	int r;

	r = connect(to_host(s)->host_fd, &addr->sa, addr->len) < 0 ? -errno : 0;
	if ((r != -EINPROGRESS && r != -EALREADY) || nonblock)
		return r;
	while (!(host_poll(s) & (POLLOUT | POLLERR | POLLHUP))) {
		r = socket_wait(&s->wq, deadline);
		if (r < 0)
			return r == -EAGAIN ? -EINPROGRESS : r;
	}
	return host_error(s);
}

static int host_accept(struct socket *s, bool nonblock, struct socket **ret)
{
	const nsec_t deadline = socket_deadline(s->opt.rcvtimeo);

	for (;;) {
		const int fd = hostfd_keep(
			accept4(to_host(s)->host_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC),
			HOSTFD_GUEST);
		int r;

		if (fd >= 0)
			return host_socket_new(s->ns, s->family, s->type, s->protocol, 0, fd, ret);
		if (errno != EAGAIN)
			return -errno;
		if (nonblock)
			return -EAGAIN;
		r = socket_wait(&s->wq, deadline);
		if (r < 0)
			return r;
	}
}

static int host_getname(struct socket *s, bool peer, struct sock_addr *ret)
{
	const int fd = to_host(s)->host_fd;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->len = sizeof(ret->storage);
	r = peer ? getpeername(fd, &ret->sa, &ret->len) : getsockname(fd, &ret->sa, &ret->len);
	return r < 0 ? -errno : 0;
}

static int judge_control(const struct buf *control)
{
	size_t at = 0;

	while (at + sizeof(struct cmsghdr) <= control->len) {
		struct cmsghdr head;

		memcpy(&head, control->data + at, sizeof(head));
		if (!host_control_known(head.cmsg_level, head.cmsg_type))
			return -EINVAL;
		at += CMSG_ALIGN(head.cmsg_len);
	}
	return 0;
}

/* Send len bytes at once or in parts; waits for room unless the caller may not. Bytes sent. */
static ssize_t send_all(struct socket *s, struct socket_msg *m, uint8_t *bytes, size_t len,
			nsec_t deadline)
{
	size_t sent = 0;

	do {
		struct iovec iov = { bytes + sent, len - sent };
		const struct msghdr h = { .msg_name = m->addr.len ? &m->addr.storage : NULL,
					  .msg_namelen = m->addr.len,
					  .msg_iov = &iov,
					  .msg_iovlen = 1,
					  .msg_control = m->control.data,
					  .msg_controllen = m->control.len };
		ssize_t n = sendmsg(to_host(s)->host_fd, &h,
				    MSG_NOSIGNAL | MSG_DONTWAIT | (m->flags & SEND_FLAGS));

		if (n < 0)
			n = -errno;
		if (n == -EAGAIN && !(m->flags & MSG_DONTWAIT)) {
			n = socket_wait(&s->wq, deadline);
			if (n >= 0)
				continue;
		}
		if (n < 0)
			return sent ? (ssize_t)sent : n;
		sent += (size_t)n;
	} while (sent < len);
	return (ssize_t)sent;
}

static ssize_t host_send(struct socket *s, struct socket_msg *m)
{
	const nsec_t deadline = socket_deadline(s->opt.sndtimeo);
	AUTO_FREE uint8_t *bytes = NULL;
	ssize_t total = 0;
	int r = judge_control(&m->control);

	if (r < 0)
		return r;
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
		if (s->family == AF_NETLINK && !host_netlink_harmless(bytes, (size_t)got))
			return -EPERM;
		n = send_all(s, m, bytes, (size_t)got, deadline);
		if (n < 0)
			return total ? total : n;
		total += n;
		if (n < got)
			break;
	} while (m->data->left);
	return total;
}

/* Control messages of the host for the guest: never descriptors, which the host cannot send here.
 */
static void take_control(const struct msghdr *h, struct socket_msg *m)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)h, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			continue;
		scm_put(&m->control, c->cmsg_level, c->cmsg_type, CMSG_DATA(c),
			c->cmsg_len - CMSG_LEN(0));
	}
}

/* One receive of the host, of at most `want` bytes: bytes in the guest's memory, or -errno. */
static ssize_t receive_once(struct socket *s, struct socket_msg *m, uint8_t *bytes, size_t want,
			    bool *end)
{
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_MAX];
	struct iovec iov = { bytes, want };
	struct msghdr h = { .msg_name = &m->addr.storage,
			    .msg_namelen = sizeof(m->addr.storage),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = m->want_control ? sizeof(control) : 0 };
	const ssize_t n = recvmsg(to_host(s)->host_fd, &h,
				  MSG_DONTWAIT | MSG_CMSG_CLOEXEC | (m->flags & RECV_FLAGS));
	size_t have;
	ssize_t put;

	if (n < 0)
		return -errno;
	*end = n == 0;
	have = (size_t)n < want ? (size_t)n : want;
	if (s->type == SOCK_STREAM && m->flags & MSG_TRUNC)
		have = 0; /* thrown away (tcp(7)) */
	put = have ? uio_put(m->data, bytes, have) : 0;
	if (put < 0)
		return put;
	m->addr.len = s->type == SOCK_STREAM ? 0 : h.msg_namelen;
	m->ret_flags |= h.msg_flags & (MSG_TRUNC | MSG_CTRUNC | MSG_OOB | MSG_ERRQUEUE | MSG_EOR);
	take_control(&h, m);
	return (size_t)put < have ? put : n;
}

static ssize_t host_receive(struct socket *s, struct socket_msg *m)
{
	const nsec_t deadline = socket_deadline(s->opt.rcvtimeo);
	const bool whole = m->flags & MSG_WAITALL && s->type == SOCK_STREAM &&
			   !(m->flags & (MSG_PEEK | MSG_OOB));
	const size_t all = m->data->left;
	AUTO_FREE uint8_t *bytes = malloc(CHUNK);
	ssize_t total = 0;
	bool end = false;

	if (!bytes)
		return -ENOMEM;
	for (;;) {
		const size_t left = all - (size_t)total;
		ssize_t n = receive_once(s, m, bytes, left < CHUNK ? left : CHUNK, &end);

		if (n == -EAGAIN && !(m->flags & (MSG_DONTWAIT | MSG_ERRQUEUE))) {
			n = socket_wait(&s->wq, deadline);
			if (n >= 0)
				continue;
		}
		if (n < 0)
			return total ? total : n;
		total += n;
		if (!whole || end || (size_t)total >= all)
			return total;
	}
}

static int host_shutdown(struct socket *s, int how)
{
	const int r = shutdown(to_host(s)->host_fd, how) < 0 ? -errno : 0;

	if (r >= 0)
		waitq_wake(&s->wq, WAIT_ALL);
	return r;
}

static int unknown_option(int level)
{
	switch (level) {
	case SOL_SOCKET:
	case IPPROTO_IP:
	case IPPROTO_IPV6:
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case SOL_NETLINK:
		return -ENOPROTOOPT;
	default:
		return -EOPNOTSUPP;
	}
}

static int host_setsockopt(struct socket *s, int level, int name, const void *value, size_t len)
{
	if (s->family == AF_NETLINK || !host_option_known(level, name))
		return unknown_option(level);
	return setsockopt(to_host(s)->host_fd, level, name, value, (socklen_t)len) < 0 ? -errno : 0;
}

static int host_getsockopt(struct socket *s, int level, int name, void *value, size_t *len)
{
	socklen_t n = *len < OPTION_BYTES ? (socklen_t)*len : OPTION_BYTES;

	if (s->family == AF_NETLINK || !host_option_known(level, name))
		return unknown_option(level);
	if (getsockopt(to_host(s)->host_fd, level, name, value, &n) < 0)
		return -errno;
	*len = n;
	return 0;
}

static long host_ioctl(struct socket *s, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	int value = 0;

	if (cmd != SIOCINQ && cmd != SIOCOUTQ && cmd != SIOCATMARK)
		return -ENOTTY;
	if (ioctl(to_host(s)->host_fd, cmd, &value) < 0)
		return -errno;
	return user_copy_out(um, arg, &value, sizeof(value));
}

static void host_release(struct socket *s)
{
	struct host_socket *h = to_host(s);

	kloop_remove(&h->loop);
	(void)close(h->host_fd);
	socket_done(s);
	free(h);
}

static const struct socket_ops host_ops = {
	.bind = host_bind,
	.connect = host_connect,
	.listen = host_listen,
	.accept = host_accept,
	.getname = host_getname,
	.send = host_send,
	.receive = host_receive,
	.shutdown = host_shutdown,
	.poll = host_poll,
	.setsockopt = host_setsockopt,
	.getsockopt = host_getsockopt,
	.ioctl = host_ioctl,
	.take_error = host_error,
	.mirror_options = true,
	.release = host_release,
};

/* SIOCGIFCONF: the list is filled in kernel memory. */
static long host_ifconf(int fd, uint64_t arg, struct user_memory *um)
{
	AUTO_FREE char *list = NULL;
	struct ifconf conf, host;

	if (user_copy_in(um, &conf, arg, sizeof(conf)) < 0)
		return -EFAULT;
	if (conf.ifc_len < 0)
		return -EINVAL;
	host.ifc_len = conf.ifc_len < (int)CHUNK ? conf.ifc_len : (int)CHUNK;
	list = calloc(1, CHUNK);
	if (!list)
		return -ENOMEM;
	host.ifc_buf = conf.ifc_buf ? list : NULL;
	if (ioctl(fd, SIOCGIFCONF, &host) < 0)
		return -errno;
	if (conf.ifc_buf && host.ifc_len > 0 &&
	    user_copy_out(um, (uaddr_t)(uintptr_t)conf.ifc_buf, list, (size_t)host.ifc_len) < 0)
		return -EFAULT;
	conf.ifc_len = host.ifc_len;
	return user_copy_out(um, arg, &conf, sizeof(conf));
}

long host_netdevice_ioctl(unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	AUTO_CLOSE int fd = -EBADF;
	struct ifreq r;

	switch (cmd) {
	case SIOCGIFCONF:
	case SIOCGIFNAME:
	case SIOCGIFFLAGS:
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
	case SIOCGIFMTU:
	case SIOCGIFINDEX:
	case SIOCGIFMETRIC:
	case SIOCGIFHWADDR:
	case SIOCGIFTXQLEN:
		break;
	default:
		return cmd >= SIOCGIFNAME && cmd <= SIOCSIFTXQLEN ? -EPERM : -ENOTTY;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		return -errno;
	if (cmd == SIOCGIFCONF)
		return host_ifconf(fd, arg, um);
	if (user_copy_in(um, &r, arg, sizeof(r)) < 0)
		return -EFAULT;
	if (ioctl(fd, cmd, &r) < 0)
		return -errno;
	return user_copy_out(um, arg, &r, sizeof(r));
}
