/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two muxes on one loop, pumps at either end: what the test writes at the host's side comes out at
 * the agent's, and the other way.
 */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "wire/pump.h"

#define STREAMS 4 /* numbers below it */
#define BIG	(3u << 20)

struct end {
	struct mux *mux;
	struct loop_source *source;
	struct pump *pumps[STREAMS];
	int done[STREAMS];
	int error; /* of the mux */
};

static struct world {
	struct loop *loop;
	struct end host, agent;
} world;

static char sent[BIG], got[BIG];

/* Serve until the condition holds: 60 s at the most. */
#define UNTIL(condition)                                                    \
	do {                                                                \
		const int64_t end_ = clock_ms() + 60000;                    \
		while (!(condition)) {                                      \
			assert_int_equal(loop_once(world.loop, 100), 0);    \
			if (clock_ms() > end_)                              \
				fail_msg("line %d: " #condition, __LINE__); \
		}                                                           \
	} while (0)

static void greet(void *arg, const struct agent_hello *hello)
{
	struct end *e = arg;

	(void)hello;
	assert_int_equal(mux_greet(e->mux, &(struct agent_hello){ .release = "6.1" }), 0);
}

static void on_data(void *arg, uint32_t stream, const void *bytes, size_t len)
{
	struct end *e = arg;

	assert_non_null(e->pumps[stream]);
	pump_data(e->pumps[stream], bytes, len);
}

static void on_end(void *arg, uint32_t stream, int error)
{
	struct end *e = arg;

	if (e->pumps[stream])
		pump_end(e->pumps[stream], error);
}

static void on_room(void *arg, uint32_t stream)
{
	struct end *e = arg;

	for (uint32_t i = 1; i < STREAMS; i++)
		if (e->pumps[i] && (stream == 0 || stream == i))
			pump_room(e->pumps[i]);
}

static uint32_t epoll_of(short events)
{
	return (events & POLLIN ? EPOLLIN : 0u) | (events & POLLOUT ? EPOLLOUT : 0u);
}

static void on_poll(void *arg)
{
	struct end *e = arg;

	if (e->source)
		assert_int_equal(loop_set_events(e->source, epoll_of(mux_events(e->mux))), 0);
}

static void on_mux(void *arg, int fd, uint32_t events)
{
	struct end *e = arg;
	struct err err = { 0 };

	(void)fd;
	e->error = mux_ready(e->mux, (short)events, &err);
	if (e->error) {
		loop_remove(e->source);
		e->source = NULL;
	}
}

static void start_end(struct world *w, struct end *e, int fd, enum mux_role role)
{
	const struct mux_ops ops = { .hello = role == MUX_AGENT ? greet : NULL,
				     .data = on_data,
				     .end = on_end,
				     .room = on_room,
				     .poll = on_poll };

	assert_int_equal(mux_new(fd, role, &ops, e, &e->mux), 0);
	assert_int_equal(
		loop_add_fd(w->loop, fd, epoll_of(mux_events(e->mux)), on_mux, e, &e->source), 0);
}

static int start(void **state)
{
	struct world *w = &world;
	int fds[2];

	memset(w, 0, sizeof(*w));
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(loop_new(&w->loop), 0);
	start_end(w, &w->host, fds[0], MUX_HOST);
	start_end(w, &w->agent, fds[1], MUX_AGENT);
	UNTIL(mux_greeted(w->host.mux));
	*state = w;
	return 0;
}

static int finish(void **state)
{
	struct world *w = *state;
	struct end *ends[] = { &w->host, &w->agent };

	for (int i = 0; i < 2; i++) {
		for (int j = 0; j < STREAMS; j++)
			pump_free(ends[i]->pumps[j]);
		loop_remove(ends[i]->source);
		mux_free(ends[i]->mux);
	}
	loop_free(w->loop);
	return 0;
}

static void on_done(void *arg, struct pump *pump)
{
	struct end *e = arg;
	const uint32_t stream = pump_stream(pump);

	assert_ptr_equal(e->pumps[stream], pump);
	assert_int_equal(pump_fd(pump), -EBADF);
	e->done[stream]++;
	e->pumps[stream] = NULL;
	pump_free(pump);
}

static void add(struct end *e, uint32_t stream, int fd, enum pump_direction direction)
{
	assert_int_equal(pump_new(world.loop, e->mux, stream, fd, direction, on_done, e,
				  &e->pumps[stream], NULL),
			 0);
}

/* Until nothing happens any more. */
static void settle(void)
{
	for (int i = 0; i < 200; i++)
		assert_int_equal(loop_once(world.loop, 0), 0);
}

/* A pipe of which the test's end does not wait, and the pump's does as `flags` say. */
static void pipe_in(int *ret_read, int *ret_write, int flags)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	*ret_read = fds[0];
	*ret_write = fds[1];
	if (flags)
		assert_int_equal(fcntl(*ret_read, F_SETFL, flags), 0);
}

static void fill_sent(void)
{
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (char)(i * 7 + i / 251);
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

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)
	static const struct CMUnitTest tests[] = {
		T(a_reader_that_is_gone_is_told_to_the_writer),
		T(a_stream_that_nobody_reads_stops_alone),
		T(what_is_written_at_one_end_comes_out_at_the_other),
	};

	return cmocka_run_group_tests_name("wire/pump", tests, NULL, NULL);
}
