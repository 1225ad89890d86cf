/* SPDX-License-Identifier: Apache-2.0 */
/* The mux: streams, their credit and their ends. */
#include "unit/wire/mux_world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static void a_stream_stops_at_its_credit_and_goes_on_with_more(void **state)
{
	static char big[AGENT_STREAM_CREDIT + 100];
	struct world *w = both();

	(void)state;
	assert_int_equal(mux_open(w->host.mux, 5), 0);
	assert_int_equal(mux_open(w->agent.mux, 5), 0);
	assert_int_equal(mux_room(w->agent.mux, 5), AGENT_STREAM_CREDIT);
	assert_int_equal(mux_send(w->agent.mux, 5, big, sizeof(big)), AGENT_STREAM_CREDIT);
	assert_int_equal(mux_room(w->agent.mux, 5), 0);
	assert_int_equal(mux_send(w->agent.mux, 5, big, 1), 0);
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->host.data_len, AGENT_STREAM_CREDIT);
	assert_int_equal(w->agent.rooms, 0);
	assert_int_equal(mux_credit(w->host.mux, 5, AGENT_STREAM_CREDIT + 1), -EINVAL);
	assert_int_equal(mux_credit(w->host.mux, 5, AGENT_STREAM_CREDIT), 0);
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->agent.rooms, 1);
	assert_int_equal(w->agent.stream, 5);
	assert_int_equal(mux_send(w->agent.mux, 5, big, 100), 100);
	assert_int_equal(mux_end(w->agent.mux, 5, 0), 0);
	assert_int_equal(mux_send(w->agent.mux, 5, big, 100), -EPIPE);
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->host.data_len, AGENT_STREAM_CREDIT + 100);
	assert_int_equal(w->host.ends, 1);
}

static void a_stream_that_is_not_there_is_refused(void **state)
{
	struct world *w = both();
	struct mux *m = w->host.mux;

	(void)state;
	assert_int_equal(mux_open(m, 0), -EINVAL);
	assert_int_equal(mux_open(m, AGENT_STREAM_MAX + 1), -EINVAL);
	assert_int_equal(mux_open(m, 7), 0);
	assert_int_equal(mux_open(m, 7), -EEXIST);
	mux_close(m, 7);
	mux_close(m, 7);
	mux_close(m, 0);
	mux_close(m, UINT32_MAX);
	assert_int_equal(mux_room(m, 7), 0);
	assert_int_equal(mux_room(m, UINT32_MAX), 0);
	assert_int_equal(mux_send(m, 7, "x", 1), -EBADF);
	assert_int_equal(mux_end(m, 7, 0), -EBADF);
	assert_int_equal(mux_credit(m, 7, 1), 0);
	for (uint32_t i = 1; i <= AGENT_STREAMS_MAX; i++)
		assert_int_equal(mux_open(m, i * 60), 0);
	assert_int_equal(mux_open(m, 1), -EMFILE);
	mux_close(m, 60);
	assert_int_equal(mux_open(m, 1), 0);
	/* The places of the others are still theirs. */
	for (uint32_t i = 2; i <= AGENT_STREAMS_MAX; i++)
		assert_int_equal(mux_room(m, i * 60), AGENT_STREAM_CREDIT);
}

static void an_agent_that_lies_about_streams_is_refused(void **state)
{
	static const char zero[4], far[4] = { 0, 16, 0, 0 }, one[4] = { 1, 0, 0, 0 };
	struct end *e;

	(void)state;
	is_refused(host_with_stream(), DATA_OF(3), NULL, 0, "agent: DATA of no bytes");
	is_refused(host_with_stream(), DATA_OF(4), "x", 1,
		   "agent: DATA for stream 4, which was never open");
	is_refused(host_with_stream(), CREDIT_OF(4), one, 4, "agent: CREDIT for stream 4");
	is_refused(host_with_stream(), END_OF(4), zero, 4, "agent: END for stream 4");
	is_refused(host_with_stream(), CREDIT_OF(3), zero, 4, "agent: CREDIT of 0 for stream 3");
	is_refused(host_with_stream(), CREDIT_OF(3), one, 4,
		   "agent: CREDIT of 1 for stream 3, which has 262144");
	is_refused(host_with_stream(), CREDIT_OF(3), one, 3, "agent: CREDIT of 3 bytes");
	is_refused(host_with_stream(), END_OF(3), zero, 3, "agent: END of 3 bytes");
	is_refused(host_with_stream(), END_OF(3), far, 4, "agent: END of stream 3 with error 4096");
	e = host_with_stream();
	put(&world, END_OF(3), zero, 4);
	assert_int_equal(serve(&world, e), 0);
	assert_int_equal(e->ends, 1);
	is_refused(e, END_OF(3), zero, 4, "agent: a second END of stream 3");
	e = host_with_stream();
	put(&world, END_OF(3), zero, 4);
	is_refused(e, DATA_OF(3), "x", 1, "agent: DATA behind the END of stream 3");
}

static void one_byte_more_than_the_credit_is_refused(void **state)
{
	static char bytes[1024];
	struct end *e = host_with_stream();

	(void)state;
	for (size_t n = 0; n < AGENT_STREAM_CREDIT; n += sizeof(bytes)) {
		put(&world, DATA_OF(3), bytes, sizeof(bytes));
		assert_int_equal(serve(&world, e), 0);
	}
	assert_int_equal(e->data_len, AGENT_STREAM_CREDIT);
	is_refused(e, DATA_OF(3), "x", 1, "agent: DATA of 1 bytes for stream 3, which may send 0");
}

/* An agent that sends and never reads: what the host has to say about it must not pile up. */
static void credit_does_not_pile_up_before_an_agent_that_does_not_read(void **state)
{
	static char big[AGENT_REQUEST_MAX];
	struct end *e = host_with_stream();
	uint32_t serial;

	(void)state;
	e->use_up = true;
	while (mux_ask(e->mux, AGENT_CREATE, big, sizeof(big), &serial, NULL) == 0)
		;
	for (size_t n = 0; n < AGENT_STREAM_CREDIT; n += 1024) {
		put(&world, DATA_OF(3), big, 1024);
		assert_int_equal(ready(&world, e), 0);
	}
	is_refused(e, DATA_OF(3), "x", 1, "which may send 0");
}

static void credit_that_was_owed_is_paid_when_there_is_room(void **state)
{
	static char big[AGENT_REQUEST_MAX];
	struct end *e = host_with_stream();
	uint32_t serial;

	(void)state;
	e->use_up = true;
	while (mux_ask(e->mux, AGENT_CREATE, big, sizeof(big), &serial, NULL) == 0)
		;
	for (size_t n = 0; n < AGENT_STREAM_CREDIT; n += 1024) {
		put(&world, DATA_OF(3), big, 1024);
		assert_int_equal(ready(&world, e), 0);
	}
	for (int i = 0; i < 100000 && mux_events(e->mux) != POLLIN; i++)
		assert_int_equal(serve(&world, e), 0);
	put(&world, DATA_OF(3), big, 1024);
	assert_int_equal(serve(&world, e), 0);
	assert_int_equal(e->data_len, AGENT_STREAM_CREDIT + 1024);
}

static void an_agent_throws_away_what_is_for_no_stream(void **state)
{
	struct end *e = greeted_agent();

	(void)state;
	put(&world, DATA_OF(8), "for a request that failed", 25);
	put(&world, CREDIT_OF(8), "\1\0\0\0", 4);
	put(&world, END_OF(8), "\0\0\0\0", 4);
	assert_int_equal(serve(&world, e), 0);
	assert_int_equal(e->data_len, 0);
	assert_int_equal(e->ends, 0);
}

static void frames_of_a_stream_that_was_closed_are_thrown_away(void **state)
{
	struct end *e = host_with_stream();

	(void)state;
	mux_close(e->mux, 3);
	put(&world, DATA_OF(3), "late", 4);
	put(&world, CREDIT_OF(3), "\1\0\0\0", 4);
	put(&world, END_OF(3), "\0\0\0\0", 4);
	assert_int_equal(serve(&world, e), 0);
	assert_int_equal(e->data_len, 0);
	assert_int_equal(e->ends, 0);
	is_refused(e, CREDIT_OF(3), "x", 1, "agent: CREDIT of 1 bytes");
}

static void a_stream_ends_once_and_says_why(void **state)
{
	struct world *w = both();

	(void)state;
	assert_int_equal(mux_open(w->host.mux, 5), 0);
	assert_int_equal(mux_open(w->agent.mux, 5), 0);
	assert_int_equal(mux_end(w->agent.mux, 5, EPIPE), 0);
	assert_int_equal(mux_end(w->agent.mux, 5, 0), 0);
	assert_int_equal(mux_room(w->agent.mux, 5), 0);
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->host.ends, 1);
	assert_int_equal(w->host.error, EPIPE);
	/* The other direction lives on. */
	assert_int_equal(mux_send(w->host.mux, 5, "x", 1), 1);
	assert_int_equal(mux_end(w->host.mux, 5, -7), 0);
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->agent.data_len, 1);
	assert_int_equal(w->agent.error, 0);
}

static void a_stream_that_nobody_reads_does_not_stop_another(void **state)
{
	static char bytes[4096];
	struct world *w = both();
	size_t sent = 0;

	(void)state;
	w->host.use_up = false;
	for (uint32_t i = 1; i <= 2; i++) {
		assert_int_equal(mux_open(w->host.mux, i), 0);
		assert_int_equal(mux_open(w->agent.mux, i), 0);
	}
	while (mux_send(w->agent.mux, 1, bytes, sizeof(bytes)) > 0)
		assert_int_equal(turn(w), 0);
	w->host.use_up = true;
	while (sent < 4 * AGENT_STREAM_CREDIT) {
		const ssize_t n = mux_send(w->agent.mux, 2, bytes, sizeof(bytes));

		assert_true(n > 0);
		sent += (size_t)n;
		assert_int_equal(turn(w), 0);
	}
	assert_int_equal(w->host.data_len, AGENT_STREAM_CREDIT + sent);
	assert_int_equal(mux_room(w->agent.mux, 1), 0);
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static uint32_t sum_of(uint32_t sum, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + (uint8_t)bytes[i];
	return sum;
}

/* What one end has sent, to compare with what the other got. */
struct account {
	size_t len;
	uint32_t sum;
};

static void send_some(struct end *e, struct account *a, const char *bytes, size_t len)
{
	const ssize_t n = mux_send(e->mux, 5, bytes, len);

	assert_true(n >= 0);
	a->len += (size_t)n;
	a->sum = sum_of(a->sum, bytes, (size_t)n);
}

/* Sockets that take a few bytes at a time tear frames everywhere, on both ways at once. */
static void all_comes_whole_through_a_narrow_socket(void **state)
{
	static char bytes[200000];
	struct world *w = both();
	struct account from_host = { 0 }, from_agent = { 0 };
	const int narrow = 1; /* the kernel takes its minimum */
	uint32_t random = 1, serial;
	int asked = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)next_random(&random);
	w->host.use_up = w->agent.use_up = true;
	for (int i = 0; i < 2; i++)
		assert_int_equal(setsockopt(mux_fd(i ? w->host.mux : w->agent.mux), SOL_SOCKET,
					    SO_SNDBUF, &narrow, sizeof(narrow)),
				 0);
	assert_int_equal(mux_open(w->host.mux, 5), 0);
	assert_int_equal(mux_open(w->agent.mux, 5), 0);
	for (int i = 0; i < 4000; i++) {
		const uint32_t at = next_random(&random) % 1000;
		const size_t len = next_random(&random) % (i % 50 ? 3000 : 190000);

		switch (next_random(&random) % 4) {
		case 0:
			send_some(&w->host, &from_host, bytes + at, len);
			break;
		case 1:
			send_some(&w->agent, &from_agent, bytes + at, len);
			break;
		case 2:
			if (mux_ask(w->host.mux, AGENT_DEBUG, bytes + at, len, &serial, NULL) == 0)
				asked++;
			break;
		default:
			for (uint32_t n = next_random(&random) % 4; n > 0; n--) {
				assert_true(ready(w, &w->host) >= 0);
				assert_true(ready(w, &w->agent) >= 0);
			}
		}
		if (w->agent.requests > w->agent.answers) {
			w->agent.answers = w->agent.requests;
			assert_int_equal(mux_answer(w->agent.mux, w->agent.serial, AGENT_DEBUG, 0,
						    bytes, len),
					 0);
		}
	}
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->agent.requests, asked);
	assert_true(asked > 10 && from_host.len > 1000000 && from_agent.len > 1000000);
	assert_int_equal(w->agent.data_len, from_host.len);
	assert_int_equal(w->agent.data_sum, from_host.sum);
	assert_int_equal(w->host.data_len, from_agent.len);
	assert_int_equal(w->host.data_sum, from_agent.sum);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, finish)
	static const struct CMUnitTest tests[] = {
		T(a_stream_stops_at_its_credit_and_goes_on_with_more),
		T(a_stream_that_is_not_there_is_refused),
		T(an_agent_that_lies_about_streams_is_refused),
		T(one_byte_more_than_the_credit_is_refused),
		T(credit_does_not_pile_up_before_an_agent_that_does_not_read),
		T(credit_that_was_owed_is_paid_when_there_is_room),
		T(an_agent_throws_away_what_is_for_no_stream),
		T(frames_of_a_stream_that_was_closed_are_thrown_away),
		T(a_stream_ends_once_and_says_why),
		T(a_stream_that_nobody_reads_does_not_stop_another),
		T(all_comes_whole_through_a_narrow_socket),
	};

	return cmocka_run_group_tests_name("wire/mux_streams", tests, NULL, NULL);
}
