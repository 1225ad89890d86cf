/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/wire/mux_world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct world world;

static void keep(struct end *e, const void *body, size_t len)
{
	e->body_len = len;
	memcpy(e->body, body, len < sizeof(e->body) ? len : sizeof(e->body));
}

static void on_hello(void *arg, const struct agent_hello *hello)
{
	struct end *e = arg;

	e->hellos++;
	e->hello = *hello;
}

static void greet(void *arg, const struct agent_hello *hello)
{
	struct end *e = arg;
	const struct agent_hello mine = { .kernel_ns = 1, .agent_ns = 2, .release = "6.1" };

	on_hello(arg, hello);
	assert_int_equal(mux_greet(e->mux, &mine), 0);
}

static void on_request(void *arg, uint32_t serial, enum agent_call call, const void *body,
		       size_t len)
{
	struct end *e = arg;

	e->requests++;
	e->serial = serial;
	e->number = call;
	keep(e, body, len);
}

static void on_answer(void *arg, uint32_t serial, enum agent_call call, int error, const void *body,
		      size_t len)
{
	struct end *e = arg;

	e->answers++;
	e->serial = serial;
	e->number = call;
	e->error = error;
	keep(e, body, len);
	if (error)
		assert_int_equal(((const char *)body)[len], '\0');
}

static void on_event(void *arg, enum agent_event event, const void *body, size_t len)
{
	struct end *e = arg;

	e->events++;
	e->number = event;
	keep(e, body, len);
}

static void on_data(void *arg, uint32_t stream, const void *bytes, size_t len)
{
	struct end *e = arg;

	e->stream = stream;
	e->data_len += len;
	for (size_t i = 0; i < len; i++)
		e->data_sum = e->data_sum * 31 + ((const uint8_t *)bytes)[i];
	if (e->use_up)
		assert_int_equal(mux_credit(e->mux, stream, len), 0);
}

static void on_end(void *arg, uint32_t stream, int error)
{
	struct end *e = arg;

	e->ends++;
	e->stream = stream;
	e->error = error;
}

static void on_room(void *arg, uint32_t stream)
{
	struct end *e = arg;

	e->rooms++;
	e->stream = stream;
}

static void on_poll(void *arg)
{
	struct end *e = arg;

	e->polls++;
}

const struct mux_ops host_ops = { .hello = on_hello,
				  .answer = on_answer,
				  .event = on_event,
				  .data = on_data,
				  .end = on_end,
				  .room = on_room,
				  .poll = on_poll };
const struct mux_ops agent_ops = { .hello = greet,
				   .request = on_request,
				   .data = on_data,
				   .end = on_end,
				   .room = on_room,
				   .poll = on_poll };

void pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

struct world *start(void)
{
	memset(&world, 0, sizeof(world));
	world.peer = -EBADF;
	return &world;
}

struct end *alone(struct world *w, enum mux_role role)
{
	struct end *e = role == MUX_HOST ? &w->host : &w->agent;
	int fds[2];

	pair(fds);
	w->peer = fds[1];
	assert_int_equal(fcntl(w->peer, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(
		mux_new(fds[0], role, role == MUX_HOST ? &host_ops : &agent_ops, e, &e->mux), 0);
	return e;
}

int finish(void **state)
{
	(void)state;
	mux_free(world.host.mux);
	mux_free(world.agent.mux);
	if (world.peer >= 0)
		(void)close(world.peer);
	return 0;
}

int ready(struct world *w, struct end *e)
{
	struct pollfd p = { mux_fd(e->mux), mux_events(e->mux), 0 };

	assert_true(poll(&p, 1, 0) >= 0);
	return p.revents ? mux_ready(e->mux, p.revents, &w->err) : 1;
}

int turn(struct world *w)
{
	for (;;) {
		const int a = ready(w, &w->host), b = ready(w, &w->agent);

		if (a < 0 || b < 0)
			return a < 0 ? a : b;
		if (a > 0 && b > 0)
			return 0;
	}
}

struct world *both(void)
{
	struct world *w = start();
	int fds[2];

	pair(fds);
	assert_int_equal(mux_new(fds[0], MUX_HOST, &host_ops, &w->host, &w->host.mux), 0);
	assert_int_equal(mux_new(fds[1], MUX_AGENT, &agent_ops, &w->agent, &w->agent.mux), 0);
	assert_int_equal(turn(w), 0);
	return w;
}

/* ---- By hand ---- */

void put(struct world *w, struct agent_head head, const void *body, size_t len)
{
	char bytes[sizeof(head) + 1024];

	assert_true(len <= 1024);
	if (head.length == 0)
		head.length = (uint32_t)len;
	memcpy(bytes, &head, sizeof(head));
	if (len)
		memcpy(bytes + sizeof(head), body, len);
	assert_int_equal(write(w->peer, bytes, sizeof(head) + len), sizeof(head) + len);
}

int serve(struct world *w, struct end *e)
{
	char drop[4096];
	int r;

	while ((r = ready(w, e)) == 0)
		;
	for (ssize_t n; (n = read(w->peer, drop, sizeof(drop))) > 0;)
		w->said += (size_t)n;
	return r < 0 ? r : 0;
}

struct agent_hello agent_hello(struct world *w)
{
	char bytes[sizeof(struct agent_head) + sizeof(struct agent_hello)];
	struct agent_hello hello;

	assert_int_equal(ready(w, &w->host), 0);
	assert_int_equal(read(w->peer, bytes, sizeof(bytes)), sizeof(bytes));
	memcpy(&hello, bytes + sizeof(struct agent_head), sizeof(hello));
	assert_int_equal(hello.version, AGENT_VERSION);
	return hello;
}

struct end *greeted_host(void)
{
	struct world *w = start();
	struct end *e = alone(w, MUX_HOST);
	const struct agent_hello hello = agent_hello(w);

	put(w, (struct agent_head){ .type = AGENT_HELLO }, &hello, sizeof(hello));
	assert_int_equal(serve(w, e), 0);
	assert_true(mux_greeted(e->mux));
	return e;
}

struct end *greeted_agent(void)
{
	struct world *w = start();
	struct end *e = alone(w, MUX_AGENT);
	const struct agent_hello hello = { .version = AGENT_VERSION, .nonce = { 1, 2 } };

	put(w, (struct agent_head){ .type = AGENT_HELLO }, &hello, sizeof(hello));
	assert_int_equal(serve(w, e), 0);
	assert_int_equal(w->said, sizeof(struct agent_head) + sizeof(hello));
	return e;
}

void is_refused(struct end *e, struct agent_head head, const void *body, size_t len,
		const char *words)
{
	struct world *w = &world;
	uint32_t serial;

	put(w, head, body, len);
	assert_int_equal(serve(w, e), -EPROTO);
	assert_says(w->err, words);
	memset(&w->err, 0, sizeof(w->err));
	assert_int_equal(mux_ready(e->mux, POLLIN, &w->err), -EPROTO);
	assert_says(w->err, words);
	assert_int_equal(mux_open(e->mux, 9), -EPROTO);
	assert_int_equal(mux_room(e->mux, 9), 0);
	assert_int_equal(mux_send(e->mux, 9, "x", 1), -EPROTO);
	assert_int_equal(mux_end(e->mux, 9, 0), -EPROTO);
	assert_int_equal(mux_credit(e->mux, 9, 1), -EPROTO);
	if (e == &w->host)
		assert_int_equal(mux_ask(e->mux, AGENT_PS, "x", 1, &serial, &w->err), -EPROTO);
	else
		assert_int_equal(mux_tell(e->mux, AGENT_OOM, "x", 1), -EPROTO);
	mux_close(e->mux, 9);
	finish(NULL);
	start();
}

struct end *host_with_stream(void)
{
	struct end *e = greeted_host();

	assert_int_equal(mux_open(e->mux, 3), 0);
	return e;
}
