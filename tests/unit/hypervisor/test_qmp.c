/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's side is played by what the test has written into the other end of a socket pair. */
#include "lib/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "hypervisor/qmp.h"

#define SHORT_MS 50
#define LONG_MS	 30000

struct events {
	unsigned int count;
	char last[64];
	bool has_data;
};

static void note_event(void *arg, const char *name, const json_t *data)
{
	struct events *e = arg;

	e->count++;
	(void)snprintf(e->last, sizeof(e->last), "%s", name);
	e->has_data = data != NULL;
}

/* A client, and the descriptor that plays QEMU. */
static struct qmp *connect_to(int *ret_qemu, struct events *events)
{
	struct qmp *qmp = NULL;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(qmp_new(pair[0], events ? note_event : NULL, events, &qmp), 0);
	*ret_qemu = pair[1];
	return qmp;
}

static void says(int qemu, const char *text)
{
	assert_int_equal(write(qemu, text, strlen(text)), (ssize_t)strlen(text));
}

/* What the client has asked so far, as text. */
static void asked(int qemu, char *text, size_t size)
{
	const ssize_t n = recv(qemu, text, size - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
}

static void a_question_has_its_answer(void **state)
{
	struct events events = { 0 };
	AUTO_JSON json_t *value = NULL;
	struct err err = { 0 };
	char text[256];
	int qemu;
	AUTO_QMP struct qmp *qmp = connect_to(&qemu, &events);

	(void)state;
	says(qemu, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
		   "{\"event\": \"RESUME\", \"timestamp\": {}}\n"
		   "{\"return\": {\"running\": true}, \"id\": 1}\n"
		   "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\n");
	assert_int_equal(
		qmp_call(qmp, "query-status", json_pack("{s:i}", "a", 1), LONG_MS, &value, &err),
		0);
	assert_true(json_is_true(json_object_get(value, "running")));
	asked(qemu, text, sizeof(text));
	assert_string_equal(text,
			    "{\"execute\":\"query-status\",\"id\":1,\"arguments\":{\"a\":1}}\n");
	assert_int_equal(qmp_pump(qmp, &err), 0);
	assert_int_equal(events.count, 2);
	assert_string_equal(events.last, "SHUTDOWN");
	assert_true(events.has_data);
	(void)close(qemu);
}

static void questions_are_answered_in_their_order(void **state)
{
	AUTO_JSON json_t *value = NULL;
	struct err err = { 0 };
	int qemu;
	AUTO_QMP struct qmp *qmp = connect_to(&qemu, NULL);

	(void)state;
	for (unsigned int i = 0; i < QMP_PENDING_MAX; i++)
		assert_int_equal(qmp_ask(qmp, "stop", NULL, LONG_MS, &err), 0);
	assert_int_equal(qmp_ask(qmp, "stop", json_object(), LONG_MS, &err), -EBUSY);
	assert_int_equal(qmp_call(qmp, "cont", NULL, LONG_MS, NULL, &err), -EBUSY);
	says(qemu, "{\"return\":{},\"id\":1}\n{\"error\":{\"class\":\"GenericError\",\"desc\":"
		   "\"no such device\"},\"id\":2}\n{\"return\":{\"n\":3},\"id\":3}\n");
	assert_int_equal(qmp_answer(qmp, LONG_MS, NULL, &err), 0);
	assert_int_equal(qmp_answer(qmp, LONG_MS, &value, &err), -EREMOTEIO);
	assert_says(err, "QMP stop: GenericError: no such device");
	assert_null(value);
	assert_int_equal(qmp_answer(qmp, LONG_MS, &value, &err), 0);
	assert_int_equal(json_integer_value(json_object_get(value, "n")), 3);
	(void)close(qemu);
}

static void nothing_was_asked(void **state)
{
	struct err err = { 0 };
	int qemu;
	AUTO_QMP struct qmp *qmp = connect_to(&qemu, NULL);

	(void)state;
	assert_int_equal(qmp_answer(qmp, SHORT_MS, NULL, &err), -ENOENT);
	(void)close(qemu);
}

/* Each ends the client, with a sentence, and for good. */
static void lies_end_the_client(void **state)
{
	static const struct {
		const char *line, *says;
	} lies[] = {
		{ "{\"return\":{},\"id\":2}\n", "another question" },
		{ "{\"return\":{}}\n", "another question" },
		{ "{\"return\":{},\"id\":\"1\"}\n", "another question" },
		{ "{\"return\":{},\"id\":1}\n{\"return\":{},\"id\":2}\n", "nobody asked for" },
		{ "[1]\n", "no object" },
		{ "7\n", "from QEMU: QMP:1:" },
		{ "{\"event\":7}\n", "without name" },
		{ "{\"event\":\"X\",\"data\":[]}\n", "without name or data" },
		{ "{}\n", "neither" },
		{ "{\"return\":{},\"id\":1\n", "QMP:1:" },
		{ "{\"return\":{},\"id\":1,\"id\":1}\n", "duplicate" },
		{ "\n", "QMP:1:" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		struct err err = { 0 };
		int qemu, r;
		AUTO_QMP struct qmp *qmp = connect_to(&qemu, NULL);

		assert_int_equal(qmp_ask(qmp, "stop", NULL, LONG_MS, &err), 0);
		says(qemu, lies[i].line);
		r = qmp_pump(qmp, &err);
		assert_int_equal(r, -EPROTO);
		assert_says(err, lies[i].says);
		err = (struct err){ 0 };
		assert_int_equal(qmp_pump(qmp, &err), -EPROTO);
		assert_says(err, lies[i].says);
		assert_int_equal(qmp_ask(qmp, "cont", json_object(), LONG_MS, &err), -EPROTO);
		(void)close(qemu);
	}
}

static void a_line_has_an_end(void **state)
{
	static char noise[64u << 10];
	struct err err = { 0 };
	int qemu, r = 0;
	AUTO_QMP struct qmp *qmp = connect_to(&qemu, NULL);

	(void)state;
	memset(noise, ' ', sizeof(noise));
	for (unsigned int i = 0; i < 2 * QMP_LINE_MAX / sizeof(noise) && r == 0; i++) {
		assert_int_equal(send(qemu, noise, sizeof(noise), 0), sizeof(noise));
		r = qmp_pump(qmp, &err);
	}
	assert_int_equal(r, -EPROTO);
	assert_says(err, "a line of more than");
	(void)close(qemu);
}

static void silence_has_an_end(void **state)
{
	struct err err = { 0 };
	int qemu;
	AUTO_QMP struct qmp *qmp = connect_to(&qemu, NULL);

	(void)state;
	says(qemu, "{\"return\":{},\"id\":");
	assert_int_equal(qmp_call(qmp, "query-cpus-fast", NULL, SHORT_MS, NULL, &err), -ETIMEDOUT);
	assert_says(err, "QMP query-cpus-fast: no answer within");
	/* What comes now would be taken for the next one's. */
	assert_int_equal(qmp_ask(qmp, "cont", NULL, LONG_MS, &err), -ETIMEDOUT);
	(void)close(qemu);
}

/* Says the same event again and again, as long as anybody reads it. */
static void *flood(void *arg)
{
	const int qemu = *(int *)arg;
	static const char event[] = "{\"event\":\"RESUME\"}\n";

	while (send(qemu, event, sizeof(event) - 1, MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

static void events_without_end_keep_nobody(void **state)
{
	struct events events = { 0 };
	struct err err = { 0 };
	pthread_t thread;
	int qemu;
	struct qmp *qmp = connect_to(&qemu, &events);

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, flood, &qemu), 0);
	assert_int_equal(qmp_pump(qmp, &err), 0);
	assert_int_equal(qmp_call(qmp, "stop", NULL, SHORT_MS, NULL, &err), -ETIMEDOUT);
	assert_says(err, "QMP stop: no answer within");
	assert_true(events.count > 0);
	qmp_free(qmp);
	assert_int_equal(pthread_join(thread, NULL), 0);
	(void)close(qemu);
}

static void the_end_of_qemu_is_told_after_what_it_said(void **state)
{
	struct events events = { 0 };
	struct err err = { 0 };
	int qemu;
	AUTO_QMP struct qmp *qmp = connect_to(&qemu, &events);

	(void)state;
	assert_int_equal(qmp_ask(qmp, "quit", NULL, LONG_MS, &err), 0);
	says(qemu, "{\"return\":{},\"id\":1}\n{\"event\":\"SHUTDOWN\"}\n");
	(void)close(qemu);
	assert_int_equal(qmp_pump(qmp, &err), -EPIPE);
	assert_says(err, "closed the connection");
	assert_int_equal(events.count, 1);
	assert_int_equal(qmp_answer(qmp, LONG_MS, NULL, &err), 0);
	assert_int_equal(qmp_call(qmp, "cont", NULL, LONG_MS, NULL, &err), -EPIPE);
}

static void who_does_not_read_is_waited_for_so_long(void **state)
{
	AUTO_FREE char *much = calloc(1, 512u << 10);
	struct err err = { 0 };
	int qemu;
	AUTO_QMP struct qmp *qmp = connect_to(&qemu, NULL);

	(void)state;
	assert_non_null(much);
	memset(much, 'a', (512u << 10) - 1);
	assert_int_equal(qmp_call(qmp, "x", json_pack("{s:s}", "a", much), SHORT_MS, NULL, &err),
			 -ETIMEDOUT);
	assert_says(err, "QMP x: send");
	(void)close(qemu);
}

static void names_have_a_limit(void **state)
{
	struct err err = { 0 };
	int qemu;
	AUTO_QMP struct qmp *qmp = connect_to(&qemu, NULL);

	(void)state;
	assert_int_equal(
		qmp_ask(qmp,
			"a-command-of-more-letters-than-any-command-of-qemu-ever-had-in-its"
			"-whole-history",
			NULL, LONG_MS, &err),
		-EINVAL);
	assert_int_equal(qmp_ask(qmp, "stop", NULL, LONG_MS, &err), 0);
	(void)close(qemu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_has_its_answer),
		cmocka_unit_test(questions_are_answered_in_their_order),
		cmocka_unit_test(nothing_was_asked),
		cmocka_unit_test(lies_end_the_client),
		cmocka_unit_test(a_line_has_an_end),
		cmocka_unit_test(silence_has_an_end),
		cmocka_unit_test(events_without_end_keep_nobody),
		cmocka_unit_test(the_end_of_qemu_is_told_after_what_it_said),
		cmocka_unit_test(who_does_not_read_is_waited_for_so_long),
		cmocka_unit_test(names_have_a_limit),
	};

	return cmocka_run_group_tests_name("hypervisor/qmp", tests, NULL, NULL);
}
