/* SPDX-License-Identifier: Apache-2.0 */
/* How a machine starts, and what is said when it does not. */
#include "vmm/harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define SECOND 1000 /* ms: "within a second of its failing" */
#define TRIES  5u   /* in one of them a busy host has time for us */

/* FAILED with these words, and the end. */
static void assert_fails(struct harness *h, const char *words)
{
	struct err err = { 0 };

	assert_int_equal(harness_report(h, &err), SENTRY_REPORT_FAILED);
	assert_says(err, words);
	assert_int_equal(harness_wait(h), 125);
	harness_stop(h);
}

/* READY never comes, but what says that a boot may take its place. */
static void assert_no_clone(struct harness *h, const char *words)
{
	struct err err = { 0 };

	assert_int_equal(harness_report(h, &err), SENTRY_REPORT_NO_CLONE);
	assert_says(err, words);
	assert_int_equal(harness_wait(h), 125);
	harness_stop(h);
}

static void a_machine_that_ends_is_told_with_its_status_and_words(void **state)
{
	struct harness h = { .mode = "exit:1:3" };
	struct err err = { 0 };

	harness_start(&h);
	assert_int_equal(harness_report(&h, &err), SENTRY_REPORT_FAILED);
	assert_says(err, "QEMU ended with status 3");
	assert_says(err, "qemu-system-x86_64: something is wrong");
	assert_says(err, "fake kernel");
	assert_int_equal(harness_wait(&h), 125);
	harness_stop(&h);
}

static void a_killed_machine_is_told_with_its_signal(void **state)
{
	struct harness h = { .mode = "killed:1" };

	harness_start(&h);
	assert_fails(&h, "QEMU was killed by signal 9");
}

static void a_panic_of_the_guest_is_called_one(void **state)
{
	struct harness h = { .mode = "panic:1" };

	harness_start(&h);
	assert_fails(&h, "the guest's kernel has panicked: Attempted to kill init! "
			 "exitcode=0x0000000b");
}

/* Of all its life, hence also of its failing. */
static int64_t ms_to_be_told(const char *mode)
{
	struct harness h = { .mode = mode };
	const int64_t begin = clock_ms();
	int64_t took;

	harness_start(&h);
	assert_int_equal(harness_report(&h, NULL), SENTRY_REPORT_FAILED);
	took = clock_ms() - begin;
	assert_int_equal(harness_wait(&h), 125);
	harness_stop(&h);
	return took;
}

static void a_boot_that_fails_is_told_within_a_second(void **state)
{
	static const char *const modes[] = { "exit:1:3", "killed:1", "panic:1",
					     "refuse:1", "lie:gone", "lie:nonce" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		int64_t took = SECOND;

		for (unsigned int n = 0; n < TRIES && took >= SECOND; n++)
			took = ms_to_be_told(modes[i]);
		if (took >= SECOND)
			fail_msg("%s: told after %lld ms", modes[i], (long long)took);
	}
}

static void a_silent_machine_ends_when_its_time_is_over(void **state)
{
	struct harness h = { .mode = "mute", .boot_ms = 200 };

	harness_start(&h);
	assert_fails(&h, "its agent has said nothing for 200 ms");
}

static void what_the_agent_refuses_is_told_in_its_words(void **state)
{
	struct harness h = { .mode = "refuse:1" };

	harness_start(&h);
	assert_fails(&h, "no such luck");
}

static void a_network_that_is_refused_is_named(void **state)
{
	struct harness h = { .mode = "refuse:12", .with_network = true };

	harness_start(&h);
	assert_fails(&h, "agent: NETWORK: no such luck");
}

static void a_clone_is_reset_first(void **state)
{
	struct harness h = { .mode = "refuse:14", .flags = VMM_RESTORED };

	harness_start(&h);
	assert_no_clone(&h, "agent: RESET: no such luck");
}

static void more_cpus_come_after_the_reset(void **state)
{
	struct harness h = { .mode = "refuse:13", .flags = VMM_RESTORED, .cpus = 2 };

	harness_start(&h);
	assert_no_clone(&h, "agent: ONLINE: no such luck");
}

static void a_clone_that_is_not_set_going_is_told_before_its_time_is_over(void **state)
{
	struct harness h = { .mode = "no-go", .flags = VMM_RESTORED };

	harness_start(&h);
	assert_no_clone(&h, "does not set it going; QEMU said: fake-machine: the disk cannot be");
}

static void a_clone_that_ends_before_it_has_heard_of_a_container_is_called_none(void **state)
{
	struct harness h = { .mode = "mute", .boot_ms = 200, .flags = VMM_RESTORED };

	harness_start(&h);
	assert_no_clone(&h, "its agent has said nothing for 200 ms");
}

static void a_clone_that_somebody_kills_is_a_failure(void **state)
{
	struct harness h = { .mode = "killed:14", .flags = VMM_RESTORED };

	harness_start(&h);
	assert_fails(&h, "QEMU was killed by signal 9");
}

static void a_clone_that_has_heard_of_a_container_is_a_failure(void **state)
{
	struct harness h = { .mode = "refuse:12", .with_network = true, .flags = VMM_RESTORED };

	harness_start(&h);
	assert_fails(&h, "agent: NETWORK: no such luck");
}

/* What the fake machine gets is the socket itself. */
static void a_clone_gets_its_files_when_it_runs(void **state)
{
	struct harness h = { .script = "exit:7", .flags = VMM_RESTORED | VMM_PLUG_FILES };
	char text[16];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	h.files = pair[1];
	harness_start(&h);
	(void)close(pair[1]);
	assert_int_equal(harness_read(pair[0], text, sizeof(text), "plugged"), 7);
	harness_run(&h, SENTRY_GO_START);
	assert_int_equal(harness_wait(&h), 7);
	assert_string_equal(harness_log(&h), "");
	(void)close(pair[0]);
	harness_stop(&h);
}

static void files_that_qemu_refuses_end_the_clone_in_its_words(void **state)
{
	struct harness h = { .mode = "no-room",
			     .files = STDERR_FILENO,
			     .flags = VMM_RESTORED | VMM_PLUG_FILES };

	struct err err = { 0 };
	uint32_t report;

	harness_start(&h);
	report = harness_report(&h, &err);
	/* It may have heard of the container meanwhile. */
	assert_true(report == SENTRY_REPORT_NO_CLONE || report == SENTRY_REPORT_FAILED);
	assert_says(err, "QMP device_add: GenericError: no room");
	assert_int_equal(harness_wait(&h), 125);
	harness_stop(&h);
}

static void an_answer_that_is_none_ends_the_machine(void **state)
{
	struct harness h = { .mode = "garbage:1" };

	harness_start(&h);
	assert_fails(&h, "CREATE");
}

static void a_runtime_that_goes_before_its_word_takes_the_machine_along(void **state)
{
	struct harness h = { .mode = "honest" };

	harness_start(&h);
	assert_int_equal(harness_report(&h, NULL), SENTRY_REPORT_READY);
	(void)shutdown(h.report, SHUT_RDWR);
	assert_int_equal(harness_wait(&h), 137);
	harness_stop(&h);
}

static void a_start_that_fails_is_told_to_run(void **state)
{
	struct harness h = { .mode = "refuse:2" };
	struct err err = { 0 };

	harness_start(&h);
	assert_int_equal(harness_report(&h, NULL), SENTRY_REPORT_READY);
	harness_go(&h, SENTRY_GO_START);
	assert_int_equal(harness_report(&h, &err), SENTRY_REPORT_FAILED);
	assert_string_equal(err.msg, "no such luck");
	assert_int_equal(harness_wait(&h), 137);
	harness_stop(&h);
}

static void the_container_runs_and_its_code_is_ours(void **state)
{
	struct harness h = { .script = "exit:7", .with_network = true, .flags = VMM_RESTORED };

	harness_start(&h);
	harness_run(&h, SENTRY_GO_START);
	assert_int_equal(harness_wait(&h), 7);
	assert_string_equal(harness_log(&h), "");
	harness_stop(&h);
}

static void its_output_comes_apart_and_whole(void **state)
{
	struct harness h = { .script = "say:hello" };
	char text[64];

	harness_start(&h);
	harness_run(&h, SENTRY_GO_START);
	assert_int_equal(harness_read(h.out, text, sizeof(text), NULL), 5);
	assert_string_equal(text, "hello");
	assert_int_equal(harness_read(h.err, text, sizeof(text), NULL), 3);
	assert_string_equal(text, "err");
	assert_int_equal(harness_wait(&h), 0);
	harness_stop(&h);
}

static void its_input_reaches_it_to_the_end(void **state)
{
	struct harness h = { .script = "echo" };
	static char text[65536];

	harness_start(&h);
	harness_run(&h, SENTRY_GO_START);
	for (int i = 0; i < 20; i++) {
		char line[1024];

		memset(line, 'a' + i, sizeof(line));
		line[1023] = '\n';
		assert_int_equal(write(h.in, line, sizeof(line)), sizeof(line));
	}
	(void)close(h.in);
	h.in = -1;
	assert_int_equal(harness_read(h.out, text, sizeof(text), NULL), 20 * 1024);
	assert_int_equal(text[19 * 1024], 'a' + 19);
	assert_int_equal(harness_wait(&h), 0);
	harness_stop(&h);
}

/* More than all credit and buffers: the process ends, and what it said is waited for. */
static void what_it_said_is_written_before_the_end(void **state)
{
	struct harness h = { .script = "flood:3000000" };
	static char text[3000002];

	harness_start(&h);
	harness_run(&h, SENTRY_GO_START);
	assert_int_equal(harness_read(h.out, text, sizeof(text), NULL), 3000000);
	assert_int_equal(harness_wait(&h), 0);
	harness_stop(&h);
}

static void output_that_nobody_wants_is_thrown_away(void **state)
{
	struct harness h = { .script = "flood:3000000" };

	harness_start(&h);
	(void)close(h.out);
	h.out = -1;
	harness_run(&h, SENTRY_GO_START);
	assert_int_equal(harness_wait(&h), 0);
	harness_stop(&h);
}

static void a_terminal_goes_both_ways_and_has_a_size(void **state)
{
	struct harness h = { .script = "echo", .terminal = true };
	char text[256];

	harness_start(&h);
	harness_run(&h, SENTRY_GO_START);
	assert_int_equal(write(h.out, "ping\n", 5), 5);
	(void)harness_read(h.out, text, sizeof(text), "ping\n");
	assert_int_equal(client_ask(client_open(&h),
				    (struct sentry_request){ .type = SENTRY_RESIZE }, NULL, 0)
				 .error,
			 0);
	(void)harness_read(h.out, text, sizeof(text), "size 24x80\n");
	assert_non_null(strstr(text, "size 24x80"));
	assert_int_equal(kill(h.pid, SIGTERM), 0);
	assert_int_equal(harness_wait(&h), 128 + SIGTERM);
	harness_stop(&h);
}

/* Nothing of the supervisor's takes its number, and is given to the container. */
static void an_input_that_is_closed_is_none(void **state)
{
	struct harness h = { .script = "streams", .no_input = true };
	char said[256];

	harness_start(&h);
	harness_run(&h, SENTRY_GO_START);
	(void)harness_read(h.out, said, sizeof(said), "\n");
	assert_string_equal(said, "streams: out err\n");
	assert_int_equal(kill(h.pid, SIGTERM), 0);
	assert_int_equal(harness_wait(&h), 128 + SIGTERM);
	harness_stop(&h);
}

static void signals_of_ours_are_the_containers(void **state)
{
	struct harness h = { .script = "hold" };

	harness_start(&h);
	harness_run(&h, SENTRY_GO_RELEASE);
	assert_int_equal(kill(h.pid, SIGHUP), 0);
	assert_int_equal(harness_wait(&h), 128 + SIGHUP);
	harness_stop(&h);
}

static void a_machine_that_ends_under_the_container_stands_in_the_log(void **state)
{
	struct harness h = { .mode = "panic:4" };

	harness_start(&h);
	harness_run(&h, SENTRY_GO_START);
	assert_int_equal(kill(h.pid, SIGUSR1), 0);
	assert_int_equal(harness_wait(&h), 137);
	assert_non_null(strstr(harness_log(&h), "the guest's kernel has panicked"));
	harness_stop(&h);
}

static void a_killed_machine_ends_the_container(void **state)
{
	struct harness h = { .mode = "honest" };

	harness_start(&h);
	harness_run(&h, SENTRY_GO_START);
	assert_int_equal(kill(harness_machine(&h), SIGKILL), 0);
	assert_int_equal(harness_wait(&h), 137);
	assert_non_null(strstr(harness_log(&h), "QEMU was killed by signal 9"));
	harness_stop(&h);
}

static void a_killed_virtiofsd_ends_the_container(void **state)
{
	struct harness h = { .with_files = true };

	harness_start(&h);
	harness_run(&h, SENTRY_GO_START);
	assert_int_equal(kill(harness_files(&h), SIGKILL), 0);
	assert_int_equal(harness_wait(&h), 137);
	assert_non_null(strstr(harness_log(&h), "virtiofsd was killed by signal 9"));
	harness_stop(&h);
}

/* As the freezer does, or a host that sleeps: longer than any answer is waited for. */
static bool survives_a_stop(void)
{
	struct harness h = { .impatient = true, .mode = "honest" };
	const struct sentry_request request = { .type = SENTRY_STATS };
	struct sentry_reply reply;
	pid_t machine;
	int sock;

	harness_start(&h);
	harness_run(&h, SENTRY_GO_RELEASE);
	machine = harness_machine(&h);
	assert_int_equal(kill(machine, SIGSTOP), 0);
	sock = client_open(&h);
	client_say(sock, &request, NULL, 0, NULL, 0);
	(void)usleep(500000); /* it has asked; if it has not, the test is easier */
	assert_int_equal(kill(h.pid, SIGSTOP), 0);
	(void)usleep(8000000);
	assert_int_equal(kill(h.pid, SIGCONT), 0);
	(void)usleep(200000); /* it sees its timer before the answer */
	assert_int_equal(kill(machine, SIGCONT), 0);
	if (!client_hear(sock, &reply, NULL, 0))
		reply.error = -EPIPE;
	(void)close(sock);
	harness_stop(&h);
	return reply.error == 0;
}

/* A machine so busy that the agent did not run for seconds afterwards gets another try. */
static void time_in_which_all_were_stopped_does_not_count(void **state)
{
	assert_true(survives_a_stop() || survives_a_stop() || survives_a_stop());
}

/* Each ends in a sentence, and never in a hang. */
static void lies_about_the_end_end_the_machine(void **state)
{
	static const char *const modes[] = { "late-end", "stranger" };

	for (size_t i = 0; i < 2; i++) {
		struct harness h = { .mode = modes[i], .script = "say:x" };

		harness_start(&h);
		assert_int_equal(harness_report(&h, NULL), SENTRY_REPORT_READY);
		harness_go(&h, SENTRY_GO_START);
		assert_int_equal(harness_wait(&h), 137);
		assert_non_null(strstr(harness_log(&h), "the agent tells the end of process"));
		harness_stop(&h);
	}
}

static void a_silent_agent_is_named_with_the_call(void **state)
{
	struct harness h = { .mode = "silent:4", .impatient = true };

	harness_start(&h);
	harness_run(&h, SENTRY_GO_START);
	assert_int_equal(kill(h.pid, SIGUSR1), 0);
	assert_int_equal(harness_wait(&h), 137);
	assert_non_null(strstr(harness_log(&h), "the agent has not answered SIGNAL for "));
	harness_stop(&h);
}

/* Its CPU is idle: that is no slow one. A busy machine may need longer, but not for ever. */
static void a_silent_agent_of_an_emulated_guest_is_found_out_too(void **state)
{
	struct harness h = { .mode = "dumb:4" };

	harness_start(&h);
	harness_run(&h, SENTRY_GO_START);
	assert_int_equal(kill(h.pid, SIGUSR1), 0);
	assert_int_equal(harness_wait(&h), 137);
	assert_non_null(strstr(harness_log(&h), "the agent has not answered SIGNAL for "));
	harness_stop(&h);
}

/* The call itself may take as long as it likes. */
static void an_agent_that_falls_silent_in_a_slow_call_is_found_out(void **state)
{
	static const char *const modes[] = { "dumb:1", "dumb:2" };

	for (size_t i = 0; i < 2; i++) {
		struct harness h = { .mode = modes[i], .impatient = true };
		struct err told = { 0 };

		harness_start(&h);
		if (i == 1) {
			assert_int_equal(harness_report(&h, NULL), SENTRY_REPORT_READY);
			harness_go(&h, SENTRY_GO_START);
		}
		assert_int_equal(harness_report(&h, &told), SENTRY_REPORT_FAILED);
		assert_says(told, "the agent has not answered PING for ");
		assert_int_equal(harness_wait(&h), i == 0 ? 125 : 137);
		harness_stop(&h);
	}
}

/* Who asked for the container bounds the time in which it is made. */
static void a_runtime_that_goes_ends_what_is_slow_to_come(void **state)
{
	struct harness h = { .mode = "silent:1" };

	harness_start(&h);
	(void)usleep(200000);
	assert_int_equal(close(h.report), 0);
	h.report = -1;
	assert_int_equal(harness_wait(&h), 125);
	harness_stop(&h);
}

static void a_silent_delete_does_not_change_the_code(void **state)
{
	struct harness h = { .mode = "dumb:11", .script = "exit:3", .impatient = true };

	harness_start(&h);
	harness_run(&h, SENTRY_GO_START);
	assert_int_equal(harness_wait(&h), 3);
	assert_non_null(strstr(harness_log(&h), "after its end: the agent has not answered"));
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_that_ends_is_told_with_its_status_and_words),
		cmocka_unit_test(a_killed_machine_is_told_with_its_signal),
		cmocka_unit_test(a_panic_of_the_guest_is_called_one),
		cmocka_unit_test(a_boot_that_fails_is_told_within_a_second),
		cmocka_unit_test(a_silent_machine_ends_when_its_time_is_over),
		cmocka_unit_test(what_the_agent_refuses_is_told_in_its_words),
		cmocka_unit_test(a_network_that_is_refused_is_named),
		cmocka_unit_test(a_clone_is_reset_first),
		cmocka_unit_test(more_cpus_come_after_the_reset),
		cmocka_unit_test(a_clone_that_is_not_set_going_is_told_before_its_time_is_over),
		cmocka_unit_test(
			a_clone_that_ends_before_it_has_heard_of_a_container_is_called_none),
		cmocka_unit_test(a_clone_that_somebody_kills_is_a_failure),
		cmocka_unit_test(a_clone_that_has_heard_of_a_container_is_a_failure),
		cmocka_unit_test(a_clone_gets_its_files_when_it_runs),
		cmocka_unit_test(files_that_qemu_refuses_end_the_clone_in_its_words),
		cmocka_unit_test(an_answer_that_is_none_ends_the_machine),
		cmocka_unit_test(a_runtime_that_goes_before_its_word_takes_the_machine_along),
		cmocka_unit_test(a_start_that_fails_is_told_to_run),
		cmocka_unit_test(the_container_runs_and_its_code_is_ours),
		cmocka_unit_test(its_output_comes_apart_and_whole),
		cmocka_unit_test(its_input_reaches_it_to_the_end),
		cmocka_unit_test(what_it_said_is_written_before_the_end),
		cmocka_unit_test(output_that_nobody_wants_is_thrown_away),
		cmocka_unit_test(a_terminal_goes_both_ways_and_has_a_size),
		cmocka_unit_test(an_input_that_is_closed_is_none),
		cmocka_unit_test(signals_of_ours_are_the_containers),
		cmocka_unit_test(a_machine_that_ends_under_the_container_stands_in_the_log),
		cmocka_unit_test(a_killed_machine_ends_the_container),
		cmocka_unit_test(a_killed_virtiofsd_ends_the_container),
		cmocka_unit_test(time_in_which_all_were_stopped_does_not_count),
		cmocka_unit_test(lies_about_the_end_end_the_machine),
		cmocka_unit_test(a_silent_agent_is_named_with_the_call),
		cmocka_unit_test(a_silent_agent_of_an_emulated_guest_is_found_out_too),
		cmocka_unit_test(an_agent_that_falls_silent_in_a_slow_call_is_found_out),
		cmocka_unit_test(a_runtime_that_goes_ends_what_is_slow_to_come),
		cmocka_unit_test(a_silent_delete_does_not_change_the_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
