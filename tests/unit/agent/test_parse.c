/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/ps.h"
#include "agent/siblings.h"
#include "agent/storage.h"
#include "host/pidfd.h"

static void paths_outside_or_not_normal_are_no_targets(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"/run/caisson",
		"/run/caisson/",
		"/run/caissonx/a",
		"run/caisson/a",
		"/run/caisson/..",
		"/run/caisson/../a",
		"/run/caisson/a/..",
		"/run/caisson/a/../../b",
		"/run/caisson/./a",
		"/run/caisson/a/.",
		"/run/caisson//a",
		"/run/caisson/a//b",
		"/run/caisson/a/",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (storage_below(bad[i]))
			fail_msg("\"%s\" is taken", bad[i]);
	}
}

static void a_target_is_known_by_what_is_below_the_top(void **state)
{
	(void)state;
	assert_string_equal(storage_below("/run/caisson/a"), "a");
	assert_string_equal(storage_below("/run/caisson/share/12/..x"), "share/12/..x");
}

static void a_target_outside_is_not_mounted(void **state)
{
	const struct agent_storage storage = {
		.source = "none", .target = "/etc", .type = "tmpfs", .options = ""
	};
	struct storage_list list = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_true(storage_mount_all(&storage, 1, &list, &err) < 0);
	assert_int_equal(list.len, 0);
}

static void what_is_no_stat_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"1",
		"1 (sh",
		"1 sh) S 1",
		") 1 (",
		"x (sh) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22",
		"1 (sh) S 1 2 3",
	};
	struct sentry_ps ps;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (ps_parse_stat(bad[i], &ps) != -EINVAL)
			fail_msg("\"%s\" is taken", bad[i]);
	}
}

static void a_name_may_look_like_fields(void **state)
{
	struct sentry_ps ps;

	(void)state;
	assert_int_equal(
		ps_parse_stat("42 (a) R (b c d e f g) S 7 42 42 0 -1 4194560 1 2 3 4 11 22 0 0 20 "
			      "0 3 0 500 1 2 3",
			      &ps),
		0);
	assert_int_equal(ps.pid, 42);
	assert_int_equal(ps.ppid, 7);
	assert_int_equal(ps.state, 'S');
	assert_int_equal(ps.threads, 3);
	assert_string_equal(ps.comm, "a) R (b c d e f");
	assert_true(ps.cpu_ns == 33 * 10000000ull);
	assert_true(ps.start_ns == 500 * 10000000ull);
}

static void letters_that_the_wire_does_not_have_become_near_ones(void **state)
{
	static const char pairs[][2] = { { 'I', 'S' }, { 't', 'T' }, { 'X', 'Z' }, { 'D', 'D' } };
	char text[] = "1 (x) ? 0 1 1 0 -1 0 1 2 3 4 11 22 0 0 20 0 1 0 5";
	struct sentry_ps ps;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		text[6] = pairs[i][0];
		assert_int_equal(ps_parse_stat(text, &ps), 0);
		assert_int_equal(ps.state, pairs[i][1]);
	}
}

static void a_command_is_cut_and_has_an_end(void **state)
{
	struct sentry_ps ps = { .comm = "kthread" };
	char bytes[400];

	(void)state;
	ps_take_command("", 0, &ps);
	assert_string_equal(ps.command, "[kthread]");
	ps_take_command("\0\0", 2, &ps);
	assert_string_equal(ps.command, "[kthread]");
	ps_take_command("sh\0-c\0true\0", 11, &ps);
	assert_string_equal(ps.command, "sh -c true");
	memset(bytes, 'x', sizeof(bytes));
	ps_take_command(bytes, sizeof(bytes), &ps);
	assert_int_equal(strlen(ps.command), sizeof(ps.command) - 1);
}

/* Whose number may be another's. */
static void who_has_ended_shares_nothing(void **state)
{
	const pid_t pid = fork();
	struct siblings s = { .len = 1 };
	struct err err = { 0 };
	int status;

	(void)state;
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	s.pidfds[0] = pidfd_get(pid);
	assert_int_equal(siblings_live(&s, &err), 0);
	assert_int_equal(pidfd_kill(s.pidfds[0], SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(siblings_live(&s, &err), -ESRCH);
	(void)close(s.pidfds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_outside_or_not_normal_are_no_targets),
		cmocka_unit_test(a_target_is_known_by_what_is_below_the_top),
		cmocka_unit_test(a_target_outside_is_not_mounted),
		cmocka_unit_test(what_is_no_stat_is_refused),
		cmocka_unit_test(a_name_may_look_like_fields),
		cmocka_unit_test(letters_that_the_wire_does_not_have_become_near_ones),
		cmocka_unit_test(a_command_is_cut_and_has_an_end),
		cmocka_unit_test(who_has_ended_shares_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
