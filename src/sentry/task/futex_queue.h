/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/futex_queue.h - private to task/: the table of waiters.
 */
#pragma once

#include "sentry/task/futex.h"

struct futex_pi;

struct futex_waiter {
	struct list_head node; /* bucket; empty: woken */
	struct futex_key key;
	uint32_t bitset;
	struct fiber *fiber;
	struct task *task;
	uaddr_t addr;	     /* of the word in the task's memory */
	struct futex_pi *pi; /* it waits for a PI lock */
	struct list_head pi_node;
	bool granted;			/* it has the PI lock now */
	const struct futex_key *target; /* FUTEX_WAIT_REQUEUE_PI: the lock that it goes on to */
	bool moved;			/* to that */
};

void futex_enqueue(struct futex_waiter *w);
void futex_dequeue(struct futex_waiter *w); /* harmless when it was woken */
struct list_head *futex_bucket(const struct futex_key *key);
bool futex_key_equal(const struct futex_key *a, const struct futex_key *b);
/* Take it off and let it run. */
void futex_wake_waiter(struct futex_waiter *w);
int futex_read_word(struct task *t, uaddr_t addr, uint32_t *ret);
int futex_write_word(struct task *t, uaddr_t addr, uint32_t value);

/* futex_pi.c: the task ends; the locks it owns go to the next waiter. */
void futex_pi_exit(struct task *t);
