/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pumps (wire/pump.h): what goes through, credit, ends of streams and of carriers.
 */
#include "pump_world.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void what_cannot_be_a_pump_is_refused_and_closed(void **state)
{
	struct world *w = *state;
	struct pump *none = NULL;
	struct err err = { 0 };
	int fds[2];

	assert_int_equal(
		pump_new(w->loop, w->host.mux, 1, -EBADF, PUMP_IN, on_done, &w->host, &none, &err),
		-EBADF);
	assert_says(err, "stream 1");
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(mux_open(w->host.mux, 1), 0);
	assert_int_equal(
		pump_new(w->loop, w->host.mux, 1, fds[0], PUMP_IN, on_done, &w->host, &none, &err),
		-EEXIST);
	assert_says(err, "open stream 1");
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	assert_int_equal(pump_new(w->loop, w->host.mux, 65536, fds[1], PUMP_IN, on_done, &w->host,
				  &none, &err),
			 -EINVAL);
	assert_int_equal(fcntl(fds[1], F_GETFD), -1);
	assert_null(none);
	pump_free(NULL);
}

static void open_later(struct end *e, uint32_t stream, enum pump_direction direction)
{
	assert_int_equal(pump_new_open(world.loop, e->mux, stream, direction, on_done, e,
				       &e->pumps[stream], NULL),
			 0);
	assert_int_equal(pump_fd(e->pumps[stream]), -EBADF);
}

static void what_comes_before_the_descriptor_is_kept(void **state)
{
	struct world *w = *state;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(mux_open(w->host.mux, 1), 0);
	open_later(&w->agent, 1, PUMP_BOTH);
	fill_sent();
	assert_int_equal(mux_send(w->host.mux, 1, sent, 1000), 1000);
	settle();
	pump_room(w->agent.pumps[1]);
	assert_int_equal(w->agent.done[1], 0);
	assert_int_equal(pump_attach(w->agent.pumps[1], pair[0], NULL), 0);
	assert_int_equal(read(pair[1], got, sizeof(got)), 1000);
	assert_memory_equal(got, sent, 1000);
	(void)close(pair[1]);
	UNTIL(w->agent.done[1]);
}

static void an_end_before_the_descriptor_follows_what_came(void **state)
{
	struct world *w = *state;
	struct err err = { 0 };
	int fds[2];

	open_later(&w->agent, 2, PUMP_OUT);
	assert_true(pump_attach(w->agent.pumps[2], -EBADF, &err) < 0);
	assert_says(err, "stream 2");
	pump_data(w->agent.pumps[2], "abc", 3);
	pump_end(w->agent.pumps[2], 0);
	assert_int_equal(w->agent.done[2], 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(pump_attach(w->agent.pumps[2], fds[1], NULL), 0);
	assert_int_equal(w->agent.done[2], 1);
	assert_int_equal(read(fds[0], got, sizeof(got)), 3);
	assert_int_equal(read(fds[0], got, sizeof(got)), 0);
	(void)close(fds[0]);
}

static void the_flags_of_a_description_stay_as_they_are(void **state)
{
	struct world *w = *state;
	int from, to, in, out, shared[2];

	pipe_in(&from, &in, 0);
	pipe_in(&out, &to, O_NONBLOCK);
	shared[0] = dup(from);
	shared[1] = dup(to);
	add(&w->agent, 1, from, PUMP_IN);
	add(&w->host, 1, to, PUMP_OUT);
	assert_int_equal(write(in, "x", 1), 1);
	UNTIL(read(out, got, 1) == 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fcntl(shared[i], F_GETFL) & O_NONBLOCK, 0);
		(void)close(shared[i]);
	}
	(void)close(in);
	(void)close(out);
}

/* Fill the stream, of which the other end (no pump) gives nothing back. */
static void use_up_credit(struct end *e, uint32_t stream, int in)
{
	static const char bytes[4096];

	assert_int_equal(fcntl(in, F_SETFL, O_NONBLOCK), 0);
	while (mux_room(e->mux, stream) > 0) {
		(void)!write(in, bytes, sizeof(bytes));
		assert_int_equal(loop_once(world.loop, 0), 0);
	}
}

static void sink_data(void *arg, uint32_t stream, const void *bytes, size_t len)
{
	size_t *const n = arg;

	(void)stream;
	(void)bytes;
	*n += len;
}

static void sink_end(void *arg, uint32_t stream, int error)
{
	(void)arg;
	(void)stream;
	(void)error;
}

/* In the host's place: data is counted, credit not given back. */
static size_t sunk;

static void sink_at_the_host(struct world *w)
{
	static const struct mux_ops ops = { .data = sink_data, .end = sink_end };
	int fds[2];

	loop_remove(w->host.source);
	loop_remove(w->agent.source);
	mux_free(w->host.mux);
	mux_free(w->agent.mux);
	w->host.source = NULL;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	sunk = 0;
	assert_int_equal(mux_new(fds[0], MUX_HOST, &ops, &sunk, &w->host.mux), 0);
	assert_int_equal(
		loop_add_fd(w->loop, fds[0], EPOLLIN | EPOLLOUT, on_mux, &w->host, &w->host.source),
		0);
	start_end(w, &w->agent, fds[1], MUX_AGENT);
	UNTIL(mux_greeted(w->host.mux));
	assert_int_equal(loop_set_events(w->host.source, EPOLLIN), 0);
}

static void a_stream_without_credit_costs_no_time(void **state)
{
	struct world *w = *state;
	int from, in;

	sink_at_the_host(w);
	assert_int_equal(mux_open(w->host.mux, 1), 0);
	pipe_in(&from, &in, 0);
	add(&w->agent, 1, from, PUMP_IN);
	assert_idle();
	use_up_credit(&w->agent, 1, in);
	assert_int_equal(write(in, "x", 1), 1);
	assert_idle();
	(void)close(in);
	/* The pipe has hung up, which epoll would tell for ever. */
	assert_idle();
	assert_int_equal(w->agent.done[1], 0);
	assert_int_equal(sunk, AGENT_STREAM_CREDIT);
	assert_int_equal(mux_credit(w->host.mux, 1, sunk), 0);
	UNTIL(w->agent.done[1] == 1);
	UNTIL(sunk == AGENT_STREAM_CREDIT + 1);
}

static void draining_ends_a_stream_whose_writers_live_on(void **state)
{
	struct world *w = *state;
	int from, to, in, out;

	pipe_in(&from, &in, 0);
	pipe_in(&out, &to, O_NONBLOCK);
	add(&w->agent, 1, from, PUMP_IN);
	add(&w->host, 1, to, PUMP_OUT);
	assert_int_equal(write(in, "last words", 10), 10);
	pump_drain(w->agent.pumps[1]);
	assert_int_equal(w->agent.done[1], 1);
	assert_int_equal(write(in, "x", 1), -1);
	UNTIL(w->host.done[1] == 1);
	assert_int_equal(read(out, got, sizeof(got)), 10);
	assert_memory_equal(got, "last words", 10);
	(void)close(in);
	(void)close(out);
}

static void draining_waits_for_credit_and_takes_what_lay_there_alone(void **state)
{
	struct world *w = *state;
	int from, in;

	sink_at_the_host(w);
	assert_int_equal(mux_open(w->host.mux, 1), 0);
	pipe_in(&from, &in, 0);
	add(&w->agent, 1, from, PUMP_IN);
	use_up_credit(&w->agent, 1, in);
	/* What is in the pipe beyond the credit, and then the last word. */
	(void)fcntl(from, F_SETFL, O_NONBLOCK);
	while (read(from, got, sizeof(got)) > 0)
		;
	assert_int_equal(write(in, "12345", 5), 5);
	pump_drain(w->agent.pumps[1]);
	pump_drain(w->agent.pumps[1]);
	assert_int_equal(write(in, "later", 5), 5);
	assert_idle();
	assert_int_equal(w->agent.done[1], 0);
	assert_int_equal(mux_credit(w->host.mux, 1, AGENT_STREAM_CREDIT), 0);
	UNTIL(w->agent.done[1] == 1);
	settle();
	assert_int_equal(sunk, AGENT_STREAM_CREDIT + 5);
	(void)close(in);
}

static void what_is_written_at_one_end_comes_out_at_the_other(void **state)
{
	struct world *w = *state;
	int from, to, in, out;
	size_t at = 0, n = 0;

	fill_sent();
	pipe_in(&from, &in, 0);
	pipe_in(&out, &to, O_NONBLOCK);
	assert_int_equal(fcntl(in, F_SETFL, O_NONBLOCK), 0);
	add(&w->agent, 1, from, PUMP_IN);
	add(&w->host, 1, to, PUMP_OUT);
	while (n < sizeof(got)) {
		ssize_t r = at < sizeof(sent) ? write(in, sent + at, sizeof(sent) - at) : 0;

		at += r > 0 ? (size_t)r : 0;
		assert_int_equal(loop_once(w->loop, 0), 0);
		r = read(out, got + n, sizeof(got) - n);
		n += r > 0 ? (size_t)r : 0;
	}
	assert_memory_equal(got, sent, sizeof(sent));
	assert_int_equal(w->agent.done[1], 0);
	(void)close(in);
	UNTIL(w->agent.done[1] == 1 && w->host.done[1] == 1);
	assert_int_equal(read(out, got, 1), 0);
	(void)close(out);
}

/* The queue is never empty and its beginning moves on. */
static void a_reader_in_small_sips_gets_all(void **state)
{
	struct world *w = *state;
	int from, to, in, out;
	size_t at = 0, n = 0;

	fill_sent();
	pipe_in(&from, &in, 0);
	pipe_in(&out, &to, O_NONBLOCK);
	assert_int_equal(fcntl(in, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(to, F_SETFL, O_NONBLOCK), 0);
	add(&w->agent, 1, from, PUMP_IN);
	add(&w->host, 1, to, PUMP_OUT);
	for (const int64_t end = clock_ms() + 60000; n < sizeof(got) && clock_ms() < end;) {
		ssize_t r;

		do {
			r = at < sizeof(sent) ? write(in, sent + at, sizeof(sent) - at) : 0;
			at += r > 0 ? (size_t)r : 0;
			assert_int_equal(loop_once(w->loop, 0), 0);
		} while (r > 0);
		r = read(out, got + n, sizeof(got) - n < 5000 ? sizeof(got) - n : 5000);
		n += r > 0 ? (size_t)r : 0;
	}
	assert_int_equal(n, sizeof(got));
	assert_memory_equal(got, sent, sizeof(sent));
	(void)close(in);
	(void)close(out);
}

static void a_reader_that_is_gone_is_told_to_the_writer(void **state)
{
	struct world *w = *state;
	int from, to, in, out;

	pipe_in(&from, &in, 0);
	pipe_in(&out, &to, 0);
	add(&w->agent, 1, from, PUMP_IN);
	add(&w->host, 1, to, PUMP_OUT);
	settle();
	assert_int_equal(w->agent.done[1], 0);
	(void)close(out);
	UNTIL(w->agent.done[1] == 1);
	assert_int_equal(w->host.done[1], 1);
	assert_int_equal(write(in, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	(void)close(in);
}

static void a_stream_that_nobody_reads_stops_alone(void **state)
{
	struct world *w = *state;
	int from[2], to[2], in[2], out[2];
	char bytes[4096] = { 0 };
	size_t stuck = 0;

	for (uint32_t i = 0; i < 2; i++) {
		pipe_in(&from[i], &in[i], 0);
		pipe_in(&out[i], &to[i], O_NONBLOCK);
		assert_int_equal(fcntl(in[i], F_SETFL, O_NONBLOCK), 0);
		add(&w->agent, i + 1, from[i], PUMP_IN);
		add(&w->host, i + 1, to[i], PUMP_OUT);
	}
	/* Nobody reads out[0]. */
	for (int quiet = 0; quiet < 100; quiet++) {
		ssize_t n;

		while ((n = write(in[0], bytes, sizeof(bytes))) > 0) {
			stuck += (size_t)n;
			quiet = 0;
		}
		assert_int_equal(loop_once(w->loop, 0), 0);
	}
	/* Two pipes and the credit. */
	assert_in_range(stuck, AGENT_STREAM_CREDIT, AGENT_STREAM_CREDIT + (256u << 10));
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(write(in[1], &i, sizeof(i)), sizeof(i));
		UNTIL(read(out[1], got, sizeof(i)) == sizeof(i));
		assert_memory_equal(got, &i, sizeof(i));
	}
	while (stuck > 0) {
		const ssize_t n = read(out[0], got, sizeof(got));

		stuck -= n > 0 ? (size_t)n : 0;
		assert_int_equal(loop_once(w->loop, 0), 0);
	}
	for (int i = 0; i < 2; i++) {
		(void)close(in[i]);
		(void)close(out[i]);
	}
}

/* ---- Carriers ---- */

/* The other end of the host's side is a carrier's, which the test plays. */
static int add_carried(struct world *w, int *ret_in)
{
	int pair[2], from;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pipe_in(&from, ret_in, 0);
	add(&w->agent, 1, from, PUMP_IN);
	add(&w->host, 1, pair[0], PUMP_OUT);
	pump_await_carrier(w->host.pumps[1]);
	return pair[1];
}

static void what_a_carrier_has_is_not_over_before_it_ends(void **state)
{
	struct world *w = *state;
	int in;
	const int carrier = add_carried(w, &in);

	assert_int_equal(write(in, "last", 4), 4);
	(void)close(in);
	UNTIL(recv(carrier, got, sizeof(got), MSG_DONTWAIT) == 4);
	/* The end of what comes is told to it. */
	UNTIL(recv(carrier, got, sizeof(got), MSG_DONTWAIT) == 0);
	settle();
	assert_int_equal(w->host.done[1], 0);
	(void)close(carrier);
	UNTIL(w->host.done[1] == 1);
}

static void a_carrier_that_ends_first_is_a_reader_that_is_gone(void **state)
{
	struct world *w = *state;
	int in;
	const int carrier = add_carried(w, &in);

	settle();
	(void)close(carrier);
	UNTIL(w->agent.done[1] == 1 && w->host.done[1] == 1);
	assert_int_equal(write(in, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	(void)close(in);
}

/* It waits for a carrier that ends, and not for long for one that does not. */
static void a_carrier_has_a_time_to_finish(void **state)
{
	struct world *w = *state;
	const int64_t begun = clock_ms();
	int in;
	const int carrier = add_carried(w, &in);

	settle();
	pump_finish(w->host.pumps[1], 20);
	assert_in_range(clock_ms() - begun, 20, 30000);
	assert_int_equal(recv(carrier, got, sizeof(got), MSG_DONTWAIT), 0);
	(void)close(carrier);
	pump_finish(w->host.pumps[1], 3600000);
	(void)close(in);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(what_cannot_be_a_pump_is_refused_and_closed),
		T(what_comes_before_the_descriptor_is_kept),
		T(an_end_before_the_descriptor_follows_what_came),
		T(the_flags_of_a_description_stay_as_they_are),
		T(a_stream_without_credit_costs_no_time),
		T(draining_ends_a_stream_whose_writers_live_on),
		T(draining_waits_for_credit_and_takes_what_lay_there_alone),
		T(a_reader_in_small_sips_gets_all),
		T(a_reader_that_is_gone_is_told_to_the_writer),
		T(a_stream_that_nobody_reads_stops_alone),
		T(what_a_carrier_has_is_not_over_before_it_ends),
		T(a_carrier_that_ends_first_is_a_reader_that_is_gone),
		T(a_carrier_has_a_time_to_finish),
		T(what_is_written_at_one_end_comes_out_at_the_other),
	};

	return cmocka_run_group_tests_name("wire/pump", tests, NULL, NULL);
}
