/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscall/event_sink.h - where event records go: a ring for each listener.
 *
 * Whoever makes a record never waits: it goes into the ring, or is counted as lost, and the
 * listener is told how many were with a `lost` record. A fiber of the listener empties the ring.
 */
#pragma once

#include "base/list.h"
#include "sentry/core/waitq.h"
#include "wire/event_msg.h"

#define EVENT_RING_BYTES (256u << 10) /* of a listener; pages count when they are used */

struct event_sink {
	uint32_t mask;	       /* bits of the types that it wants */
	struct waitq *changed; /* woken when there is something to take; the owner's */
	/* event_sink.c only */
	char *ring; /* EVENT_RING_BYTES */
	size_t at, used;
	uint64_t sequence, lost;
	bool writing; /* what was taken is not yet written */
	struct list_head node;
};

/* Bits of the types that any listener wants: the one test of who has something to tell. */
extern uint32_t events_wanted;

static inline bool event_wanted(enum event_type type)
{
	return __builtin_expect(events_wanted & (1u << type), 0);
}

/* Listen to `mask`. 0 or -ENOMEM. The sink is the caller's until it was removed. */
int event_sink_add(struct event_sink *s, uint32_t mask, struct waitq *changed);
void event_sink_remove(struct event_sink *s); /* accepts one that was never added */

static inline bool event_sink_has(const struct event_sink *s)
{
	return s->used > 0;
}

/*
 * Take whole records, oldest first, as many as `size` (at least EVENT_RECORD_MAX) holds, at most
 * `most`. Returns their bytes. When they are written, or cannot be, event_sink_written().
 */
size_t event_sink_take(struct event_sink *s, void *bytes, size_t size, unsigned int most);
void event_sink_written(struct event_sink *s);

/* Every listener has written what there was; announced on the queue. */
bool event_sinks_idle(void);
extern struct waitq event_sinks_drained;

/* A record of this type (event_encode()) goes to every listener that wants it. */
void event_sinks_put(enum event_type type, void *bytes, size_t len);

/* Records that were made, copies that listeners were too slow for, and listeners now. */
struct event_counts {
	uint64_t made, lost, listeners;
};
struct event_counts event_counts(void);
