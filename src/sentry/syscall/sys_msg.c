/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SysV message queues: msgget(2), msgsnd(2), msgrcv(2), msgctl(2).
 */
#include <linux/capability.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#include "sentry/core/kclock.h"
#include "sentry/mm/msg.h"
#include "sentry/syscall/syscall.h"

#define MSG_STAT_ANY_CMD 13

/* struct msqid64_ds of the kernel's ABI. */
struct msqid_abi {
	struct ipc_perm_abi perm;
	int64_t stime, rtime, ctime;
	uint64_t cbytes, qnum, qbytes;
	int32_t lspid, lrpid;
	uint64_t unused[2];
};

struct msginfo_abi {
	int32_t msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql;
	uint16_t msgseg;
};

static int own_pid(struct task *t)
{
	return task_tgid(t, task_pid_ns(t));
}

sysret_t sys_msgget(struct task *t, const struct syscall_args *a)
{
	return msg_get(t->ns->ipc, arg_int(a, 0), arg_int(a, 1), t->cred);
}

sysret_t sys_msgsnd(struct task *t, const struct syscall_args *a)
{
	AUTO_FREE struct message *message = NULL;
	const uint64_t len = arg_u64(a, 2);
	int64_t type;

	if (len > t->ns->ipc->limits.msg_max || arg_int(a, 0) < 0)
		return -EINVAL;
	if (user_copy_in(task_um(t), &type, arg_uaddr(a, 1), sizeof(type)) < 0)
		return -EFAULT;
	if (type < 1)
		return -EINVAL;
	message = malloc(sizeof(*message) + len);
	if (!message)
		return -ENOMEM;
	message->type = type;
	message->len = len;
	if (user_copy_in(task_um(t), message->text, arg_uaddr(a, 1) + sizeof(type), len) < 0)
		return -EFAULT;
	return msg_send(t->ns->ipc, arg_int(a, 0), &message, arg_int(a, 3), t->cred, own_pid(t));
}

sysret_t sys_msgrcv(struct task *t, const struct syscall_args *a)
{
	AUTO_FREE struct message *message = NULL;
	const int64_t max = arg_i64(a, 2);
	size_t len;
	int r;

	if (max < 0 || arg_int(a, 0) < 0)
		return -EINVAL;
	r = msg_receive(t->ns->ipc, arg_int(a, 0), arg_i64(a, 3), (size_t)max, arg_int(a, 4),
			t->cred, own_pid(t), &message);
	if (r < 0)
		return r;
	len = message->len < (size_t)max ? message->len : (size_t)max;
	if (user_copy_out(task_um(t), arg_uaddr(a, 1), &message->type, sizeof(message->type)) < 0 ||
	    user_copy_out(task_um(t), arg_uaddr(a, 1) + sizeof(message->type), message->text, len) <
		    0)
		return -EFAULT;
	return (sysret_t)len;
}

static sysret_t msg_stat(struct task *t, int id, int cmd, uaddr_t buf)
{
	struct ipc_object *object = NULL;
	const struct msg_queue *q;
	struct msqid_abi ds;
	int found, r = 0;

	if (cmd == IPC_STAT)
		r = ipc_find(&t->ns->ipc->msg, id, &object);
	else
		object = ipc_at(&t->ns->ipc->msg, (size_t)id);
	if (r < 0 || !object)
		return r < 0 ? r : -EINVAL;
	if (cmd != MSG_STAT_ANY_CMD)
		r = ipc_permission(object, t->cred, 0400);
	if (r < 0)
		return r;
	q = container_of(object, struct msg_queue, object);
	ds = (struct msqid_abi){
		.stime = q->stime,
		.rtime = q->rtime,
		.ctime = q->ctime,
		.cbytes = q->bytes,
		.qnum = q->count,
		.qbytes = q->bytes_max,
		.lspid = q->lspid,
		.lrpid = q->lrpid,
	};
	ipc_perm_out(object, task_current()->cred, &ds.perm);
	found = object->id; /* the queue may go while the copy waits */
	r = user_copy_out(task_um(t), buf, &ds, sizeof(ds));
	if (r < 0)
		return r;
	return cmd == IPC_STAT ? 0 : found;
}

static sysret_t msg_set(struct task *t, int id, uaddr_t buf)
{
	struct ipc_object *object;
	struct msg_queue *q;
	struct msqid_abi ds;
	int r = user_copy_in(task_um(t), &ds, buf, sizeof(ds));

	if (r >= 0)
		r = ipc_find(&t->ns->ipc->msg, id, &object);
	if (r >= 0)
		r = ipc_owner(object, t->cred);
	if (r < 0)
		return r;
	if (ds.qbytes > t->ns->ipc->limits.msg_mnb && !task_capable(t, CAP_SYS_RESOURCE))
		return -EPERM;
	q = container_of(object, struct msg_queue, object);
	ipc_perm_set(object, t->cred, &ds.perm);
	q->bytes_max = ds.qbytes;
	q->ctime = (int64_t)(kclock_realtime() / NSEC_PER_SEC);
	waitq_wake(&q->senders, WAIT_ALL);
	return 0;
}

static sysret_t msg_info(struct task *t, int cmd, uaddr_t buf)
{
	const struct ipc_table *table = &t->ns->ipc->msg;
	const struct ipc_limits *limits = &t->ns->ipc->limits;
	struct msginfo_abi info = {
		.msgpool = (int)(limits->msg_mni * limits->msg_mnb / 1024),
		.msgmap = (int)limits->msg_mnb,
		.msgmax = (int)limits->msg_max,
		.msgmnb = (int)limits->msg_mnb,
		.msgmni = (int)limits->msg_mni,
		.msgssz = 16,
		.msgtql = (int)limits->msg_mnb,
		.msgseg = 0xffff,
	};
	uint64_t bytes = 0, count = 0;
	int highest = 0;

	for (size_t i = 0; i < table->len; i++) {
		const struct msg_queue *q;

		if (!table->slots[i])
			continue;
		highest = (int)i;
		q = container_of(table->slots[i], struct msg_queue, object);
		bytes += q->bytes;
		count += q->count;
	}
	if (cmd == MSG_INFO) {
		info.msgpool = (int32_t)table->used;
		info.msgmap = (int32_t)count;
		info.msgtql = (int32_t)bytes;
	}
	if (user_copy_out(task_um(t), buf, &info, sizeof(info)) < 0)
		return -EFAULT;
	return highest;
}

sysret_t sys_msgctl(struct task *t, const struct syscall_args *a)
{
	const int id = arg_int(a, 0), cmd = arg_int(a, 1);
	struct ipc_object *object;
	int r;

	if (id < 0 || cmd < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case MSG_INFO:
		return msg_info(t, cmd, arg_uaddr(a, 2));
	case IPC_STAT:
	case MSG_STAT:
	case MSG_STAT_ANY_CMD:
		return msg_stat(t, id, cmd, arg_uaddr(a, 2));
	case IPC_SET:
		return msg_set(t, id, arg_uaddr(a, 2));
	case IPC_RMID:
		r = ipc_find(&t->ns->ipc->msg, id, &object);
		if (r >= 0)
			r = ipc_owner(object, t->cred);
		if (r >= 0)
			msg_remove(t->ns->ipc, container_of(object, struct msg_queue, object));
		return r;
	default:
		return -EINVAL;
	}
}
