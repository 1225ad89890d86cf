/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two muxes on one loop, pumps at either end: what the test writes at the host's side comes out at
 * the agent's, and the other way. One file, though it is long: every case needs this one world.
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
#include <sys/stat.h>
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

/* The loop has nothing to do: it waits as long as it is told to. */
static void assert_idle(void)
{
	int64_t start;

	settle();
	start = clock_ms();
	assert_int_equal(loop_once(world.loop, 50), 0);
	assert_true(clock_ms() - start >= 45);
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

static void regular_files_are_read_and_written(void **state)
{
	struct world *w = *state;
	const int from = memfd_create("from", MFD_CLOEXEC), to = memfd_create("to", MFD_CLOEXEC);
	const int look = dup(to);

	fill_sent();
	assert_int_equal(write(from, sent, sizeof(sent)), sizeof(sent));
	assert_int_equal(lseek(from, 0, SEEK_SET), 0);
	add(&w->host, 1, from, PUMP_IN);
	add(&w->agent, 1, to, PUMP_OUT);
	UNTIL(w->host.done[1] == 1 && w->agent.done[1] == 1);
	assert_int_equal(pread(look, got, sizeof(got), 0), sizeof(got));
	assert_memory_equal(got, sent, sizeof(sent));
	assert_int_equal(lseek(look, 0, SEEK_END), sizeof(sent));
	(void)close(look);
}

static void a_device_that_is_always_ready_does_not_stop_the_rest(void **state)
{
	struct world *w = *state;
	int from, to, in, out;

	add(&w->host, 1, open("/dev/zero", O_RDONLY | O_CLOEXEC), PUMP_IN);
	add(&w->agent, 1, open("/dev/null", O_WRONLY | O_CLOEXEC), PUMP_OUT);
	pipe_in(&from, &in, 0);
	pipe_in(&out, &to, O_NONBLOCK);
	add(&w->agent, 2, from, PUMP_IN);
	add(&w->host, 2, to, PUMP_OUT);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(write(in, "x", 1), 1);
		UNTIL(read(out, got, 1) == 1);
	}
	(void)close(in);
	(void)close(out);
}

static void a_disk_that_is_full_ends_the_stream_with_its_error(void **state)
{
	struct world *w = *state;
	int from, in;

	pipe_in(&from, &in, 0);
	add(&w->agent, 1, from, PUMP_IN);
	add(&w->host, 1, open("/dev/full", O_WRONLY | O_CLOEXEC), PUMP_OUT);
	assert_int_equal(write(in, "x", 1), 1);
	UNTIL(w->host.done[1] == 1 && w->agent.done[1] == 1);
	assert_int_equal(write(in, "x", 1), -1);
	(void)close(in);
}

static void sockets_carry_streams(void **state)
{
	struct world *w = *state;
	int a[2], b[2];

	fill_sent();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
	add(&w->host, 1, a[0], PUMP_IN);
	add(&w->agent, 1, b[0], PUMP_OUT);
	(void)fcntl(a[1], F_SETFL, O_NONBLOCK);
	(void)fcntl(b[1], F_SETFL, O_NONBLOCK);
	for (size_t at = 0, n = 0; n < (1u << 20);) {
		ssize_t r = at < (1u << 20) ? write(a[1], sent + at, (1u << 20) - at) : 0;

		at += r > 0 ? (size_t)r : 0;
		assert_int_equal(loop_once(w->loop, 0), 0);
		r = read(b[1], got + n, sizeof(got) - n);
		n += r > 0 ? (size_t)r : 0;
	}
	assert_memory_equal(got, sent, 1u << 20);
	(void)close(b[1]);
	UNTIL(w->agent.done[1] == 1 && w->host.done[1] == 1);
	(void)close(a[1]);
}

static void open_terminal(int *ret_master, int *ret_slave)
{
	struct termios raw;
	char name[64];

	*ret_master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*ret_master >= 0);
	assert_int_equal(unlockpt(*ret_master), 0);
	assert_int_equal(ptsname_r(*ret_master, name, sizeof(name)), 0);
	*ret_slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*ret_slave >= 0);
	assert_int_equal(tcgetattr(*ret_slave, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(*ret_slave, TCSANOW, &raw), 0);
}

/* What a user's terminal (master) and a container's program (slave) have between them. */
struct terminals {
	int user, supervisor, agent, program;
};

static struct terminals open_terminals(struct world *w)
{
	struct terminals t;

	open_terminal(&t.user, &t.supervisor);
	open_terminal(&t.agent, &t.program);
	add(&w->host, 1, t.supervisor, PUMP_BOTH);
	add(&w->agent, 1, t.agent, PUMP_BOTH);
	(void)fcntl(t.user, F_SETFL, O_NONBLOCK);
	(void)fcntl(t.program, F_SETFL, O_NONBLOCK);
	return t;
}

static void a_terminal_speaks_both_ways_until_its_program_goes(void **state)
{
	struct world *w = *state;
	struct terminals t = open_terminals(w);

	assert_int_equal(write(t.user, "keys", 4), 4);
	UNTIL(read(t.program, got, sizeof(got)) == 4);
	assert_memory_equal(got, "keys", 4);
	assert_int_equal(write(t.program, "screen", 6), 6);
	UNTIL(read(t.user, got, sizeof(got)) == 6);
	assert_memory_equal(got, "screen", 6);
	assert_int_equal(write(t.program, "bye", 3), 3);
	(void)close(t.program);
	UNTIL(w->agent.done[1] == 1 && w->host.done[1] == 1);
	assert_int_equal(read(t.user, got, sizeof(got)), 3);
	assert_memory_equal(got, "bye", 3);
	assert_idle();
	(void)close(t.user);
}

static void a_user_that_goes_hangs_the_program_up(void **state)
{
	struct world *w = *state;
	struct terminals t = open_terminals(w);
	struct pollfd p = { t.program, POLLIN, 0 };

	assert_int_equal(write(t.user, "last", 4), 4);
	UNTIL(poll(&p, 1, 0) == 1);
	assert_int_equal(read(t.program, got, sizeof(got)), 4);
	(void)close(t.user);
	UNTIL(w->agent.done[1] == 1 && w->host.done[1] == 1);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_true(p.revents & POLLHUP);
	(void)close(t.program);
}

/* The program neither reads nor lives, its last words are long: they come all the same. */
static void what_a_program_said_before_it_went_is_read_though_it_left_keys_unread(void **state)
{
	struct world *w = *state;
	struct terminals t = open_terminals(w);
	size_t said = 0, keys = 0, n = 0;

	fill_sent();
	for (int quiet = 0; quiet < 50; quiet++) {
		const ssize_t r = write(t.user, sent, 4096);

		if (r > 0) {
			keys += (size_t)r;
			quiet = 0;
		}
		assert_int_equal(loop_once(w->loop, 0), 0);
	}
	assert_true(keys > 4096);
	for (ssize_t r; said < 20000 && (r = write(t.program, sent + said, 20000 - said)) > 0;)
		said += (size_t)r;
	(void)close(t.program);
	while (w->host.done[1] == 0 || n < said) {
		const ssize_t r = read(t.user, got + n, sizeof(got) - n);

		n += r > 0 ? (size_t)r : 0;
		if (n < said)
			assert_int_equal(loop_once(w->loop, 10), 0);
		else
			UNTIL(w->host.done[1] == 1);
	}
	assert_int_equal(n, said);
	assert_memory_equal(got, sent, said);
	assert_int_equal(w->agent.done[1], 1);
	(void)close(t.user);
}

/* The user stops to read for a while, then goes on: so does the program. */
static void a_terminal_that_was_full_goes_on(void **state)
{
	struct world *w = *state;
	struct terminals t = open_terminals(w);
	size_t said = 0, n = 0;

	fill_sent();
	for (int quiet = 0; quiet < 100;) {
		const ssize_t r = write(t.program, sent + said, sizeof(sent) - said);

		quiet = r > 0 ? 0 : quiet + 1;
		said += r > 0 ? (size_t)r : 0;
		assert_int_equal(loop_once(w->loop, 1), 0);
	}
	assert_in_range(said, AGENT_STREAM_CREDIT, sizeof(sent) - 1);
	for (const int64_t end = clock_ms() + 60000; n < sizeof(got) && clock_ms() < end;) {
		ssize_t r = said < sizeof(sent) ? write(t.program, sent + said, sizeof(sent) - said)
						: 0;

		said += r > 0 ? (size_t)r : 0;
		assert_int_equal(loop_once(w->loop, 1), 0);
		r = read(t.user, got + n, sizeof(got) - n);
		n += r > 0 ? (size_t)r : 0;
	}
	assert_int_equal(n, sizeof(got));
	assert_memory_equal(got, sent, sizeof(got));
	(void)close(t.program);
	(void)close(t.user);
}

static void draining_a_terminal_takes_its_last_words(void **state)
{
	struct world *w = *state;
	struct terminals t = open_terminals(w);

	settle();
	assert_int_equal(write(t.program, "bye", 3), 3);
	pump_drain(w->agent.pumps[1]);
	assert_int_equal(w->agent.done[1], 1);
	UNTIL(w->host.done[1] == 1);
	assert_int_equal(read(t.user, got, sizeof(got)), 3);
	(void)close(t.program);
	(void)close(t.user);
}

/* A fifo's description does not know RWF_NOWAIT: small writes behind events. */
static void a_pipe_that_blocks_does_not_block_us(void **state)
{
	struct world *w = *state;
	char dir[] = "/tmp/test_pump.XXXXXX", path[64];
	int from, to, in, out;
	size_t at = 0, n = 0;

	fill_sent();
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	out = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	to = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(out >= 0 && to >= 0);
	(void)unlink(path);
	(void)rmdir(dir);
	pipe_in(&from, &in, 0);
	(void)fcntl(in, F_SETFL, O_NONBLOCK);
	add(&w->agent, 1, from, PUMP_IN);
	add(&w->host, 1, to, PUMP_OUT);
	for (int quiet = 0; quiet < 100; quiet++) {
		const ssize_t r = write(in, sent + at, sizeof(sent) - at);

		if (r > 0) {
			at += (size_t)r;
			quiet = 0;
		}
		assert_int_equal(loop_once(w->loop, 0), 0);
	}
	assert_in_range(at, AGENT_STREAM_CREDIT, sizeof(sent) - 1);
	while (n < at) {
		const ssize_t r = read(out, got + n, sizeof(got) - n);

		n += r > 0 ? (size_t)r : 0;
		assert_int_equal(loop_once(w->loop, 0), 0);
	}
	assert_memory_equal(got, sent, at);
	(void)close(in);
	(void)close(out);
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
#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)
	static const struct CMUnitTest tests[] = {
		T(what_cannot_be_a_pump_is_refused_and_closed),
		T(what_comes_before_the_descriptor_is_kept),
		T(an_end_before_the_descriptor_follows_what_came),
		T(the_flags_of_a_description_stay_as_they_are),
		T(a_stream_without_credit_costs_no_time),
		T(draining_ends_a_stream_whose_writers_live_on),
		T(draining_waits_for_credit_and_takes_what_lay_there_alone),
		T(regular_files_are_read_and_written),
		T(a_device_that_is_always_ready_does_not_stop_the_rest),
		T(a_disk_that_is_full_ends_the_stream_with_its_error),
		T(sockets_carry_streams),
		T(a_terminal_speaks_both_ways_until_its_program_goes),
		T(a_user_that_goes_hangs_the_program_up),
		T(what_a_program_said_before_it_went_is_read_though_it_left_keys_unread),
		T(a_terminal_that_was_full_goes_on),
		T(draining_a_terminal_takes_its_last_words),
		T(a_pipe_that_blocks_does_not_block_us),
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
