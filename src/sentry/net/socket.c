/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/net/socket.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sentry/core/kclock.h"
#include "sentry/core/klog.h"
#include "sentry/net/host.h"
#include "sentry/task/task.h"
#include "sentry/vfs/anon.h"

static const struct file_ops socket_file_ops;

struct socket *socket_from_file(struct file *f)
{
	return f && f->ops == &socket_file_ops ? file_socket(f) : NULL;
}

static int create(struct net_ns *ns, int family, int type, int protocol, uint32_t flags,
		  struct socket **ret)
{
	if (family < 0 || family >= AF_MAX)
		return -EAFNOSUPPORT;
	if (type < 0 || type > SOCK_PACKET)
		return -EINVAL;
	if (ns->host && (family == AF_INET || family == AF_INET6 || family == AF_NETLINK))
		return host_create(ns, family, type, protocol, flags, ret);
	switch (family) {
	case AF_UNIX:
		return unix_create(ns, type, protocol, flags, ret);
	case AF_INET:
	case AF_INET6:
		return inet_create(ns, family, type, protocol, flags, ret);
	case AF_NETLINK:
		return netlink_create(ns, type, protocol, flags, ret);
	default:
		return -EAFNOSUPPORT;
	}
}

int socket_create(struct net_ns *ns, int family, int type, int protocol, uint32_t flags,
		  struct socket **ret)
{
	const int r = create(ns, family, type, protocol, flags, ret);

	klog(net, "socket of family %d type %d protocol %d: %d", family, type, protocol, r);
	return r;
}

int socket_init(struct socket *s, const struct socket_ops *ops, struct net_ns *ns, int family,
		int type, int protocol, uint32_t flags)
{
	const struct task *t = task_current();
	struct path path;
	int r;

	r = anon_path_new("socket", NULL, S_IFSOCK | 0777, t ? t->cred : NULL, &path);
	if (r < 0)
		return r;
	file_init(&s->file, &socket_file_ops, &path, t ? t->cred : NULL,
		  O_RDWR | (flags & O_NONBLOCK));
	path_unref(&path);
	s->file.mode |= FMODE_READ | FMODE_WRITE | FMODE_STREAM;
	waitq_init(&s->wq);
	s->file.wq = &s->wq;
	s->ops = ops;
	s->ns = net_ns_ref(ns);
	s->family = family;
	s->type = type;
	s->protocol = protocol;
	s->opt = (struct socket_options){ .sndbuf = SOCKET_BUF_DEFAULT,
					  .rcvbuf = SOCKET_BUF_DEFAULT,
					  .rcvlowat = 1,
					  .peek_off = -1,
					  .rcvtimeo = NSEC_NEVER,
					  .sndtimeo = NSEC_NEVER };
	return 0;
}

void socket_done(struct socket *s)
{
	/* Whoever still waits here looks the socket up again and does not find it. */
	waitq_wake(&s->wq, WAIT_ALL);
	while (!list_empty(&s->wq.entries))
		waitq_remove(list_first(&s->wq.entries, struct wait_entry, node));
	file_fini(&s->file);
	net_ns_unref(s->ns);
}

int socket_take_error(struct socket *s)
{
	const int error = s->error;

	s->error = 0;
	return -error;
}

int socket_wait(struct waitq *q, nsec_t deadline)
{
	struct wait_fiber wait;
	int r;

	wait_fiber_init(&wait, WAIT_ALL);
	waitq_add(q, &wait.entry);
	r = fiber_park(deadline, true);
	waitq_remove(&wait.entry);
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	if (r == -EINTR)
		return deadline == NSEC_NEVER ? -ERESTARTSYS : -EINTR;
	return r;
}

nsec_t socket_deadline(nsec_t timeout)
{
	return timeout == NSEC_NEVER ? NSEC_NEVER : nsec_add(kclock_monotonic(), timeout);
}

void socket_msg_done(struct socket_msg *m)
{
	scm_done(&m->scm);
	buf_done(&m->control);
}

ssize_t socket_send(struct socket *s, struct socket_msg *m)
{
	ssize_t r;

	if (s->file.flags & O_NONBLOCK)
		m->flags |= MSG_DONTWAIT;
	r = s->ops->send ? s->ops->send(s, m) : -EOPNOTSUPP;
	if (r == -EPIPE && !(m->flags & MSG_NOSIGNAL) && s->type == SOCK_STREAM)
		signal_send_self(task_current(), SIGPIPE);
	return r;
}

ssize_t socket_receive(struct socket *s, struct socket_msg *m)
{
	if (s->file.flags & O_NONBLOCK)
		m->flags |= MSG_DONTWAIT;
	return s->ops->receive ? s->ops->receive(s, m) : -EOPNOTSUPP;
}

void socket_put_times(const struct socket *s, struct socket_msg *m, nsec_t arrived)
{
	const struct timespec ts = nsec_to_timespec(arrived);
	const struct timeval tv = { .tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000 };

	if (s->opt.timestamp_ns)
		scm_put(&m->control, SOL_SOCKET, SO_TIMESTAMPNS, &ts, sizeof(ts));
	else if (s->opt.timestamp)
		scm_put(&m->control, SOL_SOCKET, SO_TIMESTAMP, &tv, sizeof(tv));
}

static int call_flags(const struct uio *u)
{
	return u->flags & O_NONBLOCK ? MSG_DONTWAIT : 0;
}

static ssize_t socket_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct socket_msg m = { .data = u, .flags = call_flags(u) };
	ssize_t r;

	if (!u->left)
		return 0;
	r = socket_receive(file_socket(f), &m);
	socket_msg_done(&m);
	return r;
}

static ssize_t socket_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct socket_msg m = { .data = u, .flags = call_flags(u) };
	ssize_t r;

	/* A record ends with the write (SOCK_SEQPACKET). */
	r = socket_send(file_socket(f), &m);
	socket_msg_done(&m);
	return r;
}

static uint32_t socket_poll(struct file *f)
{
	struct socket *s = file_socket(f);

	return s->ops->poll(s) | (s->error ? POLLERR : 0);
}

static long socket_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	struct socket *s = file_socket(f);
	long r = -ENOTTY;

	if (s->ops->ioctl)
		r = s->ops->ioctl(s, cmd, arg, um);
	return r == -ENOTTY ? netdevice_ioctl(s->ns, cmd, arg, um) : r;
}

static void socket_release(struct file *f)
{
	struct socket *s = file_socket(f);

	s->ops->release(s);
}

static const struct file_ops socket_file_ops = {
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.ioctl = socket_ioctl,
	.release = socket_release,
};
