/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end is a mux, the other a second mux or bytes written by hand. Nothing waits: turn() lets
 * both ends read and write until nothing more happens.
 * More than 800 lines: both ends of one protocol, whose few helpers every case shares.
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

static struct end *host_with_stream(void)
{
	struct end *e = greeted_host();

	assert_int_equal(mux_open(e->mux, 3), 0);
	return e;
}

static struct end *host_with_answer_due(void)
{
	struct end *e = greeted_host();
	uint32_t serial;

	assert_int_equal(mux_ask(e->mux, AGENT_PS, "x", 1, &serial, NULL), 0);
	assert_int_equal(serial, 1);
	return e;
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

static void an_agent_that_lies_in_answers_is_refused(void **state)
{
	static const char five[4] = { 5, 0, 0, 0 }, least[4] = { 0, 0, 0, (char)0x80 };
	static const char long_words[4 + AGENT_TEXT_MAX + 1] = { (char)0xff, (char)0xff, (char)0xff,
								 (char)0xff };
	struct end *e;

	(void)state;
	is_refused(greeted_host(), H(.type = AGENT_ANSWER, .call = AGENT_PS, .serial = 1), five, 4,
		   "agent: an answer that nobody asked for");
	is_refused(host_with_answer_due(), H(.type = AGENT_ANSWER, .call = AGENT_PS, .serial = 2),
		   five, 4, "agent: an answer that nobody asked for");
	is_refused(host_with_answer_due(),
		   H(.type = AGENT_ANSWER, .call = AGENT_STATS, .serial = 1), five, 4,
		   "agent: the answer to PS says that it is of STATS");
	is_refused(host_with_answer_due(), H(.type = AGENT_ANSWER, .call = AGENT_PS, .serial = 1),
		   five, 3, "agent: the answer to PS is cut off");
	is_refused(host_with_answer_due(), H(.type = AGENT_ANSWER, .call = AGENT_PS, .serial = 1),
		   five, 4, "agent: the answer to PS has no error that is one");
	is_refused(host_with_answer_due(), H(.type = AGENT_ANSWER, .call = AGENT_PS, .serial = 1),
		   least, 4, "agent: the answer to PS has no error that is one");
	is_refused(host_with_answer_due(), H(.type = AGENT_ANSWER, .call = AGENT_PS, .serial = 1),
		   long_words, sizeof(long_words),
		   "agent: the answer to PS has no error that is one");
	is_refused(host_with_answer_due(),
		   H(.type = AGENT_ANSWER, .call = AGENT_PS, .serial = 1, .flags = AGENT_MORE),
		   NULL, 0, "agent: a part of PS without bytes");
	e = host_with_answer_due();
	put(&world, H(.type = AGENT_ANSWER, .call = AGENT_PS, .serial = 1), "\0\0\0\0", 4);
	assert_int_equal(serve(&world, e), 0);
	assert_int_equal(e->answers, 1);
	is_refused(e, H(.type = AGENT_ANSWER, .call = AGENT_PS, .serial = 1), "\0\0\0\0", 4,
		   "agent: an answer that nobody asked for");
}

static void nothing_comes_between_the_parts_of_a_body(void **state)
{
	const struct agent_head part = {
		.type = AGENT_ANSWER, .call = AGENT_PS, .serial = 1, .flags = AGENT_MORE
	};
	struct agent_head other = part;
	struct end *e;

	(void)state;
	e = host_with_answer_due();
	put(&world, part, "\0\0", 2);
	is_refused(e, H(.type = AGENT_EVENT, .call = AGENT_OOM), NULL, 0,
		   "agent: EVENT in the middle of another body");
	e = host_with_answer_due();
	put(&world, part, "\0\0", 2);
	other.serial = 2;
	is_refused(e, other, "x", 1, "agent: ANSWER in the middle of another body");
	e = host_with_answer_due();
	put(&world, part, "\0\0", 2);
	put(&world, part, "\0\0", 2);
	put(&world, part, "ye", 2);
	other = part;
	other.flags = 0;
	put(&world, other, "s", 1);
	assert_int_equal(serve(&world, e), 0);
	assert_int_equal(e->answers, 1);
	assert_int_equal(e->body_len, 3);
	assert_memory_equal(e->body, "yes", 3);
}

static void an_answer_above_its_limit_is_refused(void **state)
{
	static char bytes[1024];
	const struct agent_head part = {
		.type = AGENT_ANSWER, .call = AGENT_PS, .serial = 1, .flags = AGENT_MORE
	};
	struct end *e = host_with_answer_due();

	(void)state;
	for (size_t n = 0; n < AGENT_ANSWER_MAX; n += sizeof(bytes)) {
		put(&world, part, bytes, sizeof(bytes));
		assert_int_equal(serve(&world, e), 0);
	}
	is_refused(e, part, bytes, 1, "agent: PS of more than 1048576 bytes");
}

/* A conversation in which every kind of frame comes, cut after each byte. */
static void a_torn_frame_waits_for_its_rest(void **state)
{
	char bytes[512];
	size_t len = 0;
	const struct {
		struct agent_head head;
		const char *body;
	} frames[] = {
		{ H(.length = 4, .type = AGENT_ANSWER, .call = AGENT_PS, .serial = 1,
		    .flags = AGENT_MORE),
		  "\0\0\0\0" },
		{ H(.length = 3, .type = AGENT_ANSWER, .call = AGENT_PS, .serial = 1), "yes" },
		{ H(.length = 5, .type = AGENT_DATA, .stream = 3), "hello" },
		{ H(.length = 3, .type = AGENT_EVENT, .call = AGENT_OOM), "box" },
		{ H(.length = 4, .type = AGENT_END, .stream = 3), "\7\0\0\0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		memcpy(bytes + len, &frames[i].head, sizeof(struct agent_head));
		len += sizeof(struct agent_head);
		memcpy(bytes + len, frames[i].body, frames[i].head.length);
		len += frames[i].head.length;
	}
	for (size_t cut = 0; cut <= len; cut++) {
		struct end *e = host_with_answer_due();

		assert_int_equal(mux_open(e->mux, 3), 0);
		assert_int_equal(write(world.peer, bytes, cut), cut);
		assert_int_equal(serve(&world, e), 0);
		assert_true(cut == len || e->ends == 0);
		assert_int_equal(write(world.peer, bytes + cut, len - cut), len - cut);
		assert_int_equal(serve(&world, e), 0);
		assert_int_equal(e->answers, 1);
		assert_int_equal(e->events, 1);
		assert_int_equal(e->data_len, 5);
		assert_int_equal(e->ends, 1);
		assert_int_equal(e->error, 7);
		(void)close(world.peer);
		world.peer = -EBADF;
		assert_int_equal(ready(&world, e), -EPIPE);
		assert_string_equal(world.err.msg, "agent: the channel has ended");
		finish(NULL);
	}
	for (size_t cut = 1; cut < len; cut += 7) {
		struct end *e = host_with_answer_due();
		int r;

		assert_int_equal(mux_open(e->mux, 3), 0);
		assert_int_equal(write(world.peer, bytes, cut), cut);
		(void)close(world.peer);
		world.peer = -EBADF;
		while ((r = ready(&world, e)) == 0)
			;
		assert_int_equal(r, -EPIPE);
		assert_says(world.err, "the channel has ended");
		finish(NULL);
	}
	start();
}

static void what_was_said_before_the_end_is_heard(void **state)
{
	struct end *e = host_with_stream();
	static char big[1024];
	int r;

	(void)state;
	put(&world, H(.type = AGENT_EVENT, .call = AGENT_OOM), "box", 3);
	(void)close(world.peer);
	world.peer = -EBADF;
	/* Writes fail from here on; that is not the end. */
	assert_int_equal(mux_send(e->mux, 3, big, sizeof(big)), sizeof(big));
	assert_int_equal(mux_send(e->mux, 3, big, sizeof(big)), 0);
	while ((r = ready(&world, e)) == 0)
		;
	assert_int_equal(r, -EPIPE);
	assert_int_equal(e->events, 1);
}

static void what_nobody_expects_is_an_error(void **state)
{
	static const struct mux_ops none;
	struct world *w = start();
	int fds[2];

	(void)state;
	for (int i = 0; i < 5; i++) {
		const struct agent_head heads[] = {
			{ .type = AGENT_EVENT, .call = AGENT_OOM },
			{ .type = AGENT_DATA, .stream = 3 },
			{ .type = AGENT_END, .stream = 3 },
			{ .type = AGENT_ANSWER, .call = AGENT_PS, .serial = 1 },
			{ .type = AGENT_CREDIT, .stream = 3 },
		};
		static const char *const words[] = { "an event", "DATA", "END", "an answer" };
		struct agent_hello hello;
		uint32_t serial;
		int r;

		pair(fds);
		w->peer = fds[1];
		assert_int_equal(mux_new(fds[0], MUX_HOST, &none, &w->host, &w->host.mux), 0);
		hello = agent_hello(w);
		put(w, H(.type = AGENT_HELLO), &hello, sizeof(hello));
		assert_int_equal(mux_open(w->host.mux, 3), 0);
		assert_int_equal(mux_send(w->host.mux, 3, "abcd", 4), 4);
		assert_int_equal(mux_ask(w->host.mux, AGENT_PS, "x", 1, &serial, NULL), 0);
		put(w, heads[i], i == 4 ? "\4\0\0\0" : "\0\0\0\0", 4);
		while ((r = ready(w, &w->host)) == 0)
			;
		if (i == 4) {
			assert_int_equal(r, 1); /* room: nobody need know */
		} else {
			assert_int_equal(r, -EPROTO);
			assert_says(w->err, words[i]);
			assert_says(w->err, "that nobody expects");
		}
		finish(NULL);
		start();
	}
}

static void requests_have_a_limit_and_answers_may_be_forgotten(void **state)
{
	struct world *w = both();
	uint32_t serials[AGENT_PENDING_MAX], one;

	(void)state;
	for (size_t i = 0; i < AGENT_PENDING_MAX; i++)
		assert_int_equal(mux_ask(w->host.mux, AGENT_PS, "x", 1, &serials[i], &w->err), 0);
	assert_int_equal(mux_ask(w->host.mux, AGENT_PS, "x", 1, &one, &w->err), -EBUSY);
	assert_says(w->err, "agent: PS: 64 requests wait already");
	/* A forgotten one still takes its place until its answer has come. */
	mux_forget(w->host.mux, serials[5]);
	mux_forget(w->host.mux, 0);
	mux_forget(w->host.mux, 12345);
	assert_int_equal(mux_ask(w->host.mux, AGENT_PS, "x", 1, &one, &w->err), -EBUSY);
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->agent.requests, AGENT_PENDING_MAX);
	assert_int_equal(mux_answer(w->agent.mux, serials[5], AGENT_PS, 0, "x", 1), 0);
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->host.answers, 0);
	assert_int_equal(mux_ask(w->host.mux, AGENT_PS, "x", 1, &one, &w->err), 0);
	assert_int_equal(mux_answer(w->agent.mux, serials[6], AGENT_PS, 0, "x", 1), 0);
	assert_int_equal(turn(w), 0);
	assert_int_equal(w->host.answers, 1);
}

static void requests_do_not_pile_up_before_an_agent_that_does_not_read(void **state)
{
	static char big[AGENT_REQUEST_MAX];
	struct end *e = greeted_host();
	uint32_t serial;
	int r, n = 0;

	(void)state;
	while ((r = mux_ask(e->mux, AGENT_CREATE, big, sizeof(big), &serial, &world.err)) == 0)
		n++;
	assert_int_equal(r, -EBUSY);
	assert_says(world.err, "bytes wait already");
	assert_in_range(n, 2, 5);
	assert_int_equal(mux_events(e->mux), POLLIN | POLLOUT);
	assert_int_equal(mux_open(e->mux, 3), 0);
	assert_int_equal(mux_room(e->mux, 3), 0);
	assert_int_equal(mux_send(e->mux, 3, "x", 1), 0);
	assert_int_equal(e->rooms, 0);
	/* When it reads, streams are told that they may go on: all of them at once. */
	assert_int_equal(serve(&world, e), 0);
	for (int i = 0; i < 100000 && mux_events(e->mux) != POLLIN; i++)
		assert_int_equal(serve(&world, e), 0);
	assert_int_equal(mux_events(e->mux), POLLIN);
	assert_int_equal(e->rooms, 1);
	assert_int_equal(e->stream, 0);
	assert_int_equal(mux_room(e->mux, 3), AGENT_STREAM_CREDIT);
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

static void a_new_host_finds_an_agent_that_remembers_nothing(void **state)
{
	struct end *e = greeted_agent();
	const struct agent_hello hello = { .version = AGENT_VERSION, .nonce = { 9 } };
	const struct agent_head part = {
		.type = AGENT_REQUEST, .call = AGENT_CREATE, .serial = 1, .flags = AGENT_MORE
	};
	struct agent_hello back;
	char bytes[4096];
	ssize_t n;

	(void)state;
	assert_int_equal(mux_open(e->mux, 3), 0);
	assert_int_equal(mux_send(e->mux, 3, "for the old host", 16), 16);
	assert_int_equal(read(world.peer, bytes, sizeof(bytes)), 32);
	put(&world, part, "half a request", 14);
	put(&world, H(.type = AGENT_HELLO), &hello, sizeof(hello));
	while (ready(&world, e) == 0)
		;
	assert_int_equal(e->hellos, 2);
	assert_int_equal(e->requests, 0);
	n = read(world.peer, bytes, sizeof(bytes));
	assert_int_equal(n, sizeof(struct agent_head) + sizeof(hello));
	memcpy(&back, bytes + sizeof(struct agent_head), sizeof(back));
	assert_int_equal(back.nonce[0], 9);
	assert_int_equal(mux_room(e->mux, 3), 0);
	assert_int_equal(mux_send(e->mux, 3, "x", 1), -EBADF);
	assert_int_equal(mux_open(e->mux, 3), 0);
	put(&world, H(.type = AGENT_REQUEST, .call = AGENT_PS, .serial = 1), "x", 1);
	assert_int_equal(serve(&world, e), 0);
	assert_int_equal(e->requests, 1);
	assert_int_equal(e->body_len, 1);
}

static void what_the_agent_had_to_say_is_not_for_a_new_host(void **state)
{
	static char big[AGENT_ANSWER_MAX - 4];
	struct end *e = greeted_agent();
	const struct agent_hello hello = { .version = AGENT_VERSION };
	struct agent_head head;

	(void)state;
	for (uint32_t i = 1; i <= 4; i++)
		assert_int_equal(mux_answer(e->mux, i, AGENT_DEBUG, 0, big, sizeof(big)), 0);
	assert_int_equal(mux_events(e->mux), POLLIN | POLLOUT);
	/* What the old host's socket holds is lost with it. */
	for (ssize_t n; (n = read(world.peer, big, sizeof(big))) > 0;)
		;
	put(&world, H(.type = AGENT_HELLO), &hello, sizeof(hello));
	assert_int_equal(mux_ready(e->mux, POLLIN, &world.err), 0);
	assert_int_equal(read(world.peer, &head, sizeof(head)), sizeof(head));
	assert_int_equal(head.type, AGENT_HELLO);
	assert_int_equal(head.length, sizeof(hello));
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

static void whoever_polls_is_told_when_there_is_something_to_write(void **state)
{
	static char big[AGENT_REQUEST_MAX];
	struct world *w = both();
	uint32_t serial;
	const int before = w->host.polls;

	(void)state;
	assert_int_equal(mux_ask(w->host.mux, AGENT_PS, "x", 1, &serial, NULL), 0);
	assert_int_equal(w->host.polls, before); /* it has gone already */
	assert_int_equal(mux_ask(w->host.mux, AGENT_PS, big, sizeof(big), &serial, NULL), 0);
	assert_int_equal(w->host.polls, before + 1);
	assert_int_equal(mux_events(w->host.mux), POLLIN | POLLOUT);
	assert_int_equal(turn(w), 0);
	assert_int_equal(mux_events(w->host.mux), POLLIN);
	assert_int_equal(w->host.polls, before + 2);
}

static void a_pipe_or_a_port_serves_as_well_as_a_socket(void **state)
{
	struct world *w = start();
	int fds[2];

	(void)state;
	/* The bytes go round: an agent that hears its own greeting. */
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	(void)close(fds[1]);
	assert_int_equal(mux_new(fds[0], MUX_AGENT, &agent_ops, &w->agent, &w->agent.mux), 0);
	assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(mux_ready(w->agent.mux, POLLIN, &w->err), -EPIPE);
	assert_int_equal(mux_new(-EBADF, MUX_HOST, &host_ops, &w->host, &w->host.mux), -EBADF);
	assert_null(w->host.mux);
	mux_free(NULL);
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
		T(heads_that_no_honest_end_writes_are_refused),
		T(nothing_comes_before_the_greeting),
		T(a_greeting_that_is_wrong_is_refused),
		T(two_ends_greet_each_other),
		T(requests_are_answered_in_any_order),
		T(a_body_of_many_frames_comes_whole),
		T(a_stream_stops_at_its_credit_and_goes_on_with_more),
		T(a_stream_that_is_not_there_is_refused),
		T(an_agent_that_lies_about_streams_is_refused),
		T(one_byte_more_than_the_credit_is_refused),
		T(an_agent_that_lies_in_answers_is_refused),
		T(nothing_comes_between_the_parts_of_a_body),
		T(an_answer_above_its_limit_is_refused),
		T(a_torn_frame_waits_for_its_rest),
		T(what_was_said_before_the_end_is_heard),
		T(what_nobody_expects_is_an_error),
		T(requests_have_a_limit_and_answers_may_be_forgotten),
		T(requests_do_not_pile_up_before_an_agent_that_does_not_read),
		T(credit_does_not_pile_up_before_an_agent_that_does_not_read),
		T(credit_that_was_owed_is_paid_when_there_is_room),
		T(a_new_host_finds_an_agent_that_remembers_nothing),
		T(what_the_agent_had_to_say_is_not_for_a_new_host),
		T(an_agent_throws_away_what_is_for_no_stream),
		T(frames_of_a_stream_that_was_closed_are_thrown_away),
		T(a_stream_ends_once_and_says_why),
		T(a_stream_that_nobody_reads_does_not_stop_another),
		T(whoever_polls_is_told_when_there_is_something_to_write),
		T(all_comes_whole_through_a_narrow_socket),
		T(a_pipe_or_a_port_serves_as_well_as_a_socket),
	};

	return cmocka_run_group_tests_name("wire/mux", tests, NULL, NULL);
}
