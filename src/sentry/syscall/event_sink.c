/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/syscall/event_sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/core/kclock.h"
#include "wire/event_codec.h"

uint32_t events_wanted;
struct waitq event_sinks_drained = { LIST_HEAD_INIT(event_sinks_drained.entries) };

static struct list_head sinks = LIST_HEAD_INIT(sinks);
static struct event_counts counts;

static void recount(void)
{
	struct event_sink *s;

	events_wanted = 0;
	counts.listeners = 0;
	list_for_each(s, &sinks, node)
	{
		events_wanted |= s->mask;
		counts.listeners++;
	}
}

int event_sink_add(struct event_sink *s, uint32_t mask, struct waitq *changed)
{
	*s = (struct event_sink){ .mask = mask, .changed = changed };
	s->ring = mmap(NULL, EVENT_RING_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->ring == MAP_FAILED) {
		s->ring = NULL;
		return -ENOMEM;
	}
	list_add_tail(&s->node, &sinks);
	recount();
	return 0;
}

void event_sink_remove(struct event_sink *s)
{
	if (!s->ring)
		return;
	list_del(&s->node);
	(void)munmap(s->ring, EVENT_RING_BYTES);
	s->ring = NULL;
	s->used = 0;
	recount();
	waitq_wake(&event_sinks_drained, WAIT_ALL);
}

static void ring_write(struct event_sink *s, const char *bytes, size_t len)
{
	const size_t at = (s->at + s->used) % EVENT_RING_BYTES;
	const size_t first = len < EVENT_RING_BYTES - at ? len : EVENT_RING_BYTES - at;

	memcpy(s->ring + at, bytes, first);
	memcpy(s->ring, bytes + first, len - first);
	s->used += len;
}

static void ring_read(const struct event_sink *s, char *bytes, size_t len)
{
	const size_t first = len < EVENT_RING_BYTES - s->at ? len : EVENT_RING_BYTES - s->at;

	memcpy(bytes, s->ring + s->at, first);
	memcpy(bytes + first, s->ring, len - first);
}

/* Room for the record of lost ones is kept, so that it never is lost itself. */
static bool put_one(struct event_sink *s, void *bytes, size_t len)
{
	static char record[EVENT_RECORD_MAX]; /* nothing parks here */
	struct event_head head = { .type = EVENT_lost };
	struct event_common none = { .pid = 0 };
	size_t lost_len = 0;

	if (s->lost) {
		const struct event_lost lost = { .count = s->lost };

		head.sequence = s->sequence + s->lost;
		head.time_ns = kclock_realtime();
		lost_len = event_encode(&head, &none, &lost, record);
	}
	if (EVENT_RING_BYTES - s->used < lost_len + len) {
		s->lost++;
		counts.lost++;
		return false;
	}
	if (s->lost) {
		ring_write(s, record, lost_len);
		s->sequence += s->lost;
		s->lost = 0;
	}
	event_set_sequence(bytes, ++s->sequence);
	ring_write(s, bytes, len);
	return true;
}

void event_sinks_put(enum event_type type, void *bytes, size_t len)
{
	struct event_sink *s;

	counts.made++;
	list_for_each(s, &sinks, node)
	{
		if (s->mask & (1u << type) && put_one(s, bytes, len))
			waitq_wake(s->changed, WAIT_ALL);
	}
}

size_t event_sink_take(struct event_sink *s, void *bytes, size_t size, unsigned int most)
{
	size_t done = 0;

	for (unsigned int i = 0; i < most && s->used > 0; i++) {
		uint32_t len;

		ring_read(s, (char *)&len, sizeof(len));
		if (len > size - done)
			break;
		ring_read(s, (char *)bytes + done, len);
		s->at = (s->at + len) % EVENT_RING_BYTES;
		s->used -= len;
		done += len;
	}
	s->writing = done > 0;
	return done;
}

void event_sink_written(struct event_sink *s)
{
	s->writing = false;
	if (!s->used)
		waitq_wake(&event_sinks_drained, WAIT_ALL);
}

bool event_sinks_idle(void)
{
	const struct event_sink *s;

	list_for_each(s, &sinks, node)
	{
		if (s->used || s->writing)
			return false;
	}
	return true;
}

struct event_counts event_counts(void)
{
	return counts;
}
