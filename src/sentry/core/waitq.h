/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/core/waitq.h - wait queues: who wants to know when something changes.
 *
 * An entry is a callback with a mask of events (POLLIN ... of poll(2)); it is called with the
 * events that are woken, under the kernel monitor, and must not park. Blocking code uses the
 * WAIT_ macros; poll, select and epoll put their own entries.
 */
#pragma once

#include <errno.h>
#include <poll.h>
#include <stdint.h>

#include "base/list.h"
#include "sentry/core/fiber.h"
#include "sentry/core/kerrno.h"

struct waitq {
	struct list_head entries;
};

struct wait_entry {
	struct list_head node;
	uint32_t mask;
	void (*fn)(struct wait_entry *entry, uint32_t events);
};

void waitq_init(struct waitq *q);

/* Entries are called in the order in which they were added. The entry is the caller's. */
void waitq_add(struct waitq *q, struct wait_entry *entry);
void waitq_remove(struct wait_entry *entry); /* harmless when it is on no queue */

#define WAIT_ALL UINT32_MAX

/* Call every entry whose mask has one of the events. */
void waitq_wake(struct waitq *q, uint32_t events);

/* The same for the first n entries that match; returns how many were called. */
unsigned int waitq_wake_n(struct waitq *q, uint32_t events, unsigned int n);

/* An entry that wakes the fiber that runs now. */
struct wait_fiber {
	struct wait_entry entry;
	struct fiber *fiber;
};
void wait_fiber_init(struct wait_fiber *w, uint32_t mask);

/* What a park's result means to a system call: -EINTR becomes -ERESTARTSYS. */
static inline int wait_result(int r)
{
	return r == -EINTR ? -ERESTARTSYS : r;
}

/*
 * Wait until `cond` is true. 0; -ERESTARTSYS when a signal interrupts (interruptible only);
 * -ETIMEDOUT at the deadline. `cond` is evaluated first: true returns 0 without a park.
 */
#define WAIT_ON(q, cond, deadline, interruptible)                                       \
	({                                                                              \
		struct wait_fiber _wait;                                                \
		int _wait_r = 0;                                                        \
		wait_fiber_init(&_wait, WAIT_ALL);                                      \
		waitq_add((q), &_wait.entry);                                           \
		while (!(cond)) {                                                       \
			_wait_r = wait_result(fiber_park((deadline), (interruptible))); \
			if (_wait_r < 0) {                                              \
				if (cond)                                               \
					_wait_r = 0;                                    \
				break;                                                  \
			}                                                               \
		}                                                                       \
		waitq_remove(&_wait.entry);                                             \
		_wait_r;                                                                \
	})

#define WAIT_EVENT(q, cond)		    WAIT_ON(q, cond, NSEC_NEVER, true)
#define WAIT_EVENT_UNTIL(q, cond, deadline) WAIT_ON(q, cond, deadline, true)
#define WAIT_EVENT_ALWAYS(q, cond)	    ((void)WAIT_ON(q, cond, NSEC_NEVER, false))
