/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/mm/msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#include "sentry/core/kclock.h"

static struct msg_queue *to_queue(struct ipc_object *object)
{
	return container_of(object, struct msg_queue, object);
}

static int64_t now_seconds(void)
{
	return (int64_t)(kclock_realtime() / NSEC_PER_SEC);
}

void msg_free_object(struct ipc_object *object)
{
	struct msg_queue *q = to_queue(object);
	struct message *m, *next;

	list_for_each_safe(m, next, &q->messages, node)
	{
		list_del(&m->node);
		free(m);
	}
	free(q);
}

int msg_get(struct ipc_ns *ns, int key, int flags, const struct cred *cred)
{
	struct ipc_object *object;
	struct msg_queue *q;
	bool make;
	int r = ipc_get(&ns->msg, key, flags, cred, &object, &make);

	if (r < 0 || !make)
		return r;
	if (ns->msg.used >= ns->limits.msg_mni)
		return -ENOSPC;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	list_init(&q->messages);
	waitq_init(&q->senders);
	waitq_init(&q->receivers);
	q->bytes_max = ns->limits.msg_mnb;
	q->ctime = now_seconds();
	r = ipc_add(&ns->msg, &q->object, key, (uint32_t)flags, cred);
	if (r < 0)
		free(q);
	return r;
}

void msg_remove(struct ipc_ns *ns, struct msg_queue *q)
{
	q->object.refs++;
	ipc_remove(&ns->msg, &q->object);
	waitq_wake(&q->senders, WAIT_ALL);
	waitq_wake(&q->receivers, WAIT_ALL);
	ipc_unref(&ns->msg, &q->object);
}

static bool has_room(const struct msg_queue *q, size_t len)
{
	return q->bytes + len <= q->bytes_max && q->count + 1 <= q->bytes_max;
}

static int send_locked(struct msg_queue *q, struct message **message, int flags, int pid)
{
	struct message *m = *message;
	int r = 0;

	if (!has_room(q, m->len)) {
		if (flags & IPC_NOWAIT)
			return -EAGAIN;
		r = WAIT_EVENT(&q->senders, q->object.removed || has_room(q, m->len));
	}
	if (q->object.removed)
		return -EIDRM;
	if (r < 0)
		return -EINTR; /* msgsnd(2) is never restarted (signal(7)) */
	*message = NULL;
	list_add_tail(&m->node, &q->messages);
	q->bytes += m->len;
	q->count++;
	q->lspid = pid;
	q->stime = now_seconds();
	waitq_wake(&q->receivers, WAIT_ALL);
	return 0;
}

int msg_send(struct ipc_ns *ns, int id, struct message **message, int flags,
	     const struct cred *cred, int pid)
{
	struct ipc_object *object;
	int r = ipc_find(&ns->msg, id, &object);

	if (r >= 0)
		r = ipc_permission(object, cred, 0200);
	if (r < 0)
		return r;
	object->refs++;
	r = send_locked(to_queue(object), message, flags, pid);
	ipc_unref(&ns->msg, object);
	return r;
}

/* The message that msgrcv(2)'s type selects, or NULL. */
static struct message *select_message(const struct msg_queue *q, int64_t type, int flags)
{
	struct message *m, *best = NULL;
	int64_t left = type;

	list_for_each(m, &q->messages, node)
	{
		if (flags & MSG_COPY) {
			if (left-- == 0)
				return m;
		} else if (!type) {
			return m;
		} else if (type > 0) {
			if ((m->type == type) == !(flags & MSG_EXCEPT))
				return m;
		} else if (m->type <= -type && (!best || m->type < best->type)) {
			best = m;
		}
	}
	return best;
}

static int copy_message(const struct message *m, struct message **ret)
{
	*ret = malloc(sizeof(*m) + m->len);
	if (!*ret)
		return -ENOMEM;
	memcpy(*ret, m, sizeof(*m) + m->len);
	return 0;
}

static int receive_locked(struct msg_queue *q, int64_t type, size_t max, int flags, int pid,
			  struct message **ret)
{
	struct message *m = select_message(q, type, flags);
	int r = 0;

	if (!m) {
		if (flags & IPC_NOWAIT)
			return -ENOMSG;
		r = WAIT_EVENT(&q->receivers,
			       q->object.removed || (m = select_message(q, type, flags)));
	}
	if (q->object.removed)
		return -EIDRM;
	if (r < 0)
		return -EINTR;
	if (m->len > max && !(flags & MSG_NOERROR))
		return -E2BIG;
	if (flags & MSG_COPY)
		return copy_message(m, ret);
	list_del(&m->node);
	q->bytes -= m->len;
	q->count--;
	q->lrpid = pid;
	q->rtime = now_seconds();
	waitq_wake(&q->senders, WAIT_ALL);
	*ret = m;
	return 0;
}

int msg_receive(struct ipc_ns *ns, int id, int64_t type, size_t max, int flags,
		const struct cred *cred, int pid, struct message **ret)
{
	struct ipc_object *object;
	int r;

	if (flags & MSG_COPY && (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT)))
		return -EINVAL;
	r = ipc_find(&ns->msg, id, &object);
	if (r >= 0)
		r = ipc_permission(object, cred, 0400);
	if (r < 0)
		return r;
	object->refs++;
	r = receive_locked(to_queue(object), type, max, flags, pid, ret);
	ipc_unref(&ns->msg, object);
	return r;
}
