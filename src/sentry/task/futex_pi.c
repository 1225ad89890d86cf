/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/futex_pi.c - PI locks of futex(2): the word holds the owner's thread number.
 *
 * Priorities are not inherited (guest threads are scheduled by the host); what programs see is
 * kept: ownership passes to the first waiter at unlock, the owner is known, a dead owner's lock
 * goes on with FUTEX_OWNER_DIED.
 */
#include <linux/futex.h>
#include <stdlib.h>

#include "sentry/task/freeze.h"
#include "sentry/task/futex_queue.h"
#include "sentry/task/run.h"

/* A lock with waiters. It lives as long as it has some. */
struct futex_pi {
	struct task *owner; /* in its pi_owned; NULL: it has ended */
	struct list_head owned_node;
	struct list_head waiters; /* futex_waiter.pi_node, in order */
};

static struct futex_waiter *first_waiter(const struct futex_key *key)
{
	struct futex_waiter *w;

	list_for_each(w, futex_bucket(key),
		      node) if (w->pi && futex_key_equal(&w->key, key)) return w;
	return NULL;
}

static bool other_waiters(const struct futex_key *key)
{
	struct futex_waiter *w;

	list_for_each(w, futex_bucket(key), node) if (futex_key_equal(&w->key, key)) return true;
	return false;
}

static void set_owner(struct futex_pi *pi, struct task *owner)
{
	list_del(&pi->owned_node);
	pi->owner = owner;
	if (owner)
		list_add_tail(&pi->owned_node, &owner->pi_owned);
}

static void leave(struct futex_waiter *w)
{
	futex_dequeue(w);
	list_del(&w->pi_node);
	if (!list_empty(&w->pi->waiters))
		return;
	list_del(&w->pi->owned_node);
	free(w->pi);
}

static uint32_t word_tid(const struct task *t)
{
	return (uint32_t)task_tid(t, task_pid_ns(t));
}

/* The lock goes to w, in its own memory; `died` is FUTEX_OWNER_DIED or 0. */
static int grant(struct futex_waiter *w, uint32_t died)
{
	struct futex_key key = w->key;
	uint32_t word;
	int r;

	futex_dequeue(w);
	word = word_tid(w->task) | died;
	if (other_waiters(&key))
		word |= FUTEX_WAITERS;
	r = futex_write_word(w->task, w->addr, word);
	set_owner(w->pi, w->task);
	w->granted = true;
	fiber_wake(w->fiber);
	return r;
}

/* 0: taken; 1: somebody has it (*ret_owner, a reference); -errno. */
static int try_take(struct task *t, uaddr_t addr, const struct futex_key *key,
		    struct task **ret_owner)
{
	const uint32_t tid = word_tid(t);
	uint32_t word;
	int r = futex_read_word(t, addr, &word);

	if (r < 0)
		return r;
	if ((word & FUTEX_TID_MASK) == tid)
		return -EDEADLK;
	if (!(word & FUTEX_TID_MASK)) {
		word = (word & FUTEX_OWNER_DIED) | tid;
		if (other_waiters(key))
			word |= FUTEX_WAITERS;
		return futex_write_word(t, addr, word);
	}
	*ret_owner = task_find(task_pid_ns(t), (int)(word & FUTEX_TID_MASK));
	if (!*ret_owner)
		return -ESRCH;
	if (!(word & FUTEX_WAITERS)) {
		r = futex_write_word(t, addr, word | FUTEX_WAITERS);
		if (r < 0) {
			task_unref(*ret_owner);
			return r;
		}
	}
	return 1;
}

static int join(struct futex_waiter *w, struct task *owner)
{
	struct futex_waiter *other = first_waiter(&w->key);

	if (other) {
		w->pi = other->pi;
	} else {
		w->pi = calloc(1, sizeof(*w->pi));
		if (!w->pi)
			return -ENOMEM;
		list_init(&w->pi->owned_node);
		list_init(&w->pi->waiters);
		set_owner(w->pi, owner->state < TASK_ZOMBIE ? owner : NULL);
	}
	list_add_tail(&w->pi_node, &w->pi->waiters);
	futex_enqueue(w);
	return 0;
}

static int wait_granted(struct futex_waiter *w, nsec_t deadline)
{
	int r = 0;

	while (!w->granted && r == 0)
		r = fiber_park(deadline, true);
	if (w->granted)
		return 0;
	return r == -EINTR ? -ERESTARTNOINTR : r;
}

int futex_lock_pi(struct task *t, uaddr_t addr, bool shared, bool try_only, nsec_t deadline)
{
	struct futex_waiter w = {
		.bitset = FUTEX_BITSET_MATCH_ANY, .fiber = t->fiber, .task = t, .addr = addr
	};
	struct task *owner = NULL;
	int r;

	list_init(&w.node);
	r = futex_key_get(t, addr, shared, &w.key);
	if (r < 0)
		return r;
	thread_group_freeze(t);
	r = try_take(t, addr, &w.key, &owner);
	if (r == 1) {
		r = try_only ? -EAGAIN : join(&w, owner);
		task_unref(owner);
	}
	thread_group_thaw(t);
	if (w.pi) {
		r = wait_granted(&w, deadline);
		leave(&w);
	}
	futex_key_put(&w.key);
	return r;
}

static int unlock_frozen(struct task *t, uaddr_t addr, const struct futex_key *key)
{
	struct futex_waiter *w;
	uint32_t word;
	int r;

	r = futex_read_word(t, addr, &word);
	if (r < 0)
		return r;
	if ((word & FUTEX_TID_MASK) != word_tid(t))
		return -EPERM;
	w = first_waiter(key);
	return w ? grant(w, 0) : futex_write_word(t, addr, 0);
}

int futex_unlock_pi(struct task *t, uaddr_t addr, bool shared)
{
	struct futex_key key;
	int r;

	r = futex_key_get(t, addr, shared, &key);
	if (r < 0)
		return r;
	thread_group_freeze(t);
	r = unlock_frozen(t, addr, &key);
	thread_group_thaw(t);
	futex_key_put(&key);
	return r;
}

void futex_pi_exit(struct task *t)
{
	while (!list_empty(&t->pi_owned)) {
		struct futex_pi *pi = list_first(&t->pi_owned, struct futex_pi, owned_node);
		struct futex_waiter *w;

		set_owner(pi, NULL);
		list_for_each(w, &pi->waiters, pi_node)
		{
			if (w->granted)
				continue;
			(void)grant(w, FUTEX_OWNER_DIED);
			break;
		}
	}
}
