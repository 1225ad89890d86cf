/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data of sockets: sendto(2), sendmsg(2), sendmmsg(2), recvfrom(2), recvmsg(2), recvmmsg(2).
 */
#include <limits.h>
#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/syscall/socket_user.h"
#include "sentry/syscall/syscall.h"

#define MMSG_MAX UIO_MAXIOV /* messages of one call */

/* struct user_msghdr of the kernel's ABI. */
struct msghdr_abi {
	uint64_t name;
	int32_t namelen, pad1;
	uint64_t iov, iovlen, control, controllen;
	uint32_t flags, pad2;
};

struct mmsghdr_abi {
	struct msghdr_abi hdr;
	uint32_t len, pad;
};

/* Offsets of what a receiver is told. */
#define NAMELEN_OFFSET	  offsetof(struct msghdr_abi, namelen)
#define CONTROLLEN_OFFSET offsetof(struct msghdr_abi, controllen)
#define FLAGS_OFFSET	  offsetof(struct msghdr_abi, flags)

static int copy_header(struct task *t, uaddr_t addr, struct msghdr_abi *ret)
{
	if (user_copy_in(task_um(t), ret, addr, sizeof(*ret)) < 0)
		return -EFAULT;
	if (!ret->name)
		ret->namelen = 0;
	if (ret->namelen < 0)
		return -EINVAL;
	if (ret->namelen > (int)sizeof(struct sockaddr_storage))
		ret->namelen = sizeof(struct sockaddr_storage);
	if (ret->iovlen > UIO_MAXIOV)
		return -EMSGSIZE;
	return 0;
}

static int copy_control(struct task *t, const struct msghdr_abi *h, struct socket_msg *m)
{
	AUTO_FREE uint8_t *control = NULL;

	if (h->controllen > SCM_CONTROL_MAX)
		return -ENOBUFS;
	if (!h->control || !h->controllen)
		return 0;
	control = malloc(h->controllen);
	if (!control)
		return -ENOMEM;
	if (user_copy_in(task_um(t), control, h->control, h->controllen) < 0)
		return -EFAULT;
	return scm_decode(t, control, h->controllen, &m->scm, &m->control);
}

static sysret_t send_one(struct task *t, struct socket *s, uaddr_t addr, int flags)
{
	AUTO_FREE struct iovec *iov = NULL;
	struct socket_msg m = { .flags = flags };
	struct msghdr_abi h;
	struct uio u;
	ssize_t r;

	r = copy_header(t, addr, &h);
	if (r >= 0)
		r = sock_addr_in(t, h.name, h.namelen, &m.addr);
	if (r >= 0)
		r = uio_import(&u, task_um(t), h.iov, h.iovlen, &iov);
	m.data = &u;
	if (r >= 0)
		r = copy_control(t, &h, &m);
	if (r >= 0)
		r = socket_send(s, &m);
	socket_msg_done(&m);
	return r;
}

sysret_t sys_sendmsg(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	int r;
	struct socket *s = socket_get(t, arg_int(a, 0), &f, &r);

	return s ? send_one(t, s, arg_uaddr(a, 1), arg_int(a, 2)) : r;
}

sysret_t sys_sendto(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	struct socket_msg m = { .flags = arg_int(a, 3) };
	struct iovec single;
	struct uio u;
	ssize_t n;
	int r;
	struct socket *s = socket_get(t, arg_int(a, 0), &f, &r);

	if (!s)
		return r;
	uio_init(&u, task_um(t), &single, arg_u64(a, 1),
		 arg_u64(a, 2) < UIO_BYTES_MAX ? arg_u64(a, 2) : UIO_BYTES_MAX);
	m.data = &u;
	if (arg_uaddr(a, 4)) {
		r = sock_addr_in(t, arg_uaddr(a, 4), arg_int(a, 5), &m.addr);
		if (r < 0)
			return r;
	}
	n = socket_send(s, &m);
	socket_msg_done(&m);
	return n;
}

sysret_t sys_sendmmsg(struct task *t, const struct syscall_args *a)
{
	const unsigned int count = arg_uint(a, 2) < MMSG_MAX ? arg_uint(a, 2) : MMSG_MAX;
	AUTO_FILE struct file *f = NULL;
	unsigned int done = 0;
	int error;
	struct socket *s = socket_get(t, arg_int(a, 0), &f, &error);

	if (!s)
		return error;
	for (; done < count; done++) {
		const uaddr_t addr = arg_uaddr(a, 1) + done * sizeof(struct mmsghdr_abi);
		const sysret_t r = send_one(t, s, addr, arg_int(a, 3));
		const uint32_t len = (uint32_t)r;

		if (r < 0)
			return done ? done : r;
		if (user_copy_out(task_um(t), addr + offsetof(struct mmsghdr_abi, len), &len,
				  sizeof(len)) < 0)
			return done ? (sysret_t)done : -EFAULT;
	}
	return done;
}

/* Tell the receiver what came beside the bytes. */
static int report(struct task *t, uaddr_t addr, const struct msghdr_abi *h, struct socket_msg *m)
{
	struct scm_sink sink = { .addr = h->control, .room = h->control ? h->controllen : 0 };
	uint32_t flags;
	int r = 0;

	if (h->name) {
		const int len = (int)m->addr.len;
		const size_t n = len < h->namelen ? (size_t)len : (size_t)h->namelen;

		if (n && user_copy_out(task_um(t), h->name, &m->addr.storage, n) < 0)
			return -EFAULT;
		r = user_copy_out(task_um(t), addr + NAMELEN_OFFSET, &len, sizeof(len));
	}
	if (r >= 0)
		r = scm_copy_out(t, &sink, &m->control);
	if (r >= 0)
		r = scm_install(t, &sink, &m->scm, m->flags & MSG_CMSG_CLOEXEC);
	if (r < 0)
		return r;
	if (sink.truncated)
		m->ret_flags |= MSG_CTRUNC;
	flags = (uint32_t)(m->ret_flags | (m->flags & MSG_CMSG_CLOEXEC));
	if (user_copy_out(task_um(t), addr + CONTROLLEN_OFFSET, &sink.used, sizeof(sink.used)) < 0)
		return -EFAULT;
	return user_copy_out(task_um(t), addr + FLAGS_OFFSET, &flags, sizeof(flags));
}

static sysret_t receive_one(struct task *t, struct socket *s, uaddr_t addr, int flags)
{
	AUTO_FREE struct iovec *iov = NULL;
	struct socket_msg m = { .flags = flags };
	struct msghdr_abi h;
	struct uio u;
	ssize_t r;

	r = copy_header(t, addr, &h);
	if (r >= 0)
		r = uio_import(&u, task_um(t), h.iov, h.iovlen, &iov);
	m.data = &u;
	m.want_addr = h.name;
	m.want_control = true; /* without room it shows as MSG_CTRUNC */
	if (r >= 0)
		r = socket_receive(s, &m);
	if (r >= 0) {
		const int told = report(t, addr, &h, &m);

		r = told < 0 ? told : r;
	}
	socket_msg_done(&m);
	return r;
}

sysret_t sys_recvmsg(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	int r;
	struct socket *s = socket_get(t, arg_int(a, 0), &f, &r);

	return s ? receive_one(t, s, arg_uaddr(a, 1), arg_int(a, 2)) : r;
}

sysret_t sys_recvfrom(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	struct socket_msg m = { .flags = arg_int(a, 3), .want_addr = arg_uaddr(a, 4) };
	struct iovec single;
	struct uio u;
	ssize_t n;
	int r;
	struct socket *s = socket_get(t, arg_int(a, 0), &f, &r);

	if (!s)
		return r;
	uio_init(&u, task_um(t), &single, arg_u64(a, 1),
		 arg_u64(a, 2) < UIO_BYTES_MAX ? arg_u64(a, 2) : UIO_BYTES_MAX);
	m.data = &u;
	n = socket_receive(s, &m);
	if (n >= 0 && arg_uaddr(a, 4)) {
		r = sock_addr_out(t, &m.addr, arg_uaddr(a, 4), arg_uaddr(a, 5));
		if (r < 0)
			n = r;
	}
	socket_msg_done(&m);
	return n;
}

/* The deadline of recvmmsg(2): judged between messages only, as in Linux. */
static int get_deadline(struct task *t, uaddr_t addr, nsec_t *ret)
{
	struct timespec ts;

	*ret = NSEC_NEVER;
	if (!addr)
		return 0;
	if (user_copy_in(task_um(t), &ts, addr, sizeof(ts)) < 0)
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (long)NSEC_PER_SEC)
		return -EINVAL;
	*ret = nsec_add(kclock_monotonic(), timespec_to_nsec(&ts));
	return 0;
}

static int put_rest(struct task *t, uaddr_t addr, nsec_t deadline)
{
	const nsec_t now = kclock_monotonic();
	struct timespec ts;

	if (!addr)
		return 0;
	ts = nsec_to_timespec(deadline > now ? deadline - now : 0);
	return user_copy_out(task_um(t), addr, &ts, sizeof(ts));
}

sysret_t sys_recvmmsg(struct task *t, const struct syscall_args *a)
{
	const unsigned int count = arg_uint(a, 2) < MMSG_MAX ? arg_uint(a, 2) : MMSG_MAX;
	int flags = arg_int(a, 3), error;
	AUTO_FILE struct file *f = NULL;
	unsigned int done = 0;
	nsec_t deadline;
	struct socket *s;
	sysret_t r;

	r = get_deadline(t, arg_uaddr(a, 4), &deadline);
	if (r < 0)
		return r;
	s = socket_get(t, arg_int(a, 0), &f, &error);
	if (!s)
		return error;
	for (; done < count; done++) {
		const uaddr_t addr = arg_uaddr(a, 1) + done * sizeof(struct mmsghdr_abi);
		uint32_t len;

		r = receive_one(t, s, addr, flags & ~MSG_WAITFORONE);
		len = (uint32_t)r;
		if (r >= 0 && user_copy_out(task_um(t), addr + offsetof(struct mmsghdr_abi, len),
					    &len, sizeof(len)) < 0)
			r = -EFAULT;
		if (r < 0)
			break;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (kclock_monotonic() >= deadline) {
			done++;
			break;
		}
	}
	if (put_rest(t, arg_uaddr(a, 4), deadline) < 0)
		return -EFAULT;
	/* An error behind messages is for the next call. */
	if (done && r < 0 && r != -EAGAIN && r != -EFAULT && r > -ERESTARTSYS)
		s->error = (int)-r;
	return done ? done : r;
}
