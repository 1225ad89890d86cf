/* SPDX-License-Identifier: Apache-2.0 */
/* A container is paused as its file says when nobody asks, whoever dies when. */
#include "vmm/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"

static char text[4096];

/* A descriptor that reads "0\n", as a cgroup's does. */
static int new_file(void)
{
	const int fd = memfd_create("freezer", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "0\n", 2, 0), 2);
	return fd;
}

static void write_file(int file, const char *word)
{
	assert_int_equal(pwrite(file, word, 1, 0), 1);
}

static void say(int sock, uint32_t what, int file)
{
	const struct sentry_request request = { .type = VMM_FREEZE, .value = what };

	client_say(sock, &request, NULL, 0, &file, file >= 0 ? 1 : 0);
}

static int hear(int sock)
{
	struct sentry_reply reply = { 0 };

	assert_true(client_hear(sock, &reply, text, sizeof(text)));
	assert_int_equal(reply.type, VMM_FREEZE);
	return reply.error;
}

static int ask(int sock, uint32_t what, int file)
{
	say(sock, what, file);
	return hear(sock);
}

/* The machine is asked for these, and for nothing else before. */
static void must_hear(struct harness *h, const char *words)
{
	char heard[256];
	const size_t len = harness_read(h->out, heard, sizeof(heard) - 1, words);

	heard[len] = '\0';
	if (!str_eq(heard, words))
		fail_msg("heard \"%s\" instead of \"%s\": %s", heard, words, harness_log(h));
}

static void start(struct harness *h)
{
	harness_start(h);
	harness_run(h, SENTRY_GO_START);
}

static void end(struct harness *h)
{
	const struct sentry_request request = { .type = SENTRY_SHUTDOWN };
	const int sock = client_open(h);

	assert_int_equal(client_ask(sock, request, NULL, 0).error, 0);
	(void)close(sock);
	assert_int_equal(harness_wait(h), 128 + SIGKILL);
	harness_stop(h);
}

static void what_is_no_request_ends_its_connection(void **state)
{
	const struct sentry_request two = { .type = VMM_FREEZE, .value = SENTRY_FREEZE_HOLD };
	struct harness h = { 0 };
	struct sentry_reply reply;
	int sock, file = new_file();

	(void)state;
	start(&h);
	sock = client_open(&h);
	say(sock, SENTRY_FREEZE_MAX, file);
	assert_false(client_hear(sock, &reply, NULL, 0));
	(void)close(sock);
	sock = client_open(&h);
	client_say(sock, &two, NULL, 0, (int[]){ file, file }, 2);
	assert_false(client_hear(sock, &reply, NULL, 0));
	(void)close(sock);
	(void)close(file);
	end(&h);
}

static void what_the_machine_refuses_is_told_and_not_tried_again(void **state)
{
	struct harness h = { .mode = "refuse:9" };
	struct sentry_request stats = { .type = SENTRY_STATS };
	int sock, file = new_file();

	(void)state;
	start(&h);
	sock = client_open(&h);
	assert_int_equal(ask(sock, SENTRY_FREEZE_HOLD, file), -EINVAL);
	assert_string_equal(text, "no such luck");
	write_file(file, "1");
	(void)close(sock);
	/* Others are served, and the next one who asks hears of it again. */
	sock = client_open(&h);
	assert_int_equal(client_ask(sock, stats, NULL, 0).count, 1);
	assert_int_equal(ask(sock, SENTRY_FREEZE_FOLLOW, -1), -EINVAL);
	write_file(file, "0");
	assert_int_equal(ask(sock, SENTRY_FREEZE_FOLLOW, -1), 0);
	(void)close(sock);
	(void)close(file);
	assert_non_null(strstr(harness_log(&h), "it is to be paused, and is not: no such luck"));
	end(&h);
}

static void who_dies_before_he_has_written_it_down_has_changed_nothing(void **state)
{
	struct harness h = { 0 };
	int sock, file = new_file();

	(void)state;
	start(&h);
	sock = client_open(&h);
	assert_int_equal(ask(sock, SENTRY_FREEZE_HOLD, file), 0);
	(void)close(sock);
	must_hear(&h, "paused\nresumed\n");
	/* Paused for good, and the same with a resume. */
	sock = client_open(&h);
	assert_int_equal(ask(sock, SENTRY_FREEZE_HOLD, file), 0);
	write_file(file, "1");
	(void)close(sock);
	sock = client_open(&h);
	assert_int_equal(ask(sock, SENTRY_FREEZE_THAW, file), 0);
	(void)close(sock);
	must_hear(&h, "paused\nresumed\npaused\n");
	sock = client_open(&h);
	assert_int_equal(ask(sock, SENTRY_FREEZE_THAW, file), 0);
	write_file(file, "0");
	(void)close(sock);
	sock = client_open(&h);
	assert_int_equal(ask(sock, SENTRY_FREEZE_FOLLOW, -1), 0);
	(void)close(sock);
	must_hear(&h, "resumed\n");
	(void)close(file);
	end(&h);
}

/* Its own word holds as long as it is there, whatever the file says and others ask about. */
static void who_asks_is_believed_until_he_goes(void **state)
{
	struct harness h = { 0 };
	int first, second, file = new_file();

	(void)state;
	start(&h);
	first = client_open(&h);
	assert_int_equal(ask(first, SENTRY_FREEZE_HOLD, file), 0);
	second = client_open(&h);
	assert_int_equal(ask(second, SENTRY_FREEZE_THAW, -1), 0);
	must_hear(&h, "paused\nresumed\n");
	(void)close(second);
	must_hear(&h, "paused\n");
	(void)close(first);
	must_hear(&h, "resumed\n");
	(void)close(file);
	end(&h);
}

/* They are accepted in one go, in whatever order they are read. */
static void of_those_that_waited_for_a_stopped_machine_the_file_says_the_last(void **state)
{
	struct harness h = { 0 };
	int file = new_file();

	(void)state;
	start(&h);
	for (int round = 0; round < 20; round++) {
		const int last = round % 2 == 0;

		assert_int_equal(kill(h.pid, SIGSTOP), 0);
		for (int i = 0; i < 5; i++) {
			const int sock = client_open(&h);

			say(sock, SENTRY_FREEZE_FOLLOW, file);
			write_file(file, (i + last) % 2 ? "1" : "0");
			(void)close(sock);
		}
		assert_int_equal(kill(h.pid, SIGCONT), 0);
		must_hear(&h, last ? "paused\n" : "resumed\n");
	}
	(void)close(file);
	end(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_request_ends_its_connection),
		cmocka_unit_test(what_the_machine_refuses_is_told_and_not_tried_again),
		cmocka_unit_test(who_dies_before_he_has_written_it_down_has_changed_nothing),
		cmocka_unit_test(who_asks_is_believed_until_he_goes),
		cmocka_unit_test(of_those_that_waited_for_a_stopped_machine_the_file_says_the_last),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
