/* SPDX-License-Identifier: Apache-2.0 */
#include "pump_world.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct world world;

char sent[BIG], got[BIG];

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

void on_mux(void *arg, int fd, uint32_t events)
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

void start_end(struct world *w, struct end *e, int fd, enum mux_role role)
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

int start(void **state)
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

int finish(void **state)
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

void on_done(void *arg, struct pump *pump)
{
	struct end *e = arg;
	const uint32_t stream = pump_stream(pump);

	assert_ptr_equal(e->pumps[stream], pump);
	assert_int_equal(pump_fd(pump), -EBADF);
	e->done[stream]++;
	e->pumps[stream] = NULL;
	pump_free(pump);
}

void add(struct end *e, uint32_t stream, int fd, enum pump_direction direction)
{
	assert_int_equal(pump_new(world.loop, e->mux, stream, fd, direction, on_done, e,
				  &e->pumps[stream], NULL),
			 0);
}

void settle(void)
{
	for (int i = 0; i < 200; i++)
		assert_int_equal(loop_once(world.loop, 0), 0);
}

void pipe_in(int *ret_read, int *ret_write, int flags)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	*ret_read = fds[0];
	*ret_write = fds[1];
	if (flags)
		assert_int_equal(fcntl(*ret_read, F_SETFL, flags), 0);
}

void fill_sent(void)
{
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (char)(i * 7 + i / 251);
}

void assert_idle(void)
{
	int64_t start;

	settle();
	start = clock_ms();
	assert_int_equal(loop_once(world.loop, 50), 0);
	assert_true(clock_ms() - start >= 45);
}
