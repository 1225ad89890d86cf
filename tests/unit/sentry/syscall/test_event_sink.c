/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners of the event stream: limits, losses, order. */
#include <limits.h>

#include "lib/unit.h"
#include "sentry/syscall/event_sink.h"
#include "wire/event_codec.h"

static struct waitq changed;
static char bytes[EVENT_RING_BYTES];

static void tell(enum event_type type, int64_t result)
{
	static char record[EVENT_RECORD_MAX];
	const struct event_head head = { .type = (uint16_t)type };
	const struct event_common common = { .pid = 1 };
	struct event_record r = { .u.open.result = result };

	event_sinks_put(type, record, event_encode(&head, &common, &r.u, record));
}

static void listen(struct event_sink *s, uint32_t mask)
{
	waitq_init(&changed);
	assert_int_equal(event_sink_add(s, mask, &changed), 0);
}

static size_t decode(const char *from, size_t len, struct event_record *ret)
{
	size_t size = 0;

	assert_int_equal(event_decode(from, len, ret, &size), 1);
	return size;
}

static void a_full_ring_loses_what_is_new_and_says_how_many(void **state)
{
	struct event_sink s;
	struct event_record record;
	uint64_t told = 0, taken = 0;
	size_t len, at = 0;

	listen(&s, ~0u);
	while (!s.lost) {
		tell(EVENT_open, 0);
		told++;
	}
	tell(EVENT_open, 0);
	assert_int_equal(s.lost, 2);
	len = event_sink_take(&s, bytes, sizeof(bytes), UINT_MAX);
	event_sink_written(&s);
	while (at < len) {
		at += decode(bytes + at, len - at, &record);
		assert_int_equal(record.head.sequence, ++taken);
	}
	assert_int_equal(taken, told - 1);
	tell(EVENT_open, 5);
	len = event_sink_take(&s, bytes, sizeof(bytes), UINT_MAX);
	at = decode(bytes, len, &record);
	assert_int_equal(record.head.type, EVENT_lost);
	assert_int_equal(record.u.lost.count, 2);
	assert_int_equal(at + decode(bytes + at, len - at, &record), len);
	assert_int_equal(record.u.open.result, 5);
	assert_int_equal(record.head.sequence, taken + 2 + 1);
	event_sink_remove(&s);
}

static void records_survive_the_end_of_the_ring(void **state)
{
	struct event_sink s;
	struct event_record record;

	listen(&s, ~0u);
	for (int64_t i = 0; i < 20000; i++) {
		size_t len;

		tell(EVENT_open, i);
		len = event_sink_take(&s, bytes, EVENT_RECORD_MAX, 1);
		assert_int_equal(decode(bytes, len, &record), len);
		assert_int_equal(record.u.open.result, i);
		event_sink_written(&s);
	}
	assert_true(event_sinks_idle());
	event_sink_remove(&s);
}

static void each_listener_gets_what_it_asked_for(void **state)
{
	struct event_sink opens, exits;
	struct event_record record;
	size_t len;

	assert_false(event_wanted(EVENT_open));
	listen(&opens, 1u << EVENT_open);
	listen(&exits, 1u << EVENT_exit);
	assert_true(event_wanted(EVENT_open) && event_wanted(EVENT_exit));
	assert_false(event_wanted(EVENT_bind));
	tell(EVENT_exit, 0);
	assert_false(event_sink_has(&opens));
	assert_false(event_sinks_idle());
	len = event_sink_take(&exits, bytes, sizeof(bytes), UINT_MAX);
	assert_int_equal(decode(bytes, len, &record), len);
	assert_false(event_sinks_idle());
	event_sink_written(&exits);
	assert_true(event_sinks_idle());
	event_sink_remove(&opens);
	assert_false(event_wanted(EVENT_open));
	event_sink_remove(&exits);
	event_sink_remove(&exits);
	assert_int_equal(events_wanted, 0);
}

static void a_take_ends_at_a_whole_record(void **state)
{
	struct event_sink s;
	struct event_record record;
	size_t one;

	listen(&s, ~0u);
	for (int i = 0; i < 3; i++)
		tell(EVENT_open, i);
	one = event_sink_take(&s, bytes, sizeof(bytes), 1);
	assert_int_equal(decode(bytes, one, &record), one);
	assert_int_equal(event_sink_take(&s, bytes, 2 * one - 1, UINT_MAX), one);
	assert_int_equal(event_sink_take(&s, bytes, sizeof(bytes), UINT_MAX), one);
	assert_int_equal(event_sink_take(&s, bytes, sizeof(bytes), UINT_MAX), 0);
	event_sink_remove(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_listener_gets_what_it_asked_for),
		cmocka_unit_test(a_full_ring_loses_what_is_new_and_says_how_many),
		cmocka_unit_test(records_survive_the_end_of_the_ring),
		cmocka_unit_test(a_take_ends_at_a_whole_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
