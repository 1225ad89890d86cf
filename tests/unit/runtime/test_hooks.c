/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks of config.json: what they get, how they may fail, and that none of it can hang us. */
#include "runtimetest.h"

#include <signal.h>
#include <time.h>

#include "ns/hooks.h"

static const char small_state[] = "{\"id\":\"c1\"}";

/* Run `script` as the only hook. */
static int run_sh(const char *script, int timeout_s, const char *state_json, int out_fd,
		  struct err *err)
{
	const char *args[] = { "sh", "-c", script, NULL };
	struct oci_hook hook = { .path = "/bin/sh",
				 .args = { .items = args, .len = 3 },
				 .timeout_s = timeout_s };
	const struct oci_hook_list list = { .items = &hook, .len = 1 };
	const struct hooks_io io = { .state_json = state_json, .out_fd = out_fd, .err_fd = -EBADF };

	return hooks_run(&list, "prestart", &io, err);
}

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Read the file behind a descriptor from its start. */
static void slurp(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
}

static int scratch(void)
{
	char path[] = "/tmp/caisson-unit-XXXXXX";
	const int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 3);
	assert_int_equal(unlink(path), 0);
	return fd;
}

static void a_failing_hook_tells_its_status_and_last_line(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(
		run_sh("echo first >&2; echo last words >&2; exit 3", 0, small_state, -EBADF, &err),
		-ECANCELED);
	assert_string_equal(err.msg, "prestart hook 0 (/bin/sh): exit status 3: last words");
	assert_int_equal(run_sh("exit 1", 0, small_state, -EBADF, &err), -ECANCELED);
	assert_string_equal(err.msg, "prestart hook 0 (/bin/sh): exit status 1");
	assert_int_equal(run_sh("kill -9 $$", 0, small_state, -EBADF, &err), -ECANCELED);
	assert_string_equal(err.msg, "prestart hook 0 (/bin/sh): killed by signal 9");
}

static void a_hook_that_cannot_be_run_is_named(void **state)
{
	struct oci_hook hook = { .path = "/no/such/hook" };
	const struct oci_hook_list list = { .items = &hook, .len = 1 };
	const struct hooks_io io = { .state_json = small_state,
				     .out_fd = -EBADF,
				     .err_fd = -EBADF };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(hooks_run(&list, "poststop", &io, &err), -ECANCELED);
	assert_string_equal(err.msg,
			    "poststop hook 0 (/no/such/hook): exec: No such file or directory");
}

/* Goal: the time-out ends the hook and what it started, and does not wait for its pipes. */
static void a_hook_past_its_time_is_killed_with_its_children(void **state)
{
	struct err err = { 0 };
	char text[32] = "";
	const double before = now();
	const int out = scratch();
	pid_t child;

	(void)state;
	assert_int_equal(run_sh("sleep 1000 & echo $!; wait", 1, small_state, out, &err),
			 -ETIMEDOUT);
	assert_true(now() - before < 500);
	assert_says(err, "still running after 1 s");
	slurp(out, text, sizeof(text));
	child = (pid_t)atoi(text);
	assert_true(child > 1);
	/* An orphan now: its new parent may take a moment to reap it, and it takes one to die. */
	for (const double begin = now(); now() - begin < 60;) {
		char stat[64], line[256] = "";
		FILE *file;

		(void)snprintf(stat, sizeof(stat), "/proc/%d/stat", (int)child);
		file = fopen(stat, "re");
		if (!file) {
			(void)close(out);
			return;
		}
		(void)!fgets(line, sizeof(line), file);
		(void)fclose(file);
		if (strstr(line, ") Z ")) {
			(void)close(out);
			return;
		}
		(void)usleep(10000);
	}
	fail_msg("the child %d of a killed hook lives", (int)child);
}

static void a_child_left_in_the_background_is_not_waited_for(void **state)
{
	struct err err = { 0 };
	char text[32] = "";
	const double before = now();
	const int out = scratch();

	(void)state;
	assert_int_equal(run_sh("sleep 1000 & echo $!; exit 0", 0, small_state, out, &err), 0);
	assert_true(now() - before < 500);
	slurp(out, text, sizeof(text));
	assert_true(atoi(text) > 1);
	assert_int_equal(kill((pid_t)atoi(text), SIGKILL), 0);
	(void)close(out);
}

static void a_hook_that_does_not_read_a_huge_state_is_no_error(void **state)
{
	const size_t len = 4u << 20;
	char *huge = malloc(len + 1);
	struct err err = { 0 };

	(void)state;
	assert_non_null(huge);
	memset(huge, 'x', len);
	huge[len] = '\0';
	assert_int_equal(run_sh("exit 0", 0, huge, -EBADF, &err), 0);
	assert_int_equal(run_sh("test $(wc -c) = 4194304", 0, huge, -EBADF, &err), 0);
	free(huge);
}

static void a_hook_that_writes_without_end_keeps_its_tail_only(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(run_sh("head -c 3000000 /dev/zero >&2; echo >&2; echo end >&2; exit 1", 0,
				small_state, -EBADF, &err),
			 -ECANCELED);
	assert_string_equal(err.msg, "prestart hook 0 (/bin/sh): exit status 1: end");
	assert_int_equal(run_sh("while :; do echo y >&2; done", 1, small_state, -EBADF, &err),
			 -ETIMEDOUT);
}

static void a_hook_gets_the_state_its_args_and_nothing_else(void **state)
{
	const char *args[] = { "my name", "-c",
			       "echo \"$0\"; cat; echo; env | grep -v ^_ | grep -v ^PWD "
			       "| grep -v ^SHLVL; ls /proc/self/fd | wc -l",
			       "arg0", NULL };
	struct oci_hook hook = { .path = "/bin/sh", .args = { .items = args, .len = 4 } };
	const struct oci_hook_list list = { .items = &hook, .len = 1 };
	const int out = scratch();
	const struct hooks_io io = { .state_json = small_state, .out_fd = out, .err_fd = -EBADF };
	const int leak = open("/dev/null", O_RDONLY); /* inherited unless it is closed */
	char text[256];
	struct err err = { 0 };

	(void)state;
	assert_true(leak >= 3);
	assert_int_equal(setenv("CAISSON_SECRET", "1", 1), 0);
	assert_int_equal(hooks_run(&list, "prestart", &io, &err), 0);
	slurp(out, text, sizeof(text));
	/* 0, 1, 2 and the directory that ls reads. */
	assert_string_equal(text, "arg0\n{\"id\":\"c1\"}\n4\n");
	(void)close(out);
	(void)close(leak);
}

static void the_first_failure_ends_the_list(void **state)
{
	const char *ok[] = { "sh", "-c", "echo ran", NULL };
	const char *bad[] = { "sh", "-c", "exit 9", NULL };
	struct oci_hook hooks[] = {
		{ .path = "/bin/sh", .args = { .items = ok, .len = 3 } },
		{ .path = "/bin/sh", .args = { .items = bad, .len = 3 } },
		{ .path = "/bin/sh", .args = { .items = ok, .len = 3 } },
	};
	const struct oci_hook_list list = { .items = hooks, .len = 3 };
	const int out = scratch();
	const struct hooks_io io = { .state_json = small_state, .out_fd = out, .err_fd = -EBADF };
	char text[64];
	struct err err = { 0 };

	(void)state;
	assert_int_equal(hooks_run(&list, "createRuntime", &io, &err), -ECANCELED);
	assert_string_equal(err.msg, "createRuntime hook 1 (/bin/sh): exit status 9");
	slurp(out, text, sizeof(text));
	assert_string_equal(text, "ran\n");
	(void)close(out);
}

static void standard_error_can_go_to_a_file(void **state)
{
	const char *args[] = { "sh", "-c", "echo problem >&2", NULL };
	struct oci_hook hook = { .path = "/bin/sh", .args = { .items = args, .len = 3 } };
	const struct oci_hook_list list = { .items = &hook, .len = 1 };
	const int out = scratch();
	const struct hooks_io io = { .state_json = small_state, .out_fd = -EBADF, .err_fd = out };
	char text[64];
	struct err err = { 0 };

	(void)state;
	assert_int_equal(hooks_run(&list, "prestart", &io, &err), 0);
	slurp(out, text, sizeof(text));
	assert_string_equal(text, "problem\n");
	(void)close(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failing_hook_tells_its_status_and_last_line),
		cmocka_unit_test(a_hook_that_cannot_be_run_is_named),
		cmocka_unit_test(a_hook_past_its_time_is_killed_with_its_children),
		cmocka_unit_test(a_child_left_in_the_background_is_not_waited_for),
		cmocka_unit_test(a_hook_that_does_not_read_a_huge_state_is_no_error),
		cmocka_unit_test(a_hook_that_writes_without_end_keeps_its_tail_only),
		cmocka_unit_test(a_hook_gets_the_state_its_args_and_nothing_else),
		cmocka_unit_test(the_first_failure_ends_the_list),
		cmocka_unit_test(standard_error_can_go_to_a_file),
	};

	return cmocka_run_group_tests_name("ns/hooks", tests, NULL, NULL);
}
