/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/robust.c - robust futexes of a task that ends (set_robust_list(2); Linux
 * Documentation/locking/robust-futex-ABI.rst).
 */
#include <linux/futex.h>

#include "sentry/task/freeze.h"
#include "sentry/task/futex_queue.h"

#define PI_BIT 1ull /* of an entry's address: a PI lock */

struct robust_head {
	uint64_t next;
	int64_t futex_offset;
	uint64_t pending;
};

static void owner_died(struct task *t, uaddr_t addr, bool pi, bool pending)
{
	const uint32_t tid = (uint32_t)task_tid(t, task_pid_ns(t));
	uint32_t word;

	if (addr % sizeof(word) || futex_read_word(t, addr, &word) < 0)
		return;
	/* It died between its unlock and the wake-up. */
	if (pending && !pi && !word) {
		(void)futex_wake(t, addr, true, 1, FUTEX_BITSET_MATCH_ANY);
		return;
	}
	if ((word & FUTEX_TID_MASK) != tid)
		return;
	if (futex_write_word(t, addr, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED) < 0)
		return;
	if (!pi && (word & FUTEX_WAITERS))
		(void)futex_wake_address(t, addr, 1);
}

static void let_go(struct task *t, uaddr_t addr, bool pi, bool pending)
{
	thread_group_freeze(t);
	owner_died(t, addr, pi, pending);
	thread_group_thaw(t);
}

static void walk_robust_list(struct task *t)
{
	struct robust_head head;
	uint64_t at;

	if (user_copy_in(task_um(t), &head, t->robust_list, sizeof(head)) < 0)
		return;
	at = head.next;
	for (int n = 0; n < FUTEX_ROBUST_MAX; n++) {
		const uint64_t entry = at & ~PI_BIT;
		const bool pi = at & PI_BIT;
		const bool more = user_copy_in(task_um(t), &at, entry, sizeof(at)) == 0;

		if (entry == t->robust_list)
			break;
		if (entry != (head.pending & ~PI_BIT))
			let_go(t, entry + (uint64_t)head.futex_offset, pi, false);
		if (!more)
			break;
		fiber_resched();
	}
	if (head.pending & ~PI_BIT)
		let_go(t, (head.pending & ~PI_BIT) + (uint64_t)head.futex_offset,
		       head.pending & PI_BIT, true);
}

void futex_task_exit(struct task *t)
{
	if (t->robust_list)
		walk_robust_list(t);
	t->robust_list = 0;
	futex_pi_exit(t);
}
