/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink sockets. Requests are answered at once: the answers wait in the socket's queue. Kernel
 * events (NETLINK_KOBJECT_UEVENT) never come.
 */
#include "sentry/net/netlink.h"

#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/net/stream.h"
#include "sentry/task/task.h"

#define POLL_READABLE (POLLIN | POLLRDNORM)

static const struct socket_ops netlink_ops;
static uint32_t next_port = 0x80000000u; /* for the second socket of a process */

static struct netlink_socket *to_netlink(struct socket *s)
{
	return container_of(s, struct netlink_socket, sock);
}

int netlink_create(struct net_ns *ns, int type, int protocol, uint32_t flags, struct socket **ret)
{
	struct netlink_socket *nl;
	int r;

	if (type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (protocol != NETLINK_ROUTE && protocol != NETLINK_KOBJECT_UEVENT)
		return -EPROTONOSUPPORT;
	nl = calloc(1, sizeof(*nl));
	if (!nl)
		return -ENOMEM;
	r = socket_init(&nl->sock, &netlink_ops, ns, AF_NETLINK, type, protocol, flags);
	if (r < 0) {
		free(nl);
		return r;
	}
	packet_queue_init(&nl->rx);
	*ret = &nl->sock;
	return 0;
}

/* The first socket of a process has its pid as address, others a number of their own. */
static void autobind(struct netlink_socket *nl)
{
	struct task *t = task_current();
	static uint64_t last_pid;
	const int pid = task_tgid(t, task_pid_ns(t));

	if (nl->port)
		return;
	if (last_pid == (uint64_t)pid) {
		nl->port = next_port++;
	} else {
		last_pid = (uint64_t)pid;
		nl->port = (uint32_t)pid;
	}
}

static int netlink_bind(struct socket *s, const struct sock_addr *addr)
{
	struct netlink_socket *nl = to_netlink(s);
	struct sockaddr_nl sa;

	if (addr->len < sizeof(sa))
		return -EINVAL;
	memcpy(&sa, &addr->storage, sizeof(sa));
	if (sa.nl_family != AF_NETLINK)
		return -EINVAL;
	if (nl->port && sa.nl_pid != nl->port)
		return -EINVAL;
	nl->groups = sa.nl_groups;
	if (sa.nl_pid)
		nl->port = sa.nl_pid;
	else
		autobind(nl);
	return 0;
}

static int netlink_connect(struct socket *s, const struct sock_addr *addr, bool nonblock)
{
	struct netlink_socket *nl = to_netlink(s);
	struct sockaddr_nl sa;

	if (addr->len < sizeof(sa_family_t))
		return -EINVAL;
	if (addr->sa.sa_family == AF_UNSPEC) {
		nl->dest_port = 0;
		return 0;
	}
	if (addr->len < sizeof(sa) || addr->sa.sa_family != AF_NETLINK)
		return -EINVAL;
	memcpy(&sa, &addr->storage, sizeof(sa));
	autobind(nl);
	nl->dest_port = sa.nl_pid;
	return 0;
}

static int netlink_getname(struct socket *s, bool peer, struct sock_addr *ret)
{
	const struct netlink_socket *nl = to_netlink(s);
	const struct sockaddr_nl sa = {
		.nl_family = AF_NETLINK,
		.nl_pid = peer ? nl->dest_port : nl->port,
		.nl_groups = peer ? 0 : nl->groups,
	};

	memset(ret, 0, sizeof(*ret));
	memcpy(&ret->storage, &sa, sizeof(sa));
	ret->len = sizeof(sa);
	return 0;
}

/* One datagram of whole messages to the socket. */
static int queue_answer(struct netlink_socket *nl, const char *bytes, size_t len)
{
	struct packet *p;

	if (nl->rx.charge + len > (size_t)nl->sock.opt.rcvbuf)
		return -ENOBUFS;
	p = packet_new(len);
	if (!p)
		return -ENOMEM;
	memcpy(p->bytes, bytes, len);
	p->arrived = kclock_realtime();
	packet_push(&nl->rx, p);
	waitq_wake(&nl->sock.wq, POLL_READABLE);
	return 0;
}

/* Cut answers into datagrams of at most NETLINK_PART bytes, between messages. */
static int queue_answers(struct netlink_socket *nl, const struct buf *answers)
{
	size_t start = 0, at = 0;
	int r = 0;

	while (r >= 0 && at < answers->len) {
		struct nlmsghdr head;
		size_t len;

		memcpy(&head, answers->data + at, sizeof(head));
		len = NLMSG_ALIGN(head.nlmsg_len);
		/* The end of a dump comes alone, as readers expect it. */
		if (at > start &&
		    (at + len - start > NETLINK_PART || head.nlmsg_type == NLMSG_DONE)) {
			r = queue_answer(nl, answers->data + start, at - start);
			start = at;
		}
		at += len;
	}
	if (r >= 0 && at > start)
		r = queue_answer(nl, answers->data + start, at - start);
	return r;
}

static void put_error(struct buf *ret, uint32_t port, const struct nlmsghdr *request, int error)
{
	const struct nlmsghdr head = {
		.nlmsg_len = NLMSG_LENGTH(sizeof(struct nlmsgerr)),
		.nlmsg_type = NLMSG_ERROR,
		.nlmsg_flags = NLM_F_CAPPED,
		.nlmsg_seq = request->nlmsg_seq,
		.nlmsg_pid = port,
	};
	const struct nlmsgerr err = { .error = error, .msg = *request };

	buf_append(ret, &head, sizeof(head));
	buf_append(ret, &err, sizeof(err));
}

static int serve_request(struct netlink_socket *nl, const uint8_t *bytes, size_t len)
{
	AUTO_BUF struct buf answers = { 0 };
	struct nlmsghdr head;
	int r;

	memcpy(&head, bytes, sizeof(head));
	if (!(head.nlmsg_flags & NLM_F_REQUEST) || head.nlmsg_type < NLMSG_MIN_TYPE)
		r = 0;
	else
		r = rtnetlink_answer(nl->sock.ns, nl->port, bytes, len, &answers);
	if (r < 0 || head.nlmsg_flags & NLM_F_ACK) {
		if (r < 0)
			buf_done(&answers);
		put_error(&answers, nl->port, &head, r);
	}
	if (buf_error(&answers) < 0)
		return buf_error(&answers);
	return queue_answers(nl, &answers);
}

/* Every message of a datagram. */
static int serve(struct netlink_socket *nl, const uint8_t *bytes, size_t len)
{
	size_t at = 0;
	int r = 0;

	while (r >= 0 && len - at >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr head;

		memcpy(&head, bytes + at, sizeof(head));
		if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > len - at)
			break; /* as Linux: the rest is dropped */
		r = serve_request(nl, bytes + at, head.nlmsg_len);
		if (NLMSG_ALIGN(head.nlmsg_len) > len - at)
			break;
		at += NLMSG_ALIGN(head.nlmsg_len);
	}
	return r;
}

static ssize_t netlink_send(struct socket *s, struct socket_msg *m)
{
	struct netlink_socket *nl = to_netlink(s);
	AUTO_FREE uint8_t *bytes = NULL;
	const size_t len = m->data->left;
	uint32_t to = nl->dest_port;
	struct sockaddr_nl sa;
	int r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->addr.len) {
		if (m->addr.len < sizeof(sa) || m->addr.sa.sa_family != AF_NETLINK)
			return -EINVAL;
		memcpy(&sa, &m->addr.storage, sizeof(sa));
		to = sa.nl_pid;
	}
	autobind(nl);
	if (to)
		return -ECONNREFUSED;
	if (len > NETLINK_REQUEST_MAX)
		return -EMSGSIZE;
	bytes = malloc(len ? len : 1);
	if (!bytes)
		return -ENOBUFS;
	if (len && uio_get(m->data, bytes, len) != (ssize_t)len)
		return -EFAULT;
	r = s->protocol == NETLINK_ROUTE ? serve(nl, bytes, len) : -EPERM;
	return r < 0 ? r : (ssize_t)len;
}

static void on_taken(struct socket *s, const struct packet *p, struct socket_msg *m)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	memcpy(&m->addr.storage, &kernel, sizeof(kernel));
	m->addr.len = sizeof(kernel);
	socket_put_times(s, m, p->arrived);
}

static ssize_t netlink_receive(struct socket *s, struct socket_msg *m)
{
	struct netlink_socket *nl = to_netlink(s);

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	m->taken = on_taken;
	return packet_receive(s, &nl->rx, m, &nl->never);
}

static uint32_t netlink_poll(struct socket *s)
{
	return POLLOUT | POLLWRNORM | POLLWRBAND | (to_netlink(s)->rx.count ? POLL_READABLE : 0);
}

static int netlink_setsockopt(struct socket *s, int level, int name, const void *value, size_t len)
{
	struct netlink_socket *nl = to_netlink(s);
	int on;

	if (level != SOL_NETLINK)
		return -ENOPROTOOPT;
	if (len < sizeof(on))
		return -EINVAL;
	memcpy(&on, value, sizeof(on));
	switch (name) {
	case NETLINK_ADD_MEMBERSHIP:
	case NETLINK_DROP_MEMBERSHIP:
		if (on < 1 || on > 63)
			return -EINVAL;
		if (on <= 32 && name == NETLINK_ADD_MEMBERSHIP)
			nl->groups |= 1u << (on - 1);
		else if (on <= 32)
			nl->groups &= ~(1u << (on - 1));
		return 0;
	case NETLINK_PKTINFO:
		nl->pktinfo = on;
		return 0;
	case NETLINK_EXT_ACK:
	case NETLINK_CAP_ACK:
		nl->ext_ack = on;
		return 0;
	case NETLINK_GET_STRICT_CHK:
		nl->strict = on;
		return 0;
	case NETLINK_NO_ENOBUFS:
	case NETLINK_BROADCAST_ERROR:
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int netlink_getsockopt(struct socket *s, int level, int name, void *value, size_t *len)
{
	const struct netlink_socket *nl = to_netlink(s);
	int on;

	if (level != SOL_NETLINK)
		return -ENOPROTOOPT;
	if (*len < sizeof(on))
		return -EINVAL;
	switch (name) {
	case NETLINK_PKTINFO:
		on = nl->pktinfo;
		break;
	case NETLINK_EXT_ACK:
	case NETLINK_CAP_ACK:
		on = nl->ext_ack;
		break;
	case NETLINK_GET_STRICT_CHK:
		on = nl->strict;
		break;
	default:
		return -ENOPROTOOPT;
	}
	memcpy(value, &on, sizeof(on));
	*len = sizeof(on);
	return 0;
}

static void netlink_release(struct socket *s)
{
	struct netlink_socket *nl = to_netlink(s);

	packet_queue_done(&nl->rx);
	socket_done(s);
	free(nl);
}

static const struct socket_ops netlink_ops = {
	.bind = netlink_bind,
	.connect = netlink_connect,
	.getname = netlink_getname,
	.send = netlink_send,
	.receive = netlink_receive,
	.poll = netlink_poll,
	.setsockopt = netlink_setsockopt,
	.getsockopt = netlink_getsockopt,
	.release = netlink_release,
};

bool netlink_file(struct file *f)
{
	const struct socket *s = socket_from_file(f);

	return s && s->ops == &netlink_ops;
}

void netlink_deliver(struct file *f, const uint8_t *bytes, size_t len)
{
	(void)queue_answer(to_netlink(socket_from_file(f)), (const char *)bytes, len);
}
