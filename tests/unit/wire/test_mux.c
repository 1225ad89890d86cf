/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end is a mux, the other a second mux or bytes written by hand. Nothing waits: turn() lets
 * both ends read and write until nothing more happens.
 */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/mux.h"

struct end {
	struct mux *mux;
	int hellos, requests, answers, events, ends, rooms, polls;
	struct agent_hello hello;
	uint32_t serial, stream;
	unsigned int number;
	int error;
	size_t body_len;
	char body[128]; /* its beginning */
	size_t data_len;
	uint32_t data_sum;
	bool use_up; /* give credit back at once */
};

static struct world {
	struct end host, agent;
	int peer; /* of the only mux */
	struct err err;
	size_t said; /* by hand: bytes that were read from the mux */
} world;

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

static const struct mux_ops host_ops = { .hello = on_hello,
					 .answer = on_answer,
					 .event = on_event,
					 .data = on_data,
					 .end = on_end,
					 .room = on_room,
					 .poll = on_poll };
static const struct mux_ops agent_ops = { .hello = greet,
					  .request = on_request,
					  .data = on_data,
					  .end = on_end,
					  .room = on_room,
					  .poll = on_poll };

static void pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static struct world *start(void)
{
	memset(&world, 0, sizeof(world));
	world.peer = -EBADF;
	return &world;
}

/* One mux, whose other end is w->peer. */
static struct end *alone(struct world *w, enum mux_role role)
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

static int finish(void **state)
{
	(void)state;
	mux_free(world.host.mux);
	mux_free(world.agent.mux);
	if (world.peer >= 0)
		(void)close(world.peer);
	return 0;
}

static int ready(struct world *w, struct end *e)
{
	struct pollfd p = { mux_fd(e->mux), mux_events(e->mux), 0 };

	assert_true(poll(&p, 1, 0) >= 0);
	return p.revents ? mux_ready(e->mux, p.revents, &w->err) : 1;
}

/* Until neither end has anything to do, or one has failed. */
static int turn(struct world *w)
{
	for (;;) {
		const int a = ready(w, &w->host), b = ready(w, &w->agent);

		if (a < 0 || b < 0)
			return a < 0 ? a : b;
		if (a > 0 && b > 0)
			return 0;
	}
}

/* Two muxes that have greeted each other. */
static struct world *both(void)
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

static void put(struct world *w, struct agent_head head, const void *body, size_t len)
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

static int serve(struct world *w, struct end *e)
{
	char drop[4096];
	int r;

	while ((r = ready(w, e)) == 0)
		;
	for (ssize_t n; (n = read(w->peer, drop, sizeof(drop))) > 0;)
		w->said += (size_t)n;
	return r < 0 ? r : 0;
}

/* The agent's greeting by hand. */
static struct agent_hello agent_hello(struct world *w)
{
	char bytes[sizeof(struct agent_head) + sizeof(struct agent_hello)];
	struct agent_hello hello;

	assert_int_equal(ready(w, &w->host), 0);
	assert_int_equal(read(w->peer, bytes, sizeof(bytes)), sizeof(bytes));
	memcpy(&hello, bytes + sizeof(struct agent_head), sizeof(hello));
	assert_int_equal(hello.version, AGENT_VERSION);
	return hello;
}

static struct end *greeted_host(void)
{
	struct world *w = start();
	struct end *e = alone(w, MUX_HOST);
	const struct agent_hello hello = agent_hello(w);

	put(w, (struct agent_head){ .type = AGENT_HELLO }, &hello, sizeof(hello));
	assert_int_equal(serve(w, e), 0);
	assert_true(mux_greeted(e->mux));
	return e;
}

static struct end *greeted_agent(void)
{
	struct world *w = start();
	struct end *e = alone(w, MUX_AGENT);
	const struct agent_hello hello = { .version = AGENT_VERSION, .nonce = { 1, 2 } };

	put(w, (struct agent_head){ .type = AGENT_HELLO }, &hello, sizeof(hello));
	assert_int_equal(serve(w, e), 0);
	assert_int_equal(w->said, sizeof(struct agent_head) + sizeof(hello));
	return e;
}

/* The frame breaks the mux with these words, and nothing works any more. */
static void is_refused(struct end *e, struct agent_head head, const void *body, size_t len,
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

#define DATA_OF(n)   ((struct agent_head){ .type = AGENT_DATA, .stream = (n) })
#define CREDIT_OF(n) ((struct agent_head){ .type = AGENT_CREDIT, .stream = (n) })
#define END_OF(n)    ((struct agent_head){ .type = AGENT_END, .stream = (n) })
#define H(...)	     ((struct agent_head){ __VA_ARGS__ })

static void heads_that_no_honest_end_writes_are_refused(void **state)
{
	(void)state;
	is_refused(greeted_host(), H(.type = 0), NULL, 0, "agent: a frame of type 0");
	is_refused(greeted_host(), H(.type = 77), NULL, 0, "agent: a frame of type 77");
	is_refused(greeted_host(), H(.type = AGENT_REQUEST, .call = 1, .serial = 1), NULL, 0,
		   "agent: REQUEST is not for it to send");
	is_refused(greeted_host(), H(.type = AGENT_DATA, .stream = 1, .length = 70000), NULL, 0,
		   "agent: DATA of 70000 bytes");
	is_refused(greeted_host(), H(.type = AGENT_EVENT, .length = UINT32_MAX, .call = 1), NULL, 0,
		   "agent: EVENT of 4294967295 bytes");
	is_refused(greeted_host(), H(.type = AGENT_DATA, .stream = 1, .flags = AGENT_MORE), NULL, 0,
		   "agent: DATA with flags 0x1");
	is_refused(greeted_host(), H(.type = AGENT_ANSWER, .flags = 2, .call = 1, .serial = 1),
		   NULL, 0, "agent: ANSWER with flags 0x2");
	is_refused(greeted_host(), H(.type = AGENT_EVENT), NULL, 0, "agent: EVENT of number 0");
	is_refused(greeted_host(), H(.type = AGENT_EVENT, .call = AGENT_EVENTS), NULL, 0,
		   "agent: EVENT of number 3");
	is_refused(greeted_host(), H(.type = AGENT_END, .call = 1, .stream = 1), NULL, 0,
		   "agent: END of number 1");
	is_refused(greeted_host(), DATA_OF(0), "x", 1, "agent: DATA for stream 0");
	is_refused(greeted_host(), DATA_OF(65536), "x", 1, "agent: DATA for stream 65536");
	is_refused(greeted_host(), H(.type = AGENT_EVENT, .call = 1, .stream = 1), NULL, 0,
		   "agent: EVENT for stream 1");
	is_refused(greeted_host(), H(.type = AGENT_EVENT, .call = 1, .serial = 1), NULL, 0,
		   "agent: EVENT with serial 1");
	is_refused(greeted_host(), H(.type = AGENT_ANSWER, .call = 1), NULL, 0,
		   "agent: ANSWER with serial 0");
	is_refused(greeted_agent(), H(.type = AGENT_ANSWER, .call = 1, .serial = 1), NULL, 0,
		   "host: ANSWER is not for it to send");
	is_refused(greeted_agent(), H(.type = AGENT_EVENT, .call = 1), NULL, 0,
		   "host: EVENT is not for it to send");
	is_refused(greeted_agent(), H(.type = AGENT_REQUEST, .call = AGENT_CALLS, .serial = 1),
		   NULL, 0, "host: REQUEST of number 17");
}

static void nothing_comes_before_the_greeting(void **state)
{
	struct world *w = start();
	struct end *e = alone(w, MUX_HOST);

	(void)state;
	is_refused(e, H(.type = AGENT_EVENT, .call = AGENT_OOM), NULL, 0,
		   "agent: EVENT before its HELLO");
	e = alone(w, MUX_AGENT);
	assert_int_equal(mux_tell(e->mux, AGENT_OOM, "x", 1), -EINVAL);
	assert_int_equal(mux_answer(e->mux, 1, AGENT_PS, 0, "x", 1), -EINVAL);
	assert_int_equal(mux_greet(e->mux, &(struct agent_hello){ 0 }), -EINVAL);
	is_refused(e, H(.type = AGENT_REQUEST, .call = AGENT_PS, .serial = 1), NULL, 0,
		   "host: REQUEST before its HELLO");
}

/* The agent's greeting with one thing wrong. */
static void greeting_is_refused(void (*spoil)(struct agent_hello *), size_t len, const char *words)
{
	struct world *w = start();
	struct end *e = alone(w, MUX_HOST);
	struct agent_hello hello = agent_hello(w);

	spoil(&hello);
	is_refused(e, H(.type = AGENT_HELLO), &hello, len, words);
}

static void nothing_wrong(struct agent_hello *hello)
{
	(void)hello;
}

static void another_nonce(struct agent_hello *hello)
{
	hello->nonce[AGENT_NONCE - 1] ^= 1;
}

static void another_version(struct agent_hello *hello)
{
	hello->version = 9;
}

static void features(struct agent_hello *hello)
{
	hello->features = 0x10;
}

static void endless_release(struct agent_hello *hello)
{
	memset(hello->release, 'x', sizeof(hello->release));
}

static void a_greeting_that_is_wrong_is_refused(void **state)
{
	const struct agent_hello again = { .version = AGENT_VERSION };

	(void)state;
	greeting_is_refused(another_nonce, sizeof(struct agent_hello), "HELLO with another nonce");
	greeting_is_refused(another_version, sizeof(struct agent_hello), "version 9 is unknown");
	greeting_is_refused(features, sizeof(struct agent_hello), "features 0x10 are unknown");
	greeting_is_refused(endless_release, sizeof(struct agent_hello), "without an end");
	greeting_is_refused(nothing_wrong, sizeof(struct agent_hello) - 1, "HELLO of 103 bytes");
	is_refused(greeted_host(), H(.type = AGENT_HELLO), &again, sizeof(again), "a second HELLO");
}

static void two_ends_greet_each_other(void **state)
{
	struct world *w = both();

	(void)state;
	assert_int_equal(w->host.hellos, 1);
	assert_int_equal(w->agent.hellos, 1);
	assert_true(mux_greeted(w->host.mux) && mux_greeted(w->agent.mux));
	assert_string_equal(w->host.hello.release, "6.1");
	assert_int_equal(w->host.hello.agent_ns, 2);
	assert_memory_equal(w->host.hello.nonce, w->agent.hello.nonce, AGENT_NONCE);
	assert_int_equal(mux_events(w->host.mux), POLLIN);
}

static void requests_are_answered_in_any_order(void **state)
{
	struct world *w = both();
	uint32_t first, second;

	(void)state;
	assert_int_equal(mux_ask(w->host.mux, AGENT_PS, "one", 3, &first, &w->err), 0);
	assert_int_equal(mux_ask(w->host.mux, AGENT_STATS, NULL, 0, &second, &w->err), 0);
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->agent.requests, 2);
	assert_int_equal(w->agent.serial, second);
	assert_int_equal(w->agent.body_len, 0);
	assert_int_equal(mux_answer(w->agent.mux, second, AGENT_STATS, 0, "yes", 3), 0);
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->host.answers, 1);
	assert_int_equal(w->host.serial, second);
	assert_int_equal(w->host.number, AGENT_STATS);
	assert_int_equal(w->host.error, 0);
	assert_memory_equal(w->host.body, "yes", 3);
	assert_int_equal(mux_answer(w->agent.mux, first, AGENT_PS, -ENOENT, "no \x1b[31mbox", 11),
			 0);
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->host.serial, first);
	assert_int_equal(w->host.error, -ENOENT);
	assert_memory_equal(w->host.body, "no ?[31mbox", 11);
}

static void a_body_of_many_frames_comes_whole(void **state)
{
	static char big[AGENT_REQUEST_MAX + 1];
	struct world *w = both();
	uint32_t serial;

	(void)state;
	assert_int_equal(mux_ask(w->host.mux, AGENT_CREATE, big, sizeof(big), &serial, &w->err),
			 -E2BIG);
	memcpy(big, "begin", 5);
	assert_int_equal(
		mux_ask(w->host.mux, AGENT_CREATE, big, AGENT_REQUEST_MAX, &serial, &w->err), 0);
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->agent.requests, 1);
	assert_int_equal(w->agent.body_len, AGENT_REQUEST_MAX);
	assert_memory_equal(w->agent.body, big, 5);
	assert_int_equal(mux_answer(w->agent.mux, serial, AGENT_CREATE, 0, big, AGENT_ANSWER_MAX),
			 -E2BIG);
	assert_int_equal(
		mux_answer(w->agent.mux, serial, AGENT_CREATE, 0, big, AGENT_ANSWER_MAX - 4), 0);
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->host.body_len, AGENT_ANSWER_MAX - 4);
	assert_memory_equal(w->host.body, big, 5);
}

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

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, finish)
	static const struct CMUnitTest tests[] = {
		T(heads_that_no_honest_end_writes_are_refused),
		T(nothing_comes_before_the_greeting),
		T(a_greeting_that_is_wrong_is_refused),
		T(two_ends_greet_each_other),
		T(requests_are_answered_in_any_order),
		T(a_body_of_many_frames_comes_whole),
		T(a_stream_stops_at_its_credit_and_goes_on_with_more),
	};

	return cmocka_run_group_tests_name("wire/mux", tests, NULL, NULL);
}
