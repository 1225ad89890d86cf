/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/futex.h - futex(2).
 *
 * A waiter is queued before the word is compared, and wakers of the kernel run under the monitor:
 * no wake-up is lost. Where the kernel changes a word itself (PI locks, FUTEX_WAKE_OP, robust
 * lists) the other threads of the process stay out of guest code meanwhile; another process that
 * shares the word may still store in between.
 */
#pragma once

#include "sentry/task/task.h"

#define FUTEX_ROBUST_MAX 2048 /* entries of a robust list: ROBUST_LIST_LIMIT */
#define FUTEX_WAITV_MAX	 128

/* What an address is to others that wait at the same memory. */
struct futex_key {
	const void *object; /* mm, memfile, or inode_bound() of the inode */
	uint64_t offset;
	struct memfile *memfile; /* references on the object, one or none */
	struct inode *inode;
};
/* shared: other processes may wait there too. 0, -EINVAL (alignment), -EFAULT. */
int futex_key_get(struct task *t, uaddr_t addr, bool shared, struct futex_key *ret);
void futex_key_put(struct futex_key *key);

struct futex_wait_request {
	uaddr_t addr;
	bool shared;
	uint32_t value;
	uint32_t bitset;
	nsec_t deadline; /* CLOCK_MONOTONIC; NSEC_NEVER */
};
/* 0, -EAGAIN (another value), -ETIMEDOUT, -ERESTARTSYS, -EFAULT, -EINVAL. */
int futex_wait(struct task *t, const struct futex_wait_request *req);
/* Any of several words: the index of the one that was woken, or as futex_wait(). */
int futex_wait_many(struct task *t, const struct futex_wait_request *reqs, size_t len);

/* How many were woken; -EINVAL: a PI waiter is there. */
int futex_wake(struct task *t, uaddr_t addr, bool shared, int n, uint32_t bitset);
/* Two words, woken and moved: how many. expected NULL: no comparison (-EAGAIN). */
struct futex_pair {
	uaddr_t addr, addr2;
	bool shared;
	int n, n2;
};
int futex_requeue(struct task *t, const struct futex_pair *pair, const uint32_t *expected);
int futex_wake_op(struct task *t, const struct futex_pair *pair, uint32_t op);

/*
 * FUTEX_WAIT_REQUEUE_PI: as futex_wait(), until FUTEX_CMP_REQUEUE_PI moves it to the PI lock at
 * addr2, which it has at a return of 0. -EAGAIN: a signal came, or another value. -EINVAL.
 */
int futex_wait_requeue_pi(struct task *t, const struct futex_wait_request *req, uaddr_t addr2);
/* FUTEX_CMP_REQUEUE_PI: how many were moved; pair->n is 1. -EAGAIN; -EINVAL: others wait there. */
int futex_cmp_requeue_pi(struct task *t, const struct futex_pair *pair, uint32_t expected);

/* FUTEX_LOCK_PI, FUTEX_TRYLOCK_PI, FUTEX_UNLOCK_PI. */
int futex_lock_pi(struct task *t, uaddr_t addr, bool shared, bool try_only, nsec_t deadline);
int futex_unlock_pi(struct task *t, uaddr_t addr, bool shared);

/* Wake up to n waiters at an address of the task, in its own process or others. */
int futex_wake_address(struct task *t, uaddr_t addr, int n);
/* Exit and exec: robust list and PI locks are let go of. */
void futex_task_exit(struct task *t);
