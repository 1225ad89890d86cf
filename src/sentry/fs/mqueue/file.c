/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/mqueue/file.c - open queues: messages in order of priority, waiting, notification
 * (mq_overview(7)), and the text that read(2) gives.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/fs/mqueue/internal.h"

#define STATUS_MAX 128u

static struct mqueue *queue_of(const struct file *f)
{
	return mq_inode_of(f->inode)->queue;
}

static ssize_t mq_read(struct file *f, struct uio *u, uint64_t *pos)
{
	const struct mqueue *q = queue_of(f);
	const struct task *t = task_current();
	const bool by_signal = q->notify && q->event.sigev_notify == SIGEV_SIGNAL;
	char text[STATUS_MAX];
	ssize_t n;
	int len;

	len = snprintf(text, sizeof(text), "QSIZE:%-10zu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
		       q->bytes, q->notify ? q->event.sigev_notify : 0,
		       by_signal ? q->event.sigev_signo : 0,
		       q->notify && t ? pid_nr(q->notify, task_pid_ns(t)) : 0);
	if (*pos >= (uint64_t)len)
		return 0;
	n = uio_put(u, text + *pos, (size_t)len - *pos);
	if (n > 0)
		*pos += (uint64_t)n;
	return n;
}

static uint32_t mq_poll(struct file *f)
{
	const struct mqueue *q = queue_of(f);

	return (q->count ? POLLIN | POLLRDNORM : 0) |
	       (q->count < q->max_messages ? POLLOUT | POLLWRNORM : 0);
}

/* mq_close(3) ends the registration of its process. */
static int mq_flush(struct file *f)
{
	const struct task *t = task_current();
	struct mqueue *q = queue_of(f);

	if (t && q->notify == t->tg->pid)
		mqueue_drop_notify(q);
	return 0;
}

static void mq_release(struct file *f)
{
	file_fini(f);
	free(f);
}

static const struct file_ops mq_ops = {
	.read = mq_read,
	.poll = mq_poll,
	.flush = mq_flush,
	.release = mq_release,
};

bool mqueue_file(const struct file *f)
{
	return f->ops == &mq_ops;
}

int mqueue_open_inode(struct inode *inode, uint32_t flags, struct file **ret)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	file_init(f, &mq_ops, NULL, NULL, flags);
	f->wq = &mq_inode_of(inode)->queue->wq;
	*ret = f;
	return 0;
}

/* A message came into the empty queue and nobody waits: tell, once. */
static void tell(struct mqueue *q)
{
	const struct task *sender = task_current();
	struct thread_group *tg = q->notify ? q->notify->tg : NULL;
	siginfo_t info = { .si_signo = q->event.sigev_signo, .si_code = SI_MESGQ };

	if (tg && q->event.sigev_notify == SIGEV_SIGNAL && q->event.sigev_signo) {
		info.si_value = q->event.sigev_value;
		info.si_pid = sender ? task_tgid(sender, pid_ns_of(q->notify)) : 0;
		info.si_uid = sender ? sender->cred->uid : 0;
		(void)signal_send_group(tg, q->event.sigev_signo, &info);
	}
	if (tg && q->thread.socket) {
		AUTO_FILE struct file *socket = TAKE_PTR(q->thread.socket);

		q->thread.cookie[MQUEUE_COOKIE_LEN - 1] = MQUEUE_WOKEN_UP;
		q->thread.send(socket, q->thread.cookie, MQUEUE_COOKIE_LEN);
	}
	mqueue_drop_notify(q);
}

static void insert(struct mqueue *q, struct mq_message *m)
{
	struct mq_message *other;

	list_for_each(other, &q->messages, node) if (other->priority < m->priority) break;
	list_insert_between(&m->node, other->node.prev, &other->node);
	q->count++;
	q->bytes += m->len;
	q->mtime = q->ctime = kclock_realtime();
	if (q->count == 1 && q->receivers == 0 && q->notify)
		tell(q);
	waitq_wake(&q->wq, POLLIN | POLLRDNORM);
}

int mqueue_send(struct file *f, struct uio *u, unsigned int priority, nsec_t deadline)
{
	struct mqueue *q = queue_of(f);
	struct mq_message *m;
	const size_t len = u->left;
	ssize_t n;
	int r = 0;

	if (!(f->mode & FMODE_WRITE))
		return -EBADF;
	if (len > q->message_size)
		return -EMSGSIZE;
	m = malloc(sizeof(*m) + len);
	if (!m)
		return -ENOMEM;
	list_init(&m->node);
	m->len = len;
	m->priority = priority;
	n = len ? uio_get(u, m->text, len) : 0;
	if (n < 0 || (size_t)n != len)
		r = -EFAULT;
	else if (q->count >= q->max_messages && f->flags & O_NONBLOCK)
		r = -EAGAIN;
	else if (q->count >= q->max_messages)
		r = WAIT_EVENT_UNTIL(&q->wq, q->count < q->max_messages, deadline);
	if (r < 0) {
		free(m);
		return r;
	}
	insert(q, m);
	return 0;
}

static int wait_message(struct mqueue *q, nsec_t deadline)
{
	int r;

	q->receivers++;
	r = WAIT_EVENT_UNTIL(&q->wq, q->count > 0, deadline);
	q->receivers--;
	return r;
}

ssize_t mqueue_receive(struct file *f, struct uio *u, unsigned int *ret_priority, nsec_t deadline)
{
	struct mqueue *q = queue_of(f);
	struct mq_message *m;
	ssize_t n;
	int r = 0;

	if (!(f->mode & FMODE_READ))
		return -EBADF;
	if (u->left < q->message_size)
		return -EMSGSIZE;
	if (q->count == 0)
		r = f->flags & O_NONBLOCK ? -EAGAIN : wait_message(q, deadline);
	if (r < 0)
		return r;
	m = list_first(&q->messages, struct mq_message, node);
	list_del(&m->node);
	q->count--;
	q->bytes -= m->len;
	q->atime = q->ctime = kclock_realtime();
	waitq_wake(&q->wq, POLLOUT | POLLWRNORM);
	n = m->len ? uio_put(u, m->text, m->len) : 0;
	if (n >= 0 && (size_t)n != m->len)
		n = -EFAULT;
	*ret_priority = m->priority;
	free(m);
	return n;
}

int mqueue_notify(struct task *t, struct file *f, const struct sigevent *event,
		  const struct mqueue_thread *thread)
{
	struct mqueue *q = queue_of(f);

	if (!event) {
		if (q->notify == t->tg->pid)
			mqueue_drop_notify(q);
		return 0;
	}
	if (event->sigev_notify != SIGEV_NONE && event->sigev_notify != SIGEV_SIGNAL &&
	    event->sigev_notify != SIGEV_THREAD)
		return -EINVAL;
	if (event->sigev_notify == SIGEV_SIGNAL &&
	    (event->sigev_signo < 0 || event->sigev_signo > KNSIG))
		return -EINVAL;
	/* A process that ended without closing has no claim any more. */
	if (q->notify && !q->notify->tg)
		mqueue_drop_notify(q);
	if (q->notify)
		return -EBUSY;
	q->notify = pid_ref(t->tg->pid);
	q->event = *event;
	if (event->sigev_notify == SIGEV_THREAD) {
		q->thread = *thread;
		file_ref(q->thread.socket);
	}
	return 0;
}

void mqueue_getattr(struct file *f, struct mq_attr *ret)
{
	const struct mqueue *q = queue_of(f);

	memset(ret, 0, sizeof(*ret));
	ret->mq_flags = f->flags & O_NONBLOCK;
	ret->mq_maxmsg = q->max_messages;
	ret->mq_msgsize = (long)q->message_size;
	ret->mq_curmsgs = q->count;
}

int mqueue_setattr(struct file *f, const struct mq_attr *attr)
{
	if (attr->mq_flags & ~(long)O_NONBLOCK)
		return -EINVAL;
	f->flags = (f->flags & ~(uint32_t)O_NONBLOCK) | (uint32_t)attr->mq_flags;
	return 0;
}
