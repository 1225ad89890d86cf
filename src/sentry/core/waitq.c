/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/waitq.h"

#include <limits.h>

void waitq_init(struct waitq *q)
{
	list_init(&q->entries);
}

void waitq_add(struct waitq *q, struct wait_entry *entry)
{
	list_add_tail(&entry->node, &q->entries);
}

void waitq_remove(struct wait_entry *entry)
{
	list_del(&entry->node);
}

unsigned int waitq_wake_n(struct waitq *q, uint32_t events, unsigned int n)
{
	struct list_head seen = LIST_HEAD_INIT(seen);
	unsigned int called = 0;

	/* An entry's function may remove any entry, also the next: each is moved before its call.
	 */
	while (!list_empty(&q->entries)) {
		struct wait_entry *entry = list_first(&q->entries, struct wait_entry, node);

		list_move_tail(&entry->node, &seen);
		if (called < n && entry->mask & events) {
			called++;
			entry->fn(entry, events & entry->mask);
		}
	}
	/* Entries that were added meanwhile come last. */
	list_splice_tail(&q->entries, &seen);
	list_splice_tail(&seen, &q->entries);
	return called;
}

void waitq_wake(struct waitq *q, uint32_t events)
{
	if (!list_empty(&q->entries))
		(void)waitq_wake_n(q, events, UINT_MAX);
}

static void wake_fiber(struct wait_entry *entry, uint32_t events)
{
	fiber_wake(container_of(entry, struct wait_fiber, entry)->fiber);
}

void wait_fiber_init(struct wait_fiber *w, uint32_t mask)
{
	list_init(&w->entry.node);
	w->entry.mask = mask;
	w->entry.fn = wake_fiber;
	w->fiber = fiber_self();
}
