/* SPDX-License-Identifier: Apache-2.0 */
/* A connection behind two streams, at the agent's end: the host's is the test's own. */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "unit/wire/until.h"
#include "wire/relay.h"

#define OUT 1u /* stream: from the host to the socket */
#define IN  2u

struct end {
	struct mux *mux;
	struct loop_source *source;
};

static struct world {
	struct loop *loop;
	struct end host, agent;
	struct relay relay;
	int peer; /* of the relay's socket */
	int over;
} world;

static void greet(void *arg, const struct agent_hello *hello)
{
	const struct end *e = arg;

	(void)hello;
	assert_int_equal(mux_greet(e->mux, &(struct agent_hello){ .release = "6.1" }), 0);
}

static void on_data(void *arg, uint32_t stream, const void *bytes, size_t len)
{
	struct pump *pump = relay_pump(&world.relay, stream);

	if (arg == &world.agent && pump)
		pump_data(pump, bytes, len);
}

static void on_end(void *arg, uint32_t stream, int error)
{
	struct pump *pump = relay_pump(&world.relay, stream);

	if (arg == &world.agent && pump)
		relay_end(&world.relay, pump, error);
}

static uint32_t epoll_of(short events)
{
	return (events & POLLIN ? EPOLLIN : 0u) | (events & POLLOUT ? EPOLLOUT : 0u);
}

static void on_poll(void *arg)
{
	const struct end *e = arg;

	if (e->source)
		assert_int_equal(loop_set_events(e->source, epoll_of(mux_events(e->mux))), 0);
}

static void on_mux(void *arg, int fd, uint32_t events)
{
	const struct end *e = arg;
	struct err err = { 0 };

	(void)fd;
	assert_int_equal(mux_ready(e->mux, (short)events, &err), 0);
}

static void start_end(struct end *e, int fd, enum mux_role role)
{
	const struct mux_ops ops = { .hello = role == MUX_AGENT ? greet : NULL,
				     .data = on_data,
				     .end = on_end,
				     .poll = on_poll };

	assert_int_equal(mux_new(fd, role, &ops, e, &e->mux), 0);
	assert_int_equal(
		loop_add_fd(world.loop, fd, epoll_of(mux_events(e->mux)), on_mux, e, &e->source),
		0);
}

static void on_over(void *arg, struct relay *relay)
{
	struct world *w = arg;

	w->over++;
	relay_done(relay);
}

/* A connected one, of which the socket takes less than the stream's credit is. */
static int start(void **state)
{
	const int small = 4096;
	struct err err = { 0 };
	int channel[2], ends[2];

	(void)state;
	memset(&world, 0, sizeof(world));
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
			 0);
	assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	assert_int_equal(loop_new(&world.loop), 0);
	start_end(&world.host, channel[0], MUX_HOST);
	start_end(&world.agent, channel[1], MUX_AGENT);
	UNTIL(mux_greeted(world.host.mux));
	assert_int_equal(mux_open(world.host.mux, OUT), 0);
	assert_int_equal(mux_open(world.host.mux, IN), 0);
	world.relay = (struct relay)RELAY_INIT;
	world.relay.over = on_over;
	world.relay.arg = &world;
	assert_int_equal(relay_open(&world.relay, world.loop, world.agent.mux, IN, OUT, &err), 0);
	assert_int_equal(relay_attach(&world.relay, ends[0], &err), 0);
	world.peer = ends[1];
	return 0;
}

static int stop(void **state)
{
	(void)state;
	relay_done(&world.relay);
	loop_remove(world.host.source);
	loop_remove(world.agent.source);
	mux_free(world.host.mux);
	mux_free(world.agent.mux);
	loop_free(world.loop);
	(void)close(world.peer);
	return 0;
}

/* As much as the stream takes, then the end of a connection that broke. */
static size_t say_and_break(void)
{
	static char bytes[AGENT_STREAM_CREDIT];
	const ssize_t n = mux_send(world.host.mux, OUT, bytes, sizeof(bytes));

	assert_int_equal(n, sizeof(bytes));
	assert_int_equal(mux_end(world.host.mux, OUT, ECONNRESET), 0);
	assert_int_equal(mux_end(world.host.mux, IN, ECONNRESET), 0);
	UNTIL(!relay_pump(&world.relay, IN));
	return (size_t)n;
}

static void what_came_before_a_break_is_read(void **state)
{
	char bytes[4096];
	size_t left;
	ssize_t n;

	(void)state;
	left = say_and_break();
	while (left > 0) {
		assert_int_equal(world.over, 0);
		UNTIL((n = read(world.peer, bytes, sizeof(bytes))) > 0);
		left -= (size_t)n;
	}
	UNTIL(world.over == 1);
	assert_int_equal(read(world.peer, bytes, 1), 0);
}

static void who_does_not_read_keeps_no_broken_connection(void **state)
{
	const int64_t begin = clock_ms();
	char bytes[4096];
	size_t len = 0;
	ssize_t n;

	(void)state;
	(void)say_and_break();
	assert_int_equal(world.over, 0);
	UNTIL(world.over == 1);
	assert_true(clock_ms() - begin >= RELAY_LAST_MS);
	while ((n = read(world.peer, bytes, sizeof(bytes))) > 0)
		len += (size_t)n;
	assert_int_equal(n, 0);
	assert_true(len < AGENT_STREAM_CREDIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_came_before_a_break_is_read, start, stop),
		cmocka_unit_test_setup_teardown(who_does_not_read_keeps_no_broken_connection, start,
						stop),
	};

	return cmocka_run_group_tests_name("wire/relay", tests, NULL, NULL);
}
