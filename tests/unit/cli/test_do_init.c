/* SPDX-License-Identifier: Apache-2.0 */
/* Process 1 of a sandbox, here as an ordinary process: exit codes, signals, orphans. */
#include "lib/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/do_init.h"

/* Start do_init_run() in a child; standard error is not the test's. */
static pid_t start(const char *const *argv)
{
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)setsid(); /* no terminal */
		(void)dup2(open("/dev/null", O_RDWR | O_CLOEXEC), STDERR_FILENO);
		(void)dup2(STDERR_FILENO, STDIN_FILENO);
		(void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* as process 1 is */
		_exit(do_init_run((char **)argv));
	}
	return pid;
}

static int end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}
#define RUN(...) end(start((const char *const[]){ __VA_ARGS__, NULL }))

static void exit_codes_are_the_programs(void **state)
{
	assert_int_equal(RUN("true"), 0);
	assert_int_equal(RUN("sh", "-c", "exit 42"), 42);
	assert_int_equal(RUN("sh", "-c", "kill -TERM $$"), 128 + SIGTERM);
	assert_int_equal(RUN("sh", "-c", "kill -KILL $$"), 128 + SIGKILL);
}

static void what_cannot_run_is_126_or_127(void **state)
{
	assert_int_equal(RUN("no-such-program"), EXIT_NOT_FOUND);
	assert_int_equal(RUN("/no/such/program"), EXIT_NOT_FOUND);
	assert_int_equal(RUN("/etc/passwd"), EXIT_NOT_EXECUTABLE);
	assert_int_equal(RUN("/"), EXIT_NOT_EXECUTABLE);
	assert_int_equal(RUN(""), EXIT_NOT_FOUND);
}

static void the_program_starts_with_no_signal_blocked(void **state)
{
	assert_int_equal(RUN("sh", "-c", "grep -q '^SigBlk:.0*$' /proc/self/status"), 0);
}

/* The program says on a pipe that it is ready, so that the signal does not come too early. */
static void signals_reach_the_program(void **state)
{
	char script[128];
	char byte;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	(void)snprintf(script, sizeof(script),
		       "trap 'exit 9' TERM; echo >&%d; while :; do sleep 0.01; done", fds[1]);
	pid = start((const char *const[]){ "sh", "-c", script, NULL });
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(end(pid), 9);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void a_stopped_program_goes_on(void **state)
{
	assert_int_equal(RUN("sh", "-c", "kill -STOP $$; exit 3"), 3);
}

/* Its orphans end before it and are reaped; the exit code stays the program's. */
static void orphans_are_not_the_program(void **state)
{
	assert_int_equal(RUN("sh", "-c", "(sh -c 'exit 7' &) ; sleep 0.1; exit 4"), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_codes_are_the_programs),
		cmocka_unit_test(what_cannot_run_is_126_or_127),
		cmocka_unit_test(the_program_starts_with_no_signal_blocked),
		cmocka_unit_test(signals_reach_the_program),
		cmocka_unit_test(a_stopped_program_goes_on),
		cmocka_unit_test(orphans_are_not_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
