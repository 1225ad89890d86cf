/* SPDX-License-Identifier: Apache-2.0 */
/* The mux: greeting, requests and answers, what is refused, and what happens at an end. */
#include "unit/wire/mux_world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

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
		   NULL, 0, "host: REQUEST of number 21");
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

static struct end *host_with_answer_due(void)
{
	struct end *e = greeted_host();
	uint32_t serial;

	assert_int_equal(mux_ask(e->mux, AGENT_PS, "x", 1, &serial, NULL), 0);
	assert_int_equal(serial, 1);
	return e;
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
		T(an_agent_that_lies_in_answers_is_refused),
		T(nothing_comes_between_the_parts_of_a_body),
		T(an_answer_above_its_limit_is_refused),
		T(a_torn_frame_waits_for_its_rest),
		T(what_was_said_before_the_end_is_heard),
		T(what_nobody_expects_is_an_error),
		T(requests_have_a_limit_and_answers_may_be_forgotten),
		T(requests_do_not_pile_up_before_an_agent_that_does_not_read),
		T(a_new_host_finds_an_agent_that_remembers_nothing),
		T(what_the_agent_had_to_say_is_not_for_a_new_host),
		T(whoever_polls_is_told_when_there_is_something_to_write),
		T(a_pipe_or_a_port_serves_as_well_as_a_socket),
	};

	return cmocka_run_group_tests_name("wire/mux", tests, NULL, NULL);
}
