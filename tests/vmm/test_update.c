/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that have no end: UPDATE is cancelled in time, and what is cancelled has to be answered. */
#include "vmm/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "wire/agent_codec.h"

#define MIB (1ull << 20)

static char text[64u << 10];

static int begin_update(const struct harness *h, uint64_t memory)
{
	const struct sentry_request request = { .type = SENTRY_UPDATE };
	const struct agent_update inside = { .id = "other", .config = { "{}", 2 } };
	const struct vmm_update size = { .memory = memory };
	const int sock = client_open(h);
	AUTO_BUF struct buf tail = { 0 };

	(void)buf_append(&tail, &size, sizeof(size));
	assert_int_equal(agent_request_encode(AGENT_UPDATE, &inside, &tail, NULL), 0);
	client_say(sock, &request, tail.data, tail.len, NULL, 0);
	return sock;
}

static int end_update(int sock)
{
	struct sentry_reply reply = { 0 };

	assert_true(client_hear(sock, &reply, text, sizeof(text)));
	(void)close(sock);
	return reply.error;
}

static void kill_it(struct harness *h)
{
	const int sock = client_open(h);
	const struct sentry_request request = { .type = SENTRY_SHUTDOWN };

	assert_int_equal(client_ask(sock, request, NULL, 0).error, 0);
	(void)close(sock);
	assert_int_equal(harness_wait(h), 128 + SIGKILL);
	harness_stop(h);
}

static void an_update_that_never_ends_is_cancelled_and_stops_no_other(void **state)
{
	struct harness h = { .mode = "slow:6", .impatient = true };
	int first, next;
	int64_t begin;

	harness_start(&h);
	harness_run(&h, SENTRY_GO_RELEASE);
	first = begin_update(&h, 0);
	next = begin_update(&h, 0);
	assert_int_equal(end_update(first), -ETIMEDOUT);
	assert_non_null(strstr(text, "are not set after 30 s, and the update was cancelled"));
	/* The one behind it has a time of its own, from then on. */
	begin = clock_ms();
	assert_int_equal(end_update(next), -ETIMEDOUT);
	assert_true(clock_ms() - begin > 20000);
	/* Nobody waits for these any more, and the machine ends for none of them. */
	(void)close(begin_update(&h, 0));
	(void)close(begin_update(&h, 0));
	kill_it(&h);
}

/* It looks every 20 ms whether the guest has taken its memory, also in the round of the end. */
static void an_update_is_answered_once_when_the_machine_ends(void **state)
{
	for (int i = 0; i < 20; i++) {
		struct harness h = { .mode = "stubborn", .grows = true };
		struct sentry_reply reply;
		int sock;

		harness_start(&h);
		harness_run(&h, SENTRY_GO_RELEASE);
		sock = begin_update(&h, 512 * MIB);
		(void)usleep(30000);
		assert_int_equal(kill(h.pid, SIGSTOP), 0);
		assert_int_equal(kill(harness_machine(&h), SIGKILL), 0);
		(void)usleep(50000);
		assert_int_equal(kill(h.pid, SIGCONT), 0);
		assert_true(client_hear(sock, &reply, text, sizeof(text)));
		assert_true(reply.error < 0);
		assert_false(client_hear(sock, &reply, text, sizeof(text)));
		(void)close(sock);
		assert_int_equal(harness_wait(&h), 137);
		harness_stop(&h);
	}
}

static void a_cancelled_exec_that_is_not_answered_ends_the_machine(void **state)
{
	struct harness h = { .mode = "silent:3", .impatient = true };
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int sock;

	harness_start(&h);
	harness_run(&h, SENTRY_GO_RELEASE);
	sock = client_open(&h);
	client_say_exec(sock, "hold", (int[]){ null, null, null }, false);
	(void)usleep(100000);
	(void)close(sock);
	(void)close(null);
	assert_int_equal(harness_wait(&h), 137);
	assert_non_null(strstr(harness_log(&h), "the agent has not answered EXEC for "));
	harness_stop(&h);
}

/* Who asked for one may go, and it is still to be done. */
static void only_so_many_updates_wait(void **state)
{
	struct harness h = { .mode = "slow:6", .impatient = true };

	harness_start(&h);
	harness_run(&h, SENTRY_GO_RELEASE);
	for (int i = 0; i < 1 + 64; i++)
		(void)close(begin_update(&h, 0));
	assert_int_equal(end_update(begin_update(&h, 0)), -EAGAIN);
	assert_non_null(strstr(text, "64 updates of the machine wait for each other"));
	kill_it(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_update_is_answered_once_when_the_machine_ends),
		cmocka_unit_test(only_so_many_updates_wait),
		cmocka_unit_test(a_cancelled_exec_that_is_not_answered_ends_the_machine),
		cmocka_unit_test(an_update_that_never_ends_is_cancelled_and_stops_no_other),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
