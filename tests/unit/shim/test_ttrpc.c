/* SPDX-License-Identifier: Apache-2.0 */
/* A ttrpc server, asked byte by byte. The methods take and give a Status, as a message that is
 * there. */
#include "shim/ttrpc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "shim/ttrpc_frame.h"
#include "lib/unit.h"
#include "shim/ttrpc.pb-c.h"

#define ROUNDS 2000

struct world {
	struct loop *loop;
	struct ttrpc_server *server;
	int client;
	struct ttrpc_call *held[TTRPC_CALLS_MAX];
	unsigned int held_len;
	uint32_t timeout_ms;
	char dir[64];
	struct sockaddr_un address;
};

static void echo(void *arg, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	struct world *w = arg;

	w->timeout_ms = ttrpc_call_timeout_ms(call);
	ttrpc_answer(call, request);
}

static void hold(void *arg, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	struct world *w = arg;

	(void)request;
	assert_true(w->held_len < TTRPC_CALLS_MAX);
	w->held[w->held_len++] = call;
}

static void refuse(void *arg, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	(void)arg;
	(void)request;
	ttrpc_fail(call, TTRPC_NOT_FOUND, "container %s: not found", "c1");
}

static const struct ttrpc_method methods[] = {
	{ "Echo", &caisson__ttrpc__status__descriptor, echo },
	{ "Hold", &caisson__ttrpc__status__descriptor, hold },
	{ "Refuse", &caisson__ttrpc__status__descriptor, refuse },
};
static const struct ttrpc_service services[] = { { "test.Service", methods, 3 } };

static int connect_to(const struct world *w)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&w->address, sizeof(w->address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static int listen_at(struct world *w)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/ttrpc.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->address.sun_family = AF_UNIX;
	(void)snprintf(w->address.sun_path, sizeof(w->address.sun_path), "%s/s", w->dir);
	assert_int_equal(bind(fd, (const struct sockaddr *)&w->address, sizeof(w->address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err err = { 0 };

	assert_int_equal(loop_new(&w->loop), 0);
	assert_int_equal(ttrpc_server_new(w->loop, listen_at(w), (uint32_t)geteuid(), services, 1,
					  w, &w->server, &err),
			 0);
	w->client = connect_to(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	if (w->client >= 0)
		(void)close(w->client);
	ttrpc_server_free(w->server);
	loop_free(w->loop);
	(void)unlink(w->address.sun_path);
	(void)rmdir(w->dir);
	free(w);
	return 0;
}

static void serve(struct world *w)
{
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_once(w->loop, 0), 0);
}

/* Bytes to the server, which serves them; the socket's buffer may be smaller than they are. */
static void say(struct world *w, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len > 0) {
		const ssize_t n = send(w->client, p, len, MSG_NOSIGNAL);

		assert_true(n > 0 || errno == EAGAIN);
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
		serve(w);
	}
	serve(w);
}

static void make_request(struct buf *b, uint32_t stream, const char *service, const char *method,
			 const char *text, int64_t timeout)
{
	Caisson__Ttrpc__Request request = CAISSON__TTRPC__REQUEST__INIT;
	Caisson__Ttrpc__Status status = CAISSON__TTRPC__STATUS__INIT;
	uint8_t payload[256];

	status.message = (char *)text;
	request.service = (char *)service;
	request.method = (char *)method;
	request.payload.len = caisson__ttrpc__status__pack(&status, payload);
	request.payload.data = payload;
	request.timeout_nano = timeout;
	assert_int_equal(ttrpc_frame_append(b, stream, TTRPC_REQUEST, &request.base), 0);
}

static void ask(struct world *w, uint32_t stream, const char *service, const char *method,
		const char *text)
{
	AUTO_BUF struct buf b = { 0 };

	make_request(&b, stream, service, method, text, 0);
	say(w, b.data, b.len);
}

/* The next answer; fails when there is none. */
static void hear(struct world *w, uint32_t stream, int code, const char *words)
{
	AUTO_TTRPC_MESSAGE struct ttrpc_message message = TTRPC_MESSAGE_INIT;
	const Caisson__Ttrpc__Response *response;
	uint8_t bytes[4096];
	struct ttrpc_head head;

	assert_int_equal(recv(w->client, bytes, TTRPC_HEAD, 0), TTRPC_HEAD);
	ttrpc_head_get(bytes, &head);
	assert_int_equal(head.stream, stream);
	assert_int_equal(head.type, TTRPC_RESPONSE);
	assert_true(head.length <= sizeof(bytes));
	if (head.length > 0)
		assert_int_equal(recv(w->client, bytes, head.length, 0), head.length);
	assert_int_equal(
		ttrpc_unpack(&caisson__ttrpc__response__descriptor, bytes, head.length, &message),
		0);
	response = (const Caisson__Ttrpc__Response *)message.root;
	if (code == TTRPC_OK) {
		Caisson__Ttrpc__Status *answer = caisson__ttrpc__status__unpack(
			NULL, response->payload.len, response->payload.data);

		assert_null(response->status);
		assert_string_equal(answer->message, words);
		caisson__ttrpc__status__free_unpacked(answer, NULL);
	} else {
		assert_int_equal(response->status->code, code);
		assert_non_null(strstr(response->status->message, words));
	}
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void hear_nothing(struct world *w)
{
	char byte;

	assert_int_equal(recv(w->client, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void hear_the_end(struct world *w)
{
	char byte;

	serve(w);
	assert_int_equal(recv(w->client, &byte, 1, 0), 0);
}

/* ---- What a peer gets wrong ---- */

static void a_service_that_is_not_there_is_unimplemented(void **state)
{
	ask(*state, 1, "no.Service", "Echo", "");
	hear(*state, 1, TTRPC_UNIMPLEMENTED, "service no.Service");
}

static void a_method_that_is_not_there_is_unimplemented(void **state)
{
	ask(*state, 1, "test.Service", "Nothing", "");
	hear(*state, 1, TTRPC_UNIMPLEMENTED, "method Nothing");
	ask(*state, 3, "test.Service", "Echo", "and goes on");
	hear(*state, 3, TTRPC_OK, "and goes on");
}

static void numbers_must_be_odd_and_grow(void **state)
{
	ask(*state, 2, "test.Service", "Echo", "");
	hear(*state, 2, TTRPC_INVALID_ARGUMENT, "odd");
	ask(*state, 5, "test.Service", "Echo", "a");
	hear(*state, 5, TTRPC_OK, "a");
	ask(*state, 5, "test.Service", "Echo", "a");
	hear(*state, 5, TTRPC_INVALID_ARGUMENT, "above the last");
	ask(*state, 3, "test.Service", "Echo", "a");
	hear(*state, 3, TTRPC_INVALID_ARGUMENT, "above the last");
}

static void bytes_that_are_no_request_are_refused(void **state)
{
	static const uint8_t frame[] = {
		0, 0, 0, 3, 0, 0, 0, 1, TTRPC_REQUEST, 0, 0xff, 0xff, 0xff
	};

	say(*state, frame, sizeof(frame));
	hear(*state, 1, TTRPC_INVALID_ARGUMENT, "no request");
}

static void a_payload_of_another_type_is_refused(void **state)
{
	Caisson__Ttrpc__Request request = CAISSON__TTRPC__REQUEST__INIT;
	uint8_t payload[] = { 0x12, 0x7f, 'x' }; /* a text of 127 bytes, of which one is there */
	AUTO_BUF struct buf b = { 0 };

	request.service = (char[]){ "test.Service" };
	request.method = (char[]){ "Echo" };
	request.payload.len = sizeof(payload);
	request.payload.data = payload;
	assert_int_equal(ttrpc_frame_append(&b, 1, TTRPC_REQUEST, &request.base), 0);
	say(*state, b.data, b.len);
	hear(*state, 1, TTRPC_INVALID_ARGUMENT, "Echo: the payload is no");
}

static void a_message_that_is_too_long_is_skipped_and_the_next_one_served(void **state)
{
	const struct ttrpc_head head = { TTRPC_MESSAGE_MAX + 1, 1, TTRPC_REQUEST, 0 };
	uint8_t bytes[TTRPC_HEAD];
	char *zeros = calloc(1, head.length);

	ttrpc_head_put(&head, bytes);
	say(*state, bytes, sizeof(bytes));
	hear(*state, 1, TTRPC_RESOURCE_EXHAUSTED, "4194305 bytes");
	say(*state, zeros, head.length);
	hear_nothing(*state);
	ask(*state, 3, "test.Service", "Echo", "next");
	hear(*state, 3, TTRPC_OK, "next");
	free(zeros);
}

/* Half a million empty metadata entries in a megabyte. */
static void a_message_that_would_take_too_much_memory_is_refused(void **state)
{
	const size_t len = 1u << 20;
	const struct ttrpc_head head = { (uint32_t)len, 1, TTRPC_REQUEST, 0 };
	uint8_t *bytes = malloc(TTRPC_HEAD + len);

	ttrpc_head_put(&head, bytes);
	for (size_t i = 0; i < len; i += 2) {
		bytes[TTRPC_HEAD + i] = 0x2a;
		bytes[TTRPC_HEAD + i + 1] = 0;
	}
	say(*state, bytes, TTRPC_HEAD + len);
	hear(*state, 1, TTRPC_INVALID_ARGUMENT, "no request");
	free(bytes);
}

static void frames_of_other_types_are_passed_over(void **state)
{
	static const uint8_t data[] = { 0, 0, 0, 1, 0, 0, 0, 1, TTRPC_DATA, 0, 'x' };

	say(*state, data, sizeof(data));
	hear_nothing(*state);
	ask(*state, 1, "test.Service", "Echo", "here");
	hear(*state, 1, TTRPC_OK, "here");
}

static void too_many_calls_are_refused(void **state)
{
	struct world *w = *state;
	uint32_t stream = 1;

	for (uint32_t i = 0; i < TTRPC_CALLS_MAX; i++, stream += 2)
		ask(w, stream, "test.Service", "Hold", "");
	ask(w, stream, "test.Service", "Echo", "");
	hear(w, stream, TTRPC_RESOURCE_EXHAUSTED, "too many calls");
	for (uint32_t i = 0; i < TTRPC_CALLS_MAX; i++) {
		ttrpc_fail(w->held[i], TTRPC_CANCELED, "call %u", i);
		serve(w);
		hear(w, 2 * i + 1, TTRPC_CANCELED, "call");
	}
	ask(w, stream + 2, "test.Service", "Echo", "again");
	hear(w, stream + 2, TTRPC_OK, "again");
}

static void another_user_is_not_heard(void **state)
{
	struct world *w = *state;
	struct ttrpc_server *other;
	struct err err = { 0 };
	struct world theirs = { .client = -1 };
	const int listener = listen_at(&theirs);

	assert_int_equal(ttrpc_server_new(w->loop, listener, (uint32_t)geteuid() + 1, services, 1,
					  w, &other, &err),
			 0);
	theirs.loop = w->loop;
	theirs.client = connect_to(&theirs);
	hear_the_end(&theirs);
	(void)close(theirs.client);
	ttrpc_server_free(other);
	(void)unlink(theirs.address.sun_path);
	(void)rmdir(theirs.dir);
}

/* ---- What goes right ---- */

static void a_request_is_answered(void **state)
{
	ask(*state, 1, "test.Service", "Echo", "hello");
	hear(*state, 1, TTRPC_OK, "hello");
}

static void a_request_byte_by_byte_is_answered(void **state)
{
	AUTO_BUF struct buf b = { 0 };

	make_request(&b, 1, "test.Service", "Echo", "slow", 0);
	for (size_t i = 0; i < b.len; i++) {
		hear_nothing(*state);
		say(*state, b.data + i, 1);
	}
	hear(*state, 1, TTRPC_OK, "slow");
}

static void answers_may_come_in_another_order(void **state)
{
	struct world *w = *state;
	Caisson__Ttrpc__Status answer = CAISSON__TTRPC__STATUS__INIT;

	ask(w, 1, "test.Service", "Hold", "");
	ask(w, 3, "test.Service", "Echo", "first");
	hear(w, 3, TTRPC_OK, "first");
	answer.message = (char[]){ "late" };
	ttrpc_answer(w->held[0], &answer.base);
	hear(w, 1, TTRPC_OK, "late");
}

static void a_failure_has_its_code_and_its_words(void **state)
{
	ask(*state, 1, "test.Service", "Refuse", "");
	hear(*state, 1, TTRPC_NOT_FOUND, "container c1: not found");
}

static void the_callers_time_is_told(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct buf b = { 0 };

	make_request(&b, 1, "test.Service", "Echo", "", 1500000000);
	make_request(&b, 3, "test.Service", "Echo", "", 1);
	make_request(&b, 5, "test.Service", "Echo", "", -1);
	make_request(&b, 7, "test.Service", "Echo", "", INT64_MAX);
	say(w, b.data, b.len);
	assert_int_equal(w->timeout_ms, UINT32_MAX);
	for (uint32_t i = 1; i <= 7; i += 2)
		hear(w, i, TTRPC_OK, "");
	b.len = 0;
	make_request(&b, 9, "test.Service", "Echo", "", 1500000000);
	say(w, b.data, b.len);
	assert_int_equal(w->timeout_ms, 1500);
}

static void a_call_is_wanted_until_its_time_or_its_connection_ends(void **state)
{
	struct world *w = *state;
	const int64_t end = clock_ms() + 30000;
	AUTO_BUF struct buf b = { 0 };

	make_request(&b, 1, "test.Service", "Hold", "", 20000000);
	make_request(&b, 3, "test.Service", "Hold", "", INT64_MAX);
	make_request(&b, 5, "test.Service", "Hold", "", 0);
	say(w, b.data, b.len);
	while (ttrpc_call_is_wanted(w->held[0]) && clock_ms() < end)
		(void)usleep(1000);
	assert_false(ttrpc_call_is_wanted(w->held[0]));
	assert_true(ttrpc_call_is_wanted(w->held[1]));
	assert_true(ttrpc_call_is_wanted(w->held[2]));
	(void)close(TAKE_FD(w->client));
	serve(w);
	assert_false(ttrpc_call_is_wanted(w->held[2]));
	for (unsigned int i = 0; i < w->held_len; i++)
		ttrpc_fail(w->held[i], TTRPC_UNKNOWN, "nobody hears it");
}

static void an_answer_whose_connection_has_ended_is_dropped(void **state)
{
	struct world *w = *state;
	Caisson__Ttrpc__Status answer = CAISSON__TTRPC__STATUS__INIT;

	ask(w, 1, "test.Service", "Hold", "");
	ask(w, 3, "test.Service", "Hold", "");
	(void)close(TAKE_FD(w->client));
	serve(w);
	ttrpc_answer(w->held[0], &answer.base);
	ttrpc_fail(w->held[1], TTRPC_UNKNOWN, "nobody hears it");
	w->client = connect_to(w);
	ask(w, 1, "test.Service", "Echo", "new");
	hear(w, 1, TTRPC_OK, "new");
}

static void a_peer_that_does_not_read_loses_nothing(void **state)
{
	struct world *w = *state;
	static char text[200];
	unsigned int i;

	memset(text, 'x', sizeof(text) - 1);
	for (i = 0; i < ROUNDS; i++) {
		AUTO_BUF struct buf b = { 0 };

		make_request(&b, 2 * i + 1, "test.Service", "Echo", text, 0);
		say(w, b.data, b.len);
	}
	assert_false(ttrpc_server_quiet(w->server));
	for (i = 0; i < ROUNDS; i++) {
		serve(w);
		hear(w, 2 * i + 1, TTRPC_OK, text);
	}
	hear_nothing(w);
	assert_true(ttrpc_server_quiet(w->server));
}

static void too_many_connections_are_ended(void **state)
{
	struct world *w = *state;
	int more[TTRPC_CONNECTIONS_MAX];
	char byte;

	for (size_t i = 0; i < TTRPC_CONNECTIONS_MAX; i++) {
		more[i] = connect_to(w);
		serve(w);
	}
	assert_int_equal(recv(more[TTRPC_CONNECTIONS_MAX - 1], &byte, 1, 0), 0);
	assert_int_equal(recv(more[TTRPC_CONNECTIONS_MAX - 2], &byte, 1, 0), -1);
	for (size_t i = 0; i < TTRPC_CONNECTIONS_MAX; i++)
		(void)close(more[i]);
	serve(w);
	ask(w, 1, "test.Service", "Echo", "still");
	hear(w, 1, TTRPC_OK, "still");
}

static void a_full_table_is_waited_for_without_haste(void **state)
{
	struct world *w = *state;
	const int64_t end = clock_ms() + 30000;
	struct rlimit limit, few;
	unsigned int rounds = 0;
	int64_t begin;

	ask(w, 1, "test.Service", "Echo", "first");
	hear(w, 1, TTRPC_OK, "first");
	(void)close(w->client);
	serve(w);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	w->client = connect_to(w);
	few = (struct rlimit){ (rlim_t)w->client, limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (begin = clock_ms(); clock_ms() < begin + 300; rounds++)
		assert_int_equal(loop_once(w->loop, 50), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_in_range(rounds, 0, 20);
	ask(w, 1, "test.Service", "Echo", "again");
	while (!is_readable(w->client) && clock_ms() < end)
		assert_int_equal(loop_once(w->loop, 50), 0);
	hear(w, 1, TTRPC_OK, "again");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_service_that_is_not_there_is_unimplemented),
		CASE(a_method_that_is_not_there_is_unimplemented),
		CASE(numbers_must_be_odd_and_grow),
		CASE(bytes_that_are_no_request_are_refused),
		CASE(a_payload_of_another_type_is_refused),
		CASE(a_message_that_is_too_long_is_skipped_and_the_next_one_served),
		CASE(a_message_that_would_take_too_much_memory_is_refused),
		CASE(frames_of_other_types_are_passed_over),
		CASE(too_many_calls_are_refused),
		CASE(another_user_is_not_heard),
		CASE(a_request_is_answered),
		CASE(a_request_byte_by_byte_is_answered),
		CASE(answers_may_come_in_another_order),
		CASE(a_failure_has_its_code_and_its_words),
		CASE(the_callers_time_is_told),
		CASE(a_call_is_wanted_until_its_time_or_its_connection_ends),
		CASE(an_answer_whose_connection_has_ended_is_dropped),
		CASE(a_peer_that_does_not_read_loses_nothing),
		CASE(too_many_connections_are_ended),
		CASE(a_full_table_is_waited_for_without_haste),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
