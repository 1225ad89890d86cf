/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SysV semaphores: semget(2), semop(2), semtimedop(2), semctl(2).
 */
#include <sys/ipc.h>
#include <sys/sem.h>

#include "sentry/core/kclock.h"
#include "sentry/mm/sem.h"
#include "sentry/syscall/syscall.h"

#define SEM_STAT_ANY_CMD 20

/* struct semid64_ds of the kernel's ABI, x86-64. */
struct semid_abi {
	struct ipc_perm_abi perm;
	int64_t otime;
	uint64_t unused1;
	int64_t ctime;
	uint64_t unused2, nsems, unused3, unused4;
};

struct seminfo_abi {
	int32_t semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem;
};

static int own_pid(struct task *t)
{
	return task_tgid(t, task_pid_ns(t));
}

sysret_t sys_semget(struct task *t, const struct syscall_args *a)
{
	return sem_get(t->ns->ipc, arg_int(a, 0), arg_int(a, 1), arg_int(a, 2), t->cred);
}

static sysret_t operate(struct task *t, const struct syscall_args *a, nsec_t deadline)
{
	AUTO_FREE struct sem_op *ops = NULL;
	const uint64_t count = (uint32_t)arg_u64(a, 2);

	if (!count || arg_int(a, 0) < 0)
		return -EINVAL;
	if (count > t->ns->ipc->limits.sem[2])
		return -E2BIG;
	ops = calloc(count, sizeof(*ops));
	if (!ops)
		return -ENOMEM;
	if (user_copy_in(task_um(t), ops, arg_uaddr(a, 1), count * sizeof(*ops)) < 0)
		return -EFAULT;
	return sem_operate(t->ns->ipc, arg_int(a, 0), ops, count, deadline, t->cred, own_pid(t),
			   &t->tg->sem_undo);
}

sysret_t sys_semop(struct task *t, const struct syscall_args *a)
{
	return operate(t, a, NSEC_NEVER);
}

sysret_t sys_semtimedop(struct task *t, const struct syscall_args *a)
{
	struct timespec ts;

	if (!arg_uaddr(a, 3))
		return operate(t, a, NSEC_NEVER);
	if (user_copy_in(task_um(t), &ts, arg_uaddr(a, 3), sizeof(ts)) < 0)
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (long)NSEC_PER_SEC)
		return -EINVAL;
	return operate(t, a, nsec_add(kclock_monotonic(), timespec_to_nsec(&ts)));
}

static sysret_t sem_stat(struct task *t, int id, int cmd, uaddr_t buf)
{
	const struct ipc_table *table = &t->ns->ipc->sem;
	struct ipc_object *object = NULL;
	const struct sem_set *set;
	struct semid_abi ds;
	int r = 0;

	if (cmd == IPC_STAT)
		r = ipc_find(&t->ns->ipc->sem, id, &object);
	else
		object = ipc_at(table, (size_t)id);
	if (r < 0 || !object)
		return r < 0 ? r : -EINVAL;
	if (cmd != SEM_STAT_ANY_CMD)
		r = ipc_permission(object, t->cred, 0400);
	if (r < 0)
		return r;
	set = container_of(object, struct sem_set, object);
	ds = (struct semid_abi){ .otime = set->otime, .ctime = set->ctime, .nsems = set->count };
	ipc_perm_out(object, task_current()->cred, &ds.perm);
	r = user_copy_out(task_um(t), buf, &ds, sizeof(ds));
	if (r < 0)
		return r;
	return cmd == IPC_STAT ? 0 : object->id;
}

static sysret_t sem_info(struct task *t, int cmd, uaddr_t buf)
{
	const struct ipc_table *table = &t->ns->ipc->sem;
	const uint64_t *limits = t->ns->ipc->limits.sem;
	struct seminfo_abi info = {
		.semmap = 1024000000,
		.semmni = (int)limits[3],
		.semmns = (int)limits[1],
		.semmnu = 1024000000,
		.semmsl = (int)limits[0],
		.semopm = (int)limits[2],
		.semume = SEM_OPS_DEFAULT,
		.semusz = 20,
		.semvmx = SEM_VALUE_MAX_SYSV,
		.semaem = SEM_VALUE_MAX_SYSV,
	};
	int highest = 0;

	for (size_t i = 0; i < table->len; i++) {
		const struct ipc_object *object = table->slots[i];

		if (!object)
			continue;
		highest = (int)i;
		if (cmd == SEM_INFO)
			info.semaem += (int)container_of(object, struct sem_set, object)->count;
	}
	if (cmd == SEM_INFO) {
		info.semusz = (int)table->used;
		info.semaem -= SEM_VALUE_MAX_SYSV;
	}
	if (user_copy_out(task_um(t), buf, &info, sizeof(info)) < 0)
		return -EFAULT;
	return highest;
}

static sysret_t sem_set_perm(struct task *t, int id, uaddr_t buf)
{
	struct ipc_object *object;
	struct semid_abi ds;
	int r = user_copy_in(task_um(t), &ds, buf, sizeof(ds));

	if (r >= 0)
		r = ipc_find(&t->ns->ipc->sem, id, &object);
	if (r >= 0)
		r = ipc_owner(object, t->cred);
	if (r < 0)
		return r;
	ipc_perm_set(object, t->cred, &ds.perm);
	container_of(object, struct sem_set, object)->ctime =
		(int64_t)(kclock_realtime() / NSEC_PER_SEC);
	return 0;
}

static sysret_t get_all(struct task *t, struct sem_set *set, uaddr_t buf)
{
	AUTO_FREE uint16_t *values = calloc(set->count, sizeof(*values));

	if (!values)
		return -ENOMEM;
	for (size_t i = 0; i < set->count; i++)
		values[i] = set->sems[i].value;
	return user_copy_out(task_um(t), buf, values, set->count * sizeof(*values));
}

static sysret_t set_all(struct task *t, struct sem_set *set, uaddr_t buf)
{
	const size_t count = set->count;
	AUTO_FREE uint16_t *values = calloc(count, sizeof(*values));
	int r;

	if (!values)
		return -ENOMEM;
	set->object.refs++; /* copying in may park */
	r = user_copy_in(task_um(t), values, buf, count * sizeof(*values));
	if (r >= 0)
		r = set->object.removed ? -EIDRM : sem_set_all(set, values, own_pid(t));
	ipc_unref(&t->ns->ipc->sem, &set->object);
	return r;
}

/* Commands on one set's values. */
static sysret_t sem_values(struct task *t, struct sem_set *set, int num, int cmd, uint64_t arg)
{
	const struct semaphore *sem;

	if (cmd == GETALL)
		return get_all(t, set, arg);
	if (cmd == SETALL)
		return set_all(t, set, arg);
	if (num < 0 || (size_t)num >= set->count)
		return -EINVAL;
	sem = &set->sems[num];
	switch (cmd) {
	case GETVAL:
		return sem->value;
	case GETPID:
		return sem->pid;
	case GETNCNT:
		return sem->waiting_more;
	case GETZCNT:
		return sem->waiting_zero;
	default:
		return sem_set_value(set, (size_t)num, (int)arg, own_pid(t));
	}
}

sysret_t sys_semctl(struct task *t, const struct syscall_args *a)
{
	const int id = arg_int(a, 0), num = arg_int(a, 1), cmd = arg_int(a, 2);
	struct ipc_object *object;
	int r;

	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case SEM_INFO:
		return sem_info(t, cmd, arg_uaddr(a, 3));
	case IPC_STAT:
	case SEM_STAT:
	case SEM_STAT_ANY_CMD:
		return sem_stat(t, id, cmd, arg_uaddr(a, 3));
	case IPC_SET:
		return sem_set_perm(t, id, arg_uaddr(a, 3));
	case GETALL:
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT:
	case SETVAL:
	case SETALL:
	case IPC_RMID:
		break;
	default:
		return -EINVAL;
	}
	r = ipc_find(&t->ns->ipc->sem, id, &object);
	if (r < 0)
		return r;
	if (cmd == IPC_RMID) {
		r = ipc_owner(object, t->cred);
		if (r >= 0)
			sem_remove(t->ns->ipc, container_of(object, struct sem_set, object));
		return r;
	}
	r = ipc_permission(object, t->cred, cmd == SETVAL || cmd == SETALL ? 0200 : 0400);
	if (r < 0)
		return r;
	return sem_values(t, container_of(object, struct sem_set, object), num, cmd, arg_u64(a, 3));
}
