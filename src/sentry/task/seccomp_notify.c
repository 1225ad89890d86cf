/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/seccomp_notify.c - see seccomp_notify.h. */
#include "sentry/task/seccomp_notify.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/fd_table.h"

/* Errnos that mean something in here (core/kerrno.h): no listener's to give. */
#define ERRNO_INTERNAL 512
#define ERRNO_LAST     4095

/* linux/seccomp.h of the build host may be older. */
#ifndef SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR
#define SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR SECCOMP_IOR(2, __u64)
#endif
#define ADDFD_SIZE_MAX 4096u /* of a newer struct seccomp_notif_addfd */

enum request_state {
	REQUEST_NEW,
	REQUEST_SENT, /* somebody has received it */
	REQUEST_DONE,
};

/* On the stack of the fiber that asks. */
struct request {
	struct list_head node; /* of the link */
	struct task *task;
	uint64_t id;
	const struct seccomp_data *data;
	enum request_state state;
	struct waitq changed;
	int64_t value;
	int32_t error;
	uint32_t flags;
};

struct notify_link {
	unsigned int refs;
	bool wait_killable;
	bool file_open, filter_alive;
	uint64_t next_id;
	struct list_head requests;
	struct waitq wq; /* of the file, too */
};

struct listener {
	struct file file;
	struct notify_link *link; /* one reference */
};

static void link_unref(struct notify_link *link)
{
	if (--link->refs == 0)
		free(link);
}

void seccomp_link_end(struct notify_link *link)
{
	if (!link)
		return;
	link->filter_alive = false;
	waitq_wake(&link->wq, WAIT_ALL);
	link_unref(link);
}

bool seccomp_link_open(const struct notify_link *link)
{
	return link && link->file_open;
}

static void finish(struct request *q, int64_t value, int32_t error, uint32_t flags)
{
	q->state = REQUEST_DONE;
	q->value = value;
	q->error = error;
	q->flags = flags;
	waitq_wake(&q->changed, WAIT_ALL);
}

static struct request *find(struct notify_link *link, enum request_state state)
{
	struct request *q;

	list_for_each(q, &link->requests, node)
	{
		if (q->state == state)
			return q;
	}
	return NULL;
}

static struct request *find_id(struct notify_link *link, uint64_t id)
{
	struct request *q;

	list_for_each(q, &link->requests, node)
	{
		if (q->id == id)
			return q;
	}
	return NULL;
}

/* ---- Who asks ---- */

static bool is_dying(const struct task *t)
{
	return t->exiting || t->exec_kill || t->tg->group_exit;
}

/* 0: answered; -ERESTARTSYS. With WAIT_KILLABLE_RECV signals wait once somebody has received it. */
static int await_answer(struct task *t, struct request *q, bool wait_killable)
{
	bool held = false;
	int r;

	for (;;) {
		r = WAIT_EVENT(&q->changed, q->state == REQUEST_DONE);
		if (r == 0 || is_dying(t) || !wait_killable || q->state != REQUEST_SENT)
			break;
		fiber_clear_interrupt(t->fiber);
		held = true;
	}
	if (held)
		fiber_interrupt(t->fiber);
	return r;
}

bool seccomp_ask(struct task *t, struct notify_link *link, const struct seccomp_data *data,
		 int64_t *ret_result)
{
	struct request q = { .task = t, .data = data };
	int r;

	*ret_result = -ENOSYS;
	if (!seccomp_link_open(link))
		return false;
	link->refs++;
	q.id = link->next_id++;
	waitq_init(&q.changed);
	list_add_tail(&q.node, &link->requests);
	waitq_wake(&link->wq, POLLIN | POLLRDNORM);
	r = await_answer(t, &q, link->wait_killable);
	list_del(&q.node);
	/* Who waited for this one looks again. */
	waitq_wake(&link->wq, WAIT_ALL);
	link_unref(link);
	if (r < 0) {
		*ret_result = r;
		return false;
	}
	if (q.flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE)
		return true;
	*ret_result = q.error ? q.error : q.value;
	if (*ret_result <= -ERRNO_INTERNAL && *ret_result >= -ERRNO_LAST)
		*ret_result = -ENOSYS;
	return false;
}

/* ---- Who answers ---- */

static long receive(struct notify_link *link, uint64_t arg, struct user_memory *um)
{
	struct seccomp_notif n, zero = { 0 };
	struct request *q;
	int r;

	if (user_copy_in(um, &n, arg, sizeof(n)) < 0)
		return -EFAULT;
	if (memcmp(&n, &zero, sizeof(n)) != 0)
		return -EINVAL;
	r = WAIT_EVENT(&link->wq, find(link, REQUEST_NEW) || !link->filter_alive);
	if (r < 0)
		return r;
	q = find(link, REQUEST_NEW);
	if (!q)
		return -ENOENT;
	n.id = q->id;
	n.pid = (uint32_t)task_tid(q->task, task_pid_ns(task_current()));
	n.data = *q->data;
	if (user_copy_out(um, arg, &n, sizeof(n)) < 0)
		return -EFAULT;
	/* Copying may have parked. */
	q = find_id(link, n.id);
	if (!q || q->state != REQUEST_NEW)
		return -ENOENT;
	q->state = REQUEST_SENT;
	waitq_wake(&link->wq, POLLOUT | POLLWRNORM);
	return 0;
}

static long answer(struct notify_link *link, uint64_t arg, struct user_memory *um)
{
	struct seccomp_notif_resp resp;
	struct request *q;

	if (user_copy_in(um, &resp, arg, sizeof(resp)) < 0)
		return -EFAULT;
	if (resp.flags & ~(uint32_t)SECCOMP_USER_NOTIF_FLAG_CONTINUE)
		return -EINVAL;
	if (resp.flags && (resp.error || resp.val))
		return -EINVAL;
	q = find_id(link, resp.id);
	if (!q)
		return -ENOENT;
	if (q->state != REQUEST_SENT)
		return -EINPROGRESS;
	finish(q, resp.val, resp.error, resp.flags);
	return 0;
}

static long is_valid(struct notify_link *link, uint64_t arg, struct user_memory *um)
{
	const struct request *q;
	uint64_t id;

	if (user_copy_in(um, &id, arg, sizeof(id)) < 0)
		return -EFAULT;
	q = find_id(link, id);
	return q && q->state == REQUEST_SENT ? 0 : -ENOENT;
}

static int import_addfd(uint64_t arg, size_t size, struct user_memory *um,
			struct seccomp_notif_addfd *ret)
{
	uint8_t rest[64];

	if (size < sizeof(*ret))
		return -EINVAL;
	if (size > ADDFD_SIZE_MAX)
		return -E2BIG;
	if (user_copy_in(um, ret, arg, sizeof(*ret)) < 0)
		return -EFAULT;
	for (size_t at = sizeof(*ret); at < size; at += sizeof(rest)) {
		const size_t n = size - at < sizeof(rest) ? size - at : sizeof(rest);

		if (user_copy_in(um, rest, arg + at, n) < 0)
			return -EFAULT;
		for (size_t i = 0; i < n; i++) {
			if (rest[i])
				return -E2BIG;
		}
	}
	if (ret->newfd_flags & ~(uint32_t)O_CLOEXEC ||
	    ret->flags & ~(uint32_t)(SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND) ||
	    (ret->newfd && !(ret->flags & SECCOMP_ADDFD_FLAG_SETFD)))
		return -EINVAL;
	return 0;
}

/* A file of ours becomes a descriptor of who asks. */
static long add_fd(struct notify_link *link, uint64_t arg, size_t size, struct user_memory *um)
{
	struct seccomp_notif_addfd add;
	struct fd_table *files; /* closing what was there may park: who asks may go meanwhile */
	struct file *f;
	struct request *q;
	long fd = import_addfd(arg, size, um, &add);
	uint64_t limit;
	bool cloexec;

	if (fd < 0)
		return fd;
	f = fd_get(task_current()->files, (int)add.srcfd);
	if (!f)
		return -EBADF;
	q = find_id(link, add.id);
	if (!q || q->state != REQUEST_SENT) {
		file_unref(f);
		return q ? -EINPROGRESS : -ENOENT;
	}
	limit = task_rlimit(q->task, RLIMIT_NOFILE);
	cloexec = add.newfd_flags & O_CLOEXEC;
	files = fd_table_ref(q->task->files);
	if (add.flags & SECCOMP_ADDFD_FLAG_SETFD) {
		fd = fd_replace(files, (int)add.newfd, f, cloexec, limit);
		if (fd == 0)
			fd = (long)add.newfd;
	} else {
		fd = fd_install(files, f, cloexec, limit);
	}
	fd_table_unref(files);
	q = find_id(link, add.id);
	if (fd >= 0 && add.flags & SECCOMP_ADDFD_FLAG_SEND && q && q->state == REQUEST_SENT)
		finish(q, fd, 0, 0);
	return fd;
}

static long listener_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	struct notify_link *link = container_of(f, struct listener, file)->link;

	switch (cmd) {
	case SECCOMP_IOCTL_NOTIF_RECV:
		return receive(link, arg, um);
	case SECCOMP_IOCTL_NOTIF_SEND:
		return answer(link, arg, um);
	case SECCOMP_IOCTL_NOTIF_ID_VALID:
	case SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR:
		return is_valid(link, arg, um);
	default:
		break;
	}
	/* Its size may grow. */
	if ((cmd & ~(unsigned int)IOCSIZE_MASK) ==
	    (SECCOMP_IOCTL_NOTIF_ADDFD & ~(unsigned int)IOCSIZE_MASK))
		return add_fd(link, arg, (cmd & IOCSIZE_MASK) >> IOCSIZE_SHIFT, um);
	return -EINVAL;
}

static uint32_t listener_poll(struct file *f)
{
	struct notify_link *link = container_of(f, struct listener, file)->link;

	return (find(link, REQUEST_NEW) ? POLLIN | POLLRDNORM : 0) |
	       (find(link, REQUEST_SENT) ? POLLOUT | POLLWRNORM : 0) |
	       (link->filter_alive ? 0 : POLLHUP);
}

/* Nobody will answer: as without a listener. */
static void listener_release(struct file *f)
{
	struct listener *l = container_of(f, struct listener, file);
	struct request *q;

	l->link->file_open = false;
	list_for_each(q, &l->link->requests, node)
	{
		if (q->state != REQUEST_DONE)
			finish(q, 0, -ENOSYS, 0);
	}
	file_fini(f);
	link_unref(l->link);
	free(l);
}

static const struct file_ops listener_ops = {
	.ioctl = listener_ioctl,
	.poll = listener_poll,
	.release = listener_release,
};

int seccomp_listener_new(bool wait_killable, struct file **ret, struct notify_link **ret_link)
{
	struct notify_link *link = calloc(1, sizeof(*link));
	struct listener *l = calloc(1, sizeof(*l));
	int r = l && link ? anon_file_init(&l->file, &listener_ops, "seccomp notify", NULL, O_RDWR)
			  : -ENOMEM;

	if (r < 0) {
		free(link);
		free(l);
		return r;
	}
	*link = (struct notify_link){ .refs = 2,
				      .wait_killable = wait_killable,
				      .file_open = true,
				      .filter_alive = true,
				      .next_id = 1 };
	list_init(&link->requests);
	waitq_init(&link->wq);
	l->link = link;
	l->file.wq = &link->wq;
	*ret = &l->file;
	*ret_link = link;
	return 0;
}
