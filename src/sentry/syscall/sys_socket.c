/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets but for their data: socket(2), socketpair(2), bind(2), listen(2), accept(2), connect(2),
 * names, options, shutdown(2).
 */
#include "sentry/net/socket.h"

#include <string.h>

#include "sentry/syscall/event.h"
#include "sentry/syscall/socket_user.h"
#include "sentry/syscall/syscall.h"

#define TYPE_MASK    0xf
#define OPTION_MAX   (64u << 10) /* bytes of an option's value */
#define OPTION_SMALL 256

struct socket *socket_get(struct task *t, int fd, struct file **ret_file, int *ret_error)
{
	struct file *f = fd_get(t->files, fd);
	struct socket *s = socket_from_file(f);

	*ret_error = f ? -ENOTSOCK : -EBADF;
	if (!s) {
		file_unref(f);
		return NULL;
	}
	*ret_file = f;
	return s;
}

int sock_addr_in(struct task *t, uaddr_t addr, int64_t len, struct sock_addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (len < 0 || len > (int64_t)sizeof(ret->storage))
		return -EINVAL;
	if (len && user_copy_in(task_um(t), &ret->storage, addr, (size_t)len) < 0)
		return -EFAULT;
	ret->len = (socklen_t)len;
	return 0;
}

int sock_addr_out(struct task *t, const struct sock_addr *from, uaddr_t addr, uaddr_t len_addr)
{
	int len;
	size_t n;

	if (user_copy_in(task_um(t), &len, len_addr, sizeof(len)) < 0)
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	n = (size_t)len < from->len ? (size_t)len : from->len;
	if (n && user_copy_out(task_um(t), addr, &from->storage, n) < 0)
		return -EFAULT;
	len = (int)from->len;
	return user_copy_out(task_um(t), len_addr, &len, sizeof(len));
}

static int install(struct task *t, struct socket *s, int flags)
{
	return fd_install(t->files, &s->file, flags & SOCK_CLOEXEC, task_rlimit(t, RLIMIT_NOFILE));
}

sysret_t sys_socket(struct task *t, const struct syscall_args *a)
{
	const int type = arg_int(a, 1), flags = type & ~TYPE_MASK;
	struct socket *s;
	int r;

	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	r = socket_create(t->ns->net, arg_int(a, 0), type & TYPE_MASK, arg_int(a, 2),
			  (uint32_t)flags, &s);
	return r < 0 ? r : install(t, s, flags);
}

sysret_t sys_socketpair(struct task *t, const struct syscall_args *a)
{
	const int family = arg_int(a, 0), type = arg_int(a, 1), flags = type & ~TYPE_MASK;
	struct socket *x, *y = NULL;
	int fds[2], r;

	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	r = socket_create(t->ns->net, family, type & TYPE_MASK, arg_int(a, 2), (uint32_t)flags, &x);
	if (r < 0)
		return r;
	r = socket_create(t->ns->net, family, type & TYPE_MASK, arg_int(a, 2), (uint32_t)flags, &y);
	if (r >= 0)
		r = x->ops->pair ? x->ops->pair(x, y) : -EOPNOTSUPP;
	if (r < 0) {
		file_unref(&x->file);
		file_unref(y ? &y->file : NULL);
		return r;
	}
	fds[0] = install(t, x, flags);
	fds[1] = fds[0] < 0 ? -EMFILE : install(t, y, flags);
	if (fds[0] < 0)
		file_unref(&y->file);
	if (fds[0] >= 0 && fds[1] >= 0)
		r = user_copy_out(task_um(t), arg_uaddr(a, 3), fds, sizeof(fds));
	else
		r = fds[0] < 0 ? fds[0] : fds[1];
	if (r < 0 && fds[0] >= 0)
		(void)fd_close(t->files, fds[0], t->files);
	if (r < 0 && fds[0] >= 0 && fds[1] >= 0)
		(void)fd_close(t->files, fds[1], t->files);
	return r;
}

sysret_t sys_bind(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	struct sock_addr addr;
	int r;
	struct socket *s = socket_get(t, arg_int(a, 0), &f, &r);

	if (!s)
		return r;
	r = sock_addr_in(t, arg_uaddr(a, 1), arg_int(a, 2), &addr);
	if (r < 0)
		return r;
	r = s->ops->bind ? s->ops->bind(s, &addr) : -EOPNOTSUPP;
	if (event_wanted(EVENT_bind))
		event_address(t, EVENT_bind, arg_int(a, 0), &addr, r);
	return r;
}

sysret_t sys_listen(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	int r;
	struct socket *s = socket_get(t, arg_int(a, 0), &f, &r);

	if (!s)
		return r;
	return s->ops->listen ? s->ops->listen(s, arg_int(a, 1)) : -EOPNOTSUPP;
}

sysret_t sys_connect(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	struct sock_addr addr;
	int r;
	struct socket *s = socket_get(t, arg_int(a, 0), &f, &r);

	if (!s)
		return r;
	r = sock_addr_in(t, arg_uaddr(a, 1), arg_int(a, 2), &addr);
	if (r < 0)
		return r;
	r = s->ops->connect ? s->ops->connect(s, &addr, f->flags & O_NONBLOCK) : -EOPNOTSUPP;
	if (event_wanted(EVENT_connect))
		event_address(t, EVENT_connect, arg_int(a, 0), &addr, r);
	return r;
}

static sysret_t accept_flags(struct task *t, const struct syscall_args *a, int flags)
{
	AUTO_FILE struct file *f = NULL;
	AUTO_FILE struct file *accepted = NULL;
	struct socket *s, *fresh;
	struct sock_addr addr;
	int fd, r;

	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	s = socket_get(t, arg_int(a, 0), &f, &r);
	if (!s)
		return r;
	fd = fd_reserve(t->files, 0, task_rlimit(t, RLIMIT_NOFILE));
	if (fd < 0)
		return fd;
	r = s->ops->accept ? s->ops->accept(s, f->flags & O_NONBLOCK, &fresh) : -EOPNOTSUPP;
	if (r >= 0) {
		accepted = &fresh->file;
		if (flags & SOCK_NONBLOCK)
			accepted->flags |= O_NONBLOCK;
		if (arg_uaddr(a, 1)) {
			memset(&addr, 0, sizeof(addr));
			r = fresh->ops->getname(fresh, true, &addr);
			if (r == -ENOTCONN)
				r = 0; /* reset already: the first read says so */
			if (r >= 0)
				r = sock_addr_out(t, &addr, arg_uaddr(a, 1), arg_uaddr(a, 2));
		}
	}
	if (r < 0) {
		fd_release(t->files, fd);
		return r;
	}
	fd_publish(t->files, fd, TAKE_PTR(accepted), flags & SOCK_CLOEXEC);
	return fd;
}

sysret_t sys_accept(struct task *t, const struct syscall_args *a)
{
	return accept_flags(t, a, 0);
}

sysret_t sys_accept4(struct task *t, const struct syscall_args *a)
{
	return accept_flags(t, a, arg_int(a, 3));
}

static sysret_t get_name(struct task *t, const struct syscall_args *a, bool peer)
{
	AUTO_FILE struct file *f = NULL;
	struct sock_addr addr = { 0 };
	int r;
	struct socket *s = socket_get(t, arg_int(a, 0), &f, &r);

	if (!s)
		return r;
	r = s->ops->getname(s, peer, &addr);
	return r < 0 ? r : sock_addr_out(t, &addr, arg_uaddr(a, 1), arg_uaddr(a, 2));
}

sysret_t sys_getsockname(struct task *t, const struct syscall_args *a)
{
	return get_name(t, a, false);
}

sysret_t sys_getpeername(struct task *t, const struct syscall_args *a)
{
	return get_name(t, a, true);
}

sysret_t sys_shutdown(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	const int how = arg_int(a, 1);
	int r;
	struct socket *s = socket_get(t, arg_int(a, 0), &f, &r);

	if (!s)
		return r;
	if (how < SHUT_RD || how > SHUT_RDWR)
		return -EINVAL;
	return s->ops->shutdown ? s->ops->shutdown(s, how) : -EOPNOTSUPP;
}

sysret_t sys_setsockopt(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	AUTO_FREE uint8_t *value = NULL;
	const int len = arg_int(a, 4);
	int r;
	struct socket *s = socket_get(t, arg_int(a, 0), &f, &r);

	if (!s)
		return r;
	if (len < 0 || (unsigned int)len > OPTION_MAX)
		return -EINVAL;
	/* Families read whole structures: what is missing reads as zeros. */
	value = calloc(1, (size_t)len + OPTION_SMALL);
	if (!value)
		return -ENOMEM;
	if (len && user_copy_in(task_um(t), value, arg_uaddr(a, 3), (size_t)len) < 0)
		return -EFAULT;
	return socket_setsockopt(s, arg_int(a, 1), arg_int(a, 2), value, (size_t)len);
}

sysret_t sys_getsockopt(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	AUTO_FREE uint8_t *value = NULL;
	size_t want;
	int len, r;
	struct socket *s = socket_get(t, arg_int(a, 0), &f, &r);

	if (!s)
		return r;
	if (user_copy_in(task_um(t), &len, arg_uaddr(a, 4), sizeof(len)) < 0)
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	want = (unsigned int)len < OPTION_MAX ? (size_t)len : OPTION_MAX;
	value = calloc(1, want + OPTION_SMALL);
	if (!value)
		return -ENOMEM;
	r = socket_getsockopt(s, arg_int(a, 1), arg_int(a, 2), value, &want);
	if (r == -ERANGE) { /* SO_PEERGROUPS tells how much room it needs */
		len = (int)want;
		return user_copy_out(task_um(t), arg_uaddr(a, 4), &len, sizeof(len)) < 0 ? -EFAULT
											 : r;
	}
	if (r < 0)
		return r;
	len = (int)want;
	if (want && user_copy_out(task_um(t), arg_uaddr(a, 3), value, want) < 0)
		return -EFAULT;
	return user_copy_out(task_um(t), arg_uaddr(a, 4), &len, sizeof(len));
}
