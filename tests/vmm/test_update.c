/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UPDATE: what it does to a machine; one that has no end is cancelled in time, and what is
 * cancelled has to be answered.
 */
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
static const struct vmm_update none_of_it;

static int begin_update(const struct harness *h, const struct vmm_update *size)
{
	const struct sentry_request request = { .type = SENTRY_UPDATE };
	const struct agent_update inside = { .id = "other", .config = { "{}", 2 } };
	const int sock = client_open(h);
	AUTO_BUF struct buf tail = { 0 };

	(void)buf_append(&tail, size, sizeof(*size));
	assert_int_equal(agent_request_encode(AGENT_UPDATE, &inside, &tail, NULL), 0);
	client_say(sock, &request, tail.data, tail.len, NULL, 0);
	return sock;
}

static struct sentry_reply end_update(int sock)
{
	struct sentry_reply reply = { 0 };

	assert_true(client_hear(sock, &reply, text, sizeof(text)));
	(void)close(sock);
	return reply;
}

static struct sentry_reply update(const struct harness *h, const struct vmm_update *size)
{
	return end_update(begin_update(h, size));
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

static void start(struct harness *h)
{
	harness_start(h);
	harness_run(h, SENTRY_GO_RELEASE);
}

/* Of the metrics in `text`. */
static uint64_t figure(const char *name)
{
	char line[64];
	const char *at;

	(void)snprintf(line, sizeof(line), "\ncaisson_vm_%s ", name);
	at = strstr(text, line);
	assert_non_null(at);
	return strtoull(at + strlen(line), NULL, 10);
}

static uint64_t metric(const struct harness *h, const char *name)
{
	const struct sentry_request request = { .type = SENTRY_DEBUG, .value = VMM_DEBUG_METRICS };
	const int sock = client_open(h);
	struct sentry_reply reply = client_ask(sock, request, text, sizeof(text));

	(void)close(sock);
	assert_int_equal(reply.error, 0);
	return figure(name);
}

static void an_update_that_never_ends_is_cancelled_and_stops_no_other(void **state)
{
	struct harness h = { .mode = "slow:6", .impatient = true };
	int first, next;
	int64_t begin;

	start(&h);
	first = begin_update(&h, &none_of_it);
	next = begin_update(&h, &none_of_it);
	assert_int_equal(end_update(first).error, -ETIMEDOUT);
	assert_non_null(strstr(text, "are not set after 30 s, and the update was cancelled"));
	/* The one behind it has a time of its own, from then on. */
	begin = clock_ms();
	assert_int_equal(end_update(next).error, -ETIMEDOUT);
	assert_true(clock_ms() - begin > 20000);
	/* Nobody waits for these any more, and the machine ends for none of them. */
	(void)close(begin_update(&h, &none_of_it));
	(void)close(begin_update(&h, &none_of_it));
	kill_it(&h);
}

/* It looks every 20 ms whether the guest has taken its memory, also in the round of the end. */
static void an_update_is_answered_once_when_the_machine_ends(void **state)
{
	for (int i = 0; i < 20; i++) {
		struct harness h = { .mode = "stubborn", .grows = true };
		struct sentry_reply reply;
		uint64_t words;
		int sock;

		start(&h);
		words = metric(&h, "words_bytes_total");
		sock = begin_update(&h, &(struct vmm_update){ .memory = 512 * MIB });
		/* QEMU says that it was asked. */
		while (metric(&h, "words_bytes_total") == words)
			(void)usleep(1000);
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
	uint64_t calls;
	int sock;

	start(&h);
	sock = client_open(&h);
	client_say_exec(sock, "hold", (int[]){ null, null, null }, false);
	do {
		(void)usleep(1000);
		calls = metric(&h, "agent_calls_total");
	} while (calls == figure("agent_answers_total"));
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

	start(&h);
	for (int i = 0; i < 1 + 64; i++)
		(void)close(begin_update(&h, &none_of_it));
	assert_int_equal(update(&h, &none_of_it).error, -EAGAIN);
	assert_non_null(strstr(text, "64 updates of the machine wait for each other"));
	kill_it(&h);
}

static void an_update_that_is_none_is_refused(void **state)
{
	const struct sentry_request request = { .type = SENTRY_UPDATE };
	const struct vmm_update none = { 0 };
	struct harness h = { .script = "hold" };
	struct sentry_reply reply;
	int sock;

	start(&h);
	sock = client_open(&h);
	client_say(sock, &request, &none, sizeof(none) - 1, NULL, 0);
	assert_false(client_hear(sock, &reply, NULL, 0));
	(void)close(sock);
	sock = client_open(&h);
	client_say(sock, &request, &none, sizeof(none), NULL, 0);
	assert_true(client_hear(sock, &reply, NULL, 0));
	assert_true(reply.error < 0);
	(void)close(sock);
	assert_int_equal(update(&h, &(struct vmm_update){ .reserved = 1 }).error, -EPROTO);
	assert_int_equal(update(&h, &(struct vmm_update){ .memory = 1 }).error, -EPROTO);
	kill_it(&h);
}

static void an_update_above_the_machine_is_refused_and_below_it_is_none(void **state)
{
	struct harness h = { .script = "hold" };

	start(&h);
	assert_int_equal(update(&h, &(struct vmm_update){ .limit = 257ull << 20 }).error, -ENOTSUP);
	assert_non_null(strstr(text, "more than the machine has or can get (268435456"));
	assert_int_equal(update(&h, &(struct vmm_update){ .memory = 512ull << 20,
							  .limit = 256ull << 20,
							  .cpus = 7 })
				 .error,
			 0);
	assert_int_equal(update(&h, &(struct vmm_update){ .memory = 64ull << 20 }).error, 0);
	kill_it(&h);
}

static void an_update_that_fails_inside_has_the_agents_sentence(void **state)
{
	const struct vmm_update none = { 0 };
	struct harness h = { .script = "hold", .mode = "refuse:6" };

	start(&h);
	assert_int_equal(update(&h, &none).error, -EINVAL);
	assert_non_null(strstr(text, "no such luck"));
	/* Nothing of it is left under way. */
	assert_int_equal(update(&h, &none).error, -EINVAL);
	kill_it(&h);
}

static void a_machine_that_can_grows_and_shrinks(void **state)
{
	struct harness h = { .script = "hold", .grows = true };

	start(&h);
	assert_int_equal(
		update(&h, &(struct vmm_update){ .memory = 512 * MIB, .limit = 1, .cpus = 3 })
			.error,
		0);
	assert_int_equal(metric(&h, "memory_bytes"), 512 * MIB);
	assert_int_equal(metric(&h, "cpus"), 3);
	/* What it can have of what is asked for; and never less than it began with. */
	assert_int_equal(update(&h, &(struct vmm_update){ .memory = 8192 * MIB, .cpus = 9 }).error,
			 0);
	assert_int_equal(metric(&h, "memory_bytes"), 1024 * MIB);
	assert_int_equal(metric(&h, "cpus"), 4);
	assert_int_equal(update(&h, &(struct vmm_update){ .memory = 2 * MIB, .cpus = 1 }).error, 0);
	assert_int_equal(metric(&h, "memory_bytes"), 256 * MIB);
	assert_int_equal(metric(&h, "cpus"), 1);
	kill_it(&h);
}

/* Their threads end; emulated there is one for all. What a guest does not let go is off line. */
static void cpus_go_where_they_are_the_hosts(void **state)
{
	static const struct {
		const char *mode;
		bool kvm;
		uint64_t left;
	} rows[] = { { "", true, 2 }, { "keeps-cpus", true, 4 }, { "", false, 4 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct harness h = { .script = "hold",
				     .grows = true,
				     .mode = rows[i].mode,
				     .impatient = rows[i].kvm };

		start(&h);
		assert_int_equal(update(&h, &(struct vmm_update){ .cpus = 4 }).error, 0);
		assert_int_equal(metric(&h, "cpus_plugged"), 4);
		assert_int_equal(update(&h, &(struct vmm_update){ .cpus = 2 }).error, 0);
		assert_int_equal(metric(&h, "cpus"), 2);
		assert_int_equal(metric(&h, "cpus_plugged"), rows[i].left);
		/* And come back. */
		assert_int_equal(update(&h, &(struct vmm_update){ .cpus = 3 }).error, 0);
		assert_int_equal(metric(&h, "cpus"), 3);
		kill_it(&h);
	}
}

/* The guest has all the time; then what is counted is what is there. */
static void cpus_that_go_late_are_not_counted(void **state)
{
	const struct sentry_request stats = { .type = SENTRY_STATS };
	struct harness h = {
		.script = "hold", .grows = true, .mode = "late-cpus", .impatient = true
	};
	int sock;

	start(&h);
	assert_int_equal(update(&h, &(struct vmm_update){ .cpus = 4 }).error, 0);
	assert_int_equal(update(&h, &(struct vmm_update){ .cpus = 2 }).error, 0);
	assert_int_equal(metric(&h, "cpus_plugged"), 4);
	sock = client_open(&h);
	assert_int_equal(client_ask(sock, stats, NULL, 0).count, 1);
	(void)close(sock);
	for (int i = 0; i < 1000 && metric(&h, "cpus_plugged") != 2; i++)
		(void)usleep(10000);
	assert_int_equal(metric(&h, "cpus_plugged"), 2);
	kill_it(&h);
}

static void a_machine_that_does_not_follow_is_an_error_and_stays(void **state)
{
	static const struct {
		const char *mode, *says;
	} rows[] = {
		{ "no-memory", "no memory" },
		{ "stubborn", "does not follow: it has 402653184 bytes" },
		{ "refuse:6", "no such luck" },	 /* UPDATE, behind the memory */
		{ "refuse:13", "no such luck" }, /* ONLINE */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct harness h = {
			.script = "hold", .grows = true, .mode = rows[i].mode, .impatient = true
		};

		start(&h);
		assert_true(
			update(&h, &(struct vmm_update){ .memory = 512 * MIB, .cpus = 2 }).error <
			0);
		assert_non_null(strstr(text, rows[i].says));
		assert_int_equal(metric(&h, "memory_bytes"), 256 * MIB);
		assert_int_equal(metric(&h, "cpus"), 1);
		kill_it(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_update_is_answered_once_when_the_machine_ends),
		cmocka_unit_test(an_update_that_is_none_is_refused),
		cmocka_unit_test(an_update_above_the_machine_is_refused_and_below_it_is_none),
		cmocka_unit_test(an_update_that_fails_inside_has_the_agents_sentence),
		cmocka_unit_test(a_machine_that_can_grows_and_shrinks),
		cmocka_unit_test(cpus_go_where_they_are_the_hosts),
		cmocka_unit_test(cpus_that_go_late_are_not_counted),
		cmocka_unit_test(a_machine_that_does_not_follow_is_an_error_and_stays),
		cmocka_unit_test(only_so_many_updates_wait),
		cmocka_unit_test(a_cancelled_exec_that_is_not_answered_ends_the_machine),
		cmocka_unit_test(an_update_that_never_ends_is_cancelled_and_stops_no_other),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
