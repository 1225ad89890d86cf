/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SysV semaphores. A call is tried on the values as a whole; if it cannot be done, nothing is
 * changed and the caller sleeps on the set. Undo adjustments hang both on their set and on their
 * process's list.
 */
#include "sentry/mm/sem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#include "sentry/core/kclock.h"

/* What a process takes back at its end, one per set. */
struct sem_undo {
	struct list_head in_set, in_list;
	struct sem_set *set; /* which drops its undos when it goes */
	int16_t adjust[];    /* per semaphore */
};

struct sem_undo_list {
	unsigned int refs;
	struct list_head undos;
};

static struct sem_set *to_set(struct ipc_object *object)
{
	return container_of(object, struct sem_set, object);
}

static int64_t now_seconds(void)
{
	return (int64_t)(kclock_realtime() / NSEC_PER_SEC);
}

void sem_free_object(struct ipc_object *object)
{
	free(to_set(object));
}

/* Of all sets. */
static uint64_t semaphores(const struct ipc_ns *ns)
{
	uint64_t count = 0;

	for (size_t i = 0; i < ns->sem.len; i++)
		if (ns->sem.slots[i])
			count += to_set(ns->sem.slots[i])->count;
	return count;
}

int sem_get(struct ipc_ns *ns, int key, int count, int flags, const struct cred *cred)
{
	struct ipc_object *object;
	struct sem_set *set;
	bool make;
	int r;

	if (count < 0 || (uint64_t)count > ns->limits.sem[0])
		return -EINVAL;
	r = ipc_get(&ns->sem, key, flags, cred, &object, &make);
	if (r < 0)
		return r;
	if (!make)
		return (size_t)count > to_set(object)->count ? -EINVAL : r;
	if (!count)
		return -EINVAL;
	if (ns->sem.used >= ns->limits.sem[3] ||
	    semaphores(ns) + (uint64_t)count > ns->limits.sem[1])
		return -ENOSPC;
	set = calloc(1, sizeof(*set) + (size_t)count * sizeof(struct semaphore));
	if (!set)
		return -ENOMEM;
	set->count = (size_t)count;
	set->ctime = now_seconds();
	waitq_init(&set->wq);
	list_init(&set->undos);
	r = ipc_add(&ns->sem, &set->object, key, (uint32_t)flags, cred);
	if (r < 0)
		free(set);
	return r;
}

static void undo_drop(struct sem_undo *undo)
{
	list_del(&undo->in_set);
	list_del(&undo->in_list);
	free(undo);
}

void sem_remove(struct ipc_ns *ns, struct sem_set *set)
{
	struct sem_undo *undo, *next;

	list_for_each_safe(undo, next, &set->undos, in_set) undo_drop(undo);
	set->object.refs++;
	ipc_remove(&ns->sem, &set->object);
	waitq_wake(&set->wq, WAIT_ALL);
	ipc_unref(&ns->sem, &set->object);
}

static void clear_adjust(struct sem_set *set, size_t num)
{
	struct sem_undo *undo;

	list_for_each(undo, &set->undos, in_set) undo->adjust[num] = 0;
}

int sem_set_value(struct sem_set *set, size_t num, int value, int pid)
{
	if (value < 0 || value > SEM_VALUE_MAX_SYSV)
		return -ERANGE;
	set->sems[num].value = (uint16_t)value;
	set->sems[num].pid = pid;
	clear_adjust(set, num);
	set->ctime = now_seconds();
	waitq_wake(&set->wq, WAIT_ALL);
	return 0;
}

int sem_set_all(struct sem_set *set, const uint16_t *values, int pid)
{
	for (size_t i = 0; i < set->count; i++) {
		if (values[i] > SEM_VALUE_MAX_SYSV)
			return -ERANGE;
	}
	for (size_t i = 0; i < set->count; i++) {
		set->sems[i].value = values[i];
		set->sems[i].pid = pid;
		clear_adjust(set, i);
	}
	set->ctime = now_seconds();
	waitq_wake(&set->wq, WAIT_ALL);
	return 0;
}

static struct sem_undo_list *get_list(struct sem_undo_list **list)
{
	if (*list)
		return *list;
	*list = calloc(1, sizeof(**list));
	if (*list) {
		(*list)->refs = 1;
		list_init(&(*list)->undos);
	}
	return *list;
}

struct sem_undo_list *sem_undo_share(struct sem_undo_list **list)
{
	struct sem_undo_list *shared = get_list(list);

	if (shared)
		shared->refs++;
	return shared;
}

void sem_undo_exit(struct sem_undo_list *list, int pid)
{
	struct sem_undo *undo, *next;

	if (!list || --list->refs > 0)
		return;
	list_for_each_safe(undo, next, &list->undos, in_list)
	{
		struct sem_set *set = undo->set;

		for (size_t i = 0; i < set->count; i++) {
			int value = set->sems[i].value + undo->adjust[i];

			if (!undo->adjust[i])
				continue;
			value = value < 0 ? 0 : value;
			value = value > SEM_VALUE_MAX_SYSV ? SEM_VALUE_MAX_SYSV : value;
			set->sems[i].value = (uint16_t)value;
			set->sems[i].pid = pid;
		}
		set->otime = now_seconds();
		undo_drop(undo);
		waitq_wake(&set->wq, WAIT_ALL);
	}
	free(list);
}

static int undo_find(struct sem_set *set, struct sem_undo_list **list, struct sem_undo **ret)
{
	struct sem_undo *undo;

	if (!get_list(list))
		return -ENOMEM;
	list_for_each(undo, &(*list)->undos, in_list)
	{
		if (undo->set == set) {
			*ret = undo;
			return 0;
		}
	}
	undo = calloc(1, sizeof(*undo) + set->count * sizeof(undo->adjust[0]));
	if (!undo)
		return -ENOMEM;
	undo->set = set;
	list_add_tail(&undo->in_set, &set->undos);
	list_add_tail(&undo->in_list, &(*list)->undos);
	*ret = undo;
	return 0;
}

/* Take back the first n operations of a call. */
static void roll_back(struct sem_set *set, const struct sem_op *ops, size_t n,
		      struct sem_undo *undo)
{
	while (n-- > 0) {
		set->sems[ops[n].num].value = (uint16_t)(set->sems[ops[n].num].value - ops[n].op);
		if (ops[n].flags & SEM_UNDO)
			undo->adjust[ops[n].num] = (int16_t)(undo->adjust[ops[n].num] + ops[n].op);
	}
}

/*
 * Do all operations or none. 0; -EAGAIN: operation *ret_blocked has to wait; -ERANGE.
 */
static int try_ops(struct sem_set *set, const struct sem_op *ops, size_t count,
		   struct sem_undo *undo, int pid, size_t *ret_blocked)
{
	for (size_t i = 0; i < count; i++) {
		struct semaphore *sem = &set->sems[ops[i].num];
		const int value = sem->value + ops[i].op;
		int r = 0;

		if ((!ops[i].op && sem->value) || value < 0)
			r = -EAGAIN;
		else if (value > SEM_VALUE_MAX_SYSV)
			r = -ERANGE;
		else if (ops[i].flags & SEM_UNDO && (undo->adjust[ops[i].num] - ops[i].op > 32767 ||
						     undo->adjust[ops[i].num] - ops[i].op < -32768))
			r = -ERANGE;
		if (r < 0) {
			*ret_blocked = i;
			roll_back(set, ops, i, undo);
			return r;
		}
		sem->value = (uint16_t)value;
		if (ops[i].flags & SEM_UNDO)
			undo->adjust[ops[i].num] = (int16_t)(undo->adjust[ops[i].num] - ops[i].op);
	}
	for (size_t i = 0; i < count; i++)
		set->sems[ops[i].num].pid = pid;
	return 0;
}

/* Sleep until the set changes; the waiter is counted for GETNCNT and GETZCNT. */
static int wait_change(struct sem_set *set, const struct sem_op *blocked, nsec_t deadline)
{
	struct semaphore *sem = &set->sems[blocked->num];
	uint32_t *counter = blocked->op ? &sem->waiting_more : &sem->waiting_zero;
	struct wait_fiber wait;
	int r;

	wait_fiber_init(&wait, WAIT_ALL);
	waitq_add(&set->wq, &wait.entry);
	(*counter)++;
	r = fiber_park(deadline, true);
	(*counter)--;
	waitq_remove(&wait.entry);
	return r;
}

static int operate(struct sem_set *set, const struct sem_op *ops, size_t count, nsec_t deadline,
		   int pid, struct sem_undo_list **list)
{
	size_t blocked;
	bool undoes = false;
	int r;

	for (size_t i = 0; i < count; i++)
		undoes |= ops[i].flags & SEM_UNDO;
	for (;;) {
		struct sem_undo *undo = NULL;

		r = undoes ? undo_find(set, list, &undo) : 0;
		if (r >= 0)
			r = try_ops(set, ops, count, undo, pid, &blocked);
		if (r != -EAGAIN || ops[blocked].flags & IPC_NOWAIT)
			break;
		r = wait_change(set, &ops[blocked], deadline);
		if (set->object.removed)
			return -EIDRM;
		if (r < 0)
			return r == -ETIMEDOUT ? -EAGAIN : r;
	}
	if (r >= 0) {
		set->otime = now_seconds();
		waitq_wake(&set->wq, WAIT_ALL);
	}
	return r;
}

int sem_operate(struct ipc_ns *ns, int id, const struct sem_op *ops, size_t count, nsec_t deadline,
		const struct cred *cred, int pid, struct sem_undo_list **undo)
{
	struct ipc_object *object;
	struct sem_set *set;
	bool alters = false;
	int r = ipc_find(&ns->sem, id, &object);

	if (r < 0)
		return r;
	set = to_set(object);
	for (size_t i = 0; i < count; i++) {
		if (ops[i].num >= set->count)
			return -EFBIG;
		alters |= ops[i].op != 0;
	}
	r = ipc_permission(object, cred, alters ? 0200 : 0400);
	if (r < 0)
		return r;
	object->refs++;
	r = operate(set, ops, count, deadline, pid, undo);
	ipc_unref(&ns->sem, object);
	return r;
}
