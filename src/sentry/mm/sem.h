/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/sem.h - SysV semaphore sets (semget(2), semop(2), semctl(2)).
 */
#pragma once

#include "sentry/core/waitq.h"
#include "sentry/mm/ipc_ns.h"

#define SEM_SET_MAX	   32000 /* semaphores of a set: Linux's SEMMSL */
#define SEM_SETS_MAX	   32000 /* SEMMNI */
#define SEM_OPS_DEFAULT	   500	 /* operations of a call: SEMOPM */
#define SEM_OPS_MAX	   32000 /* what kernel.sem may raise it to */
#define SEM_VALUE_MAX_SYSV 32767

struct semaphore {
	uint16_t value;
	int pid; /* of the last operation */
	uint32_t waiting_more, waiting_zero;
};

struct sem_set {
	struct ipc_object object;
	int64_t otime, ctime; /* seconds since the epoch */
	struct waitq wq;      /* a value changed, or the set is gone */
	size_t count;
	struct list_head undos; /* struct sem_undo */
	struct semaphore sems[];
};

/* struct sembuf of the kernel's ABI. */
struct sem_op {
	uint16_t num;
	int16_t op;
	int16_t flags;
};

/*
 * SEM_UNDO adjustments of a process (all that share them with CLONE_SYSVSEM): the owner keeps the
 * pointer, NULL at first, and gives it to sem_undo_exit() at the end of the last sharer.
 */
struct sem_undo_list;
/* One more sharer (CLONE_SYSVSEM): *list is made when there is none yet. NULL: no memory. */
struct sem_undo_list *sem_undo_share(struct sem_undo_list **list);
void sem_undo_exit(struct sem_undo_list *list, int pid); /* accepts NULL */

int sem_get(struct ipc_ns *ns, int key, int count, int flags, const struct cred *cred);
/* semtimedop(2): parks until the deadline (NSEC_NEVER: none). *undo is made on demand. */
int sem_operate(struct ipc_ns *ns, int id, const struct sem_op *ops, size_t count, nsec_t deadline,
		const struct cred *cred, int pid, struct sem_undo_list **undo);
/* IPC_RMID; SETVAL, SETALL; the caller has judged permission. values has `count` entries. */
void sem_remove(struct ipc_ns *ns, struct sem_set *set);
int sem_set_value(struct sem_set *set, size_t num, int value, int pid);
int sem_set_all(struct sem_set *set, const uint16_t *values, int pid);

void sem_free_object(struct ipc_object *object);
