/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX message queues: mq_open(2), mq_unlink(2), mq_timedsend(2), mq_timedreceive(2),
 * mq_notify(2), mq_getsetattr(2).
 */
#include <fcntl.h>

#include "sentry/core/kclock.h"
#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/net/socket.h"
#include "sentry/syscall/syscall.h"

/* struct sigevent of the kernel's ABI, as far as it counts. */
struct sigevent_abi {
	uint64_t value;
	int32_t signo, notify;
	char pad[48];
};

_Static_assert(sizeof(struct sigevent_abi) == 64, "the kernel's ABI");
_Static_assert(sizeof(struct mq_attr) == 64, "the kernel's ABI");

static int get_name(struct task *t, uaddr_t from, char name[static VFS_PATH_MAX])
{
	const ssize_t n = user_copy_string(task_um(t), name, from, VFS_PATH_MAX);

	return n < 0 ? (int)n : 0;
}

/* A queue's file, or NULL. */
static struct file *get_queue(struct task *t, int fd)
{
	struct file *f = fd_get(t->files, fd);

	if (f && !mqueue_file(f)) {
		file_unref(f);
		return NULL;
	}
	return f;
}

/* abs_timeout is of CLOCK_REALTIME; a null pointer: wait for ever. */
static int get_deadline(struct task *t, uaddr_t from, nsec_t *ret)
{
	struct timespec ts;
	nsec_t when, now;

	*ret = NSEC_NEVER;
	if (!from)
		return 0;
	if (user_copy_in(task_um(t), &ts, from, sizeof(ts)) < 0)
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (long)NSEC_PER_SEC)
		return -EINVAL;
	when = timespec_to_nsec(&ts);
	now = kclock_realtime();
	*ret = nsec_add(kclock_monotonic(), when > now ? when - now : 0);
	return 0;
}

sysret_t sys_mq_open(struct task *t, const struct syscall_args *a)
{
	const int oflag = arg_int(a, 1);
	const uaddr_t attr_at = arg_uaddr(a, 3);
	char name[VFS_PATH_MAX];
	struct mq_attr attr;
	struct file *f;
	int r;

	if (oflag & O_CREAT && attr_at &&
	    user_copy_in(task_um(t), &attr, attr_at, sizeof(attr)) < 0)
		return -EFAULT;
	r = get_name(t, arg_uaddr(a, 0), name);
	if (r == 0)
		r = mqueue_open(t, name, oflag, arg_uint(a, 2),
				oflag & O_CREAT && attr_at ? &attr : NULL, &f);
	if (r < 0)
		return r;
	/* mq_open(3): the descriptor is always close-on-exec. */
	return fd_install(t->files, f, true, task_rlimit(t, RLIMIT_NOFILE));
}

sysret_t sys_mq_unlink(struct task *t, const struct syscall_args *a)
{
	char name[VFS_PATH_MAX];
	const int r = get_name(t, arg_uaddr(a, 0), name);

	return r < 0 ? r : mqueue_unlink(t, name);
}

sysret_t sys_mq_timedsend(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	struct iovec iov;
	struct uio u;
	nsec_t deadline;
	const int r = get_deadline(t, arg_uaddr(a, 4), &deadline);

	if (r < 0)
		return r;
	if (arg_uint(a, 3) >= MQ_PRIORITY_MAX)
		return -EINVAL;
	f = get_queue(t, arg_int(a, 0));
	if (!f)
		return -EBADF;
	if (arg_u64(a, 2) > MQ_HARD_MSGSIZE)
		return -EMSGSIZE;
	uio_init(&u, task_um(t), &iov, arg_uaddr(a, 1), arg_u64(a, 2));
	return mqueue_send(f, &u, arg_uint(a, 3), deadline);
}

sysret_t sys_mq_timedreceive(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	unsigned int priority;
	struct iovec iov;
	struct uio u;
	nsec_t deadline;
	ssize_t n = get_deadline(t, arg_uaddr(a, 4), &deadline);

	if (n < 0)
		return n;
	f = get_queue(t, arg_int(a, 0));
	if (!f)
		return -EBADF;
	uio_init(&u, task_um(t), &iov, arg_uaddr(a, 1), arg_u64(a, 2));
	n = mqueue_receive(f, &u, &priority, deadline);
	if (n >= 0 && arg_uaddr(a, 3) &&
	    user_copy_out(task_um(t), arg_uaddr(a, 3), &priority, sizeof(priority)) < 0)
		return -EFAULT;
	return n;
}

/* SIGEV_THREAD: sigev_signo is the library's netlink socket, sigev_value where its bytes are. */
static int get_thread(struct task *t, const struct sigevent_abi *abi, struct mqueue_thread *ret)
{
	if (user_copy_in(task_um(t), ret->cookie, abi->value, sizeof(ret->cookie)) < 0)
		return -EFAULT;
	ret->socket = fd_get(t->files, abi->signo);
	ret->send = netlink_deliver;
	return ret->socket && netlink_file(ret->socket) ? 0 : -EBADF;
}

sysret_t sys_mq_notify(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	struct sigevent_abi abi = { 0 };
	struct mqueue_thread thread = { 0 };
	struct sigevent event = { 0 };
	const uaddr_t at = arg_uaddr(a, 1);
	int r = 0;

	if (at && user_copy_in(task_um(t), &abi, at, sizeof(abi)) < 0)
		return -EFAULT;
	f = get_queue(t, arg_int(a, 0));
	if (!f)
		return -EBADF;
	event.sigev_value.sival_ptr = (void *)(uintptr_t)abi.value;
	event.sigev_signo = abi.signo;
	event.sigev_notify = abi.notify;
	if (abi.notify == SIGEV_THREAD)
		r = get_thread(t, &abi, &thread);
	if (r == 0)
		r = mqueue_notify(t, f, at ? &event : NULL, &thread);
	file_unref(thread.socket);
	return r;
}

sysret_t sys_mq_getsetattr(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	struct mq_attr new, old;
	int r = 0;

	if (arg_uaddr(a, 1) && user_copy_in(task_um(t), &new, arg_uaddr(a, 1), sizeof(new)) < 0)
		return -EFAULT;
	f = get_queue(t, arg_int(a, 0));
	if (!f)
		return -EBADF;
	mqueue_getattr(f, &old);
	if (arg_uaddr(a, 1))
		r = mqueue_setattr(f, &new);
	if (r == 0 && arg_uaddr(a, 2))
		r = user_copy_out(task_um(t), arg_uaddr(a, 2), &old, sizeof(old));
	return r;
}
