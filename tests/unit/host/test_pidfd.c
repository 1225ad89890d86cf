/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/pidfd.h"

#define TAIL " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21 22\n"

static void damaged_stat_texts_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"1",
		"1 (a",
		"1 (a)",
		"1 (a) ",
		"1 (a) S",
		"1 (a) S ",
		"1 (a) S 1 2 3",
		"1 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x",
		"1 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 ",
		"1 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 99999999999999999999999999",
		"1 (a)S" TAIL,
	};
	uint64_t start;
	char letter;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (pid_stat_parse(bad[i], strlen(bad[i]), &letter, &start) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
	}
}

/* Goal: a process can call itself anything; only what follows the last ')' counts. */
static void a_hostile_name_does_not_move_the_fields(void **state)
{
	static const char *const names[] = { "a", "", "a) Z 1 2", ")))", "x (y) z", ") R 0 0 0 0" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char text[256], letter = 0;
		uint64_t start = 0;

		snprintf(text, sizeof(text), "12 (%s) S" TAIL, names[i]);
		assert_int_equal(pid_stat_parse(text, strlen(text), &letter, &start), 0);
		assert_int_equal(letter, 'S');
		assert_int_equal(start, 4711);
	}
}

static void nothing_is_there_for_a_dead_number(void **state)
{
	const pid_t pid = fork();
	uint64_t start;

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(pidfd_get(pid), -ESRCH);
	assert_int_equal(pid_start_time(pid, &start), -ESRCH);
	assert_int_equal(pid_start_time(-1, &start), -ESRCH);
	assert_int_equal(process_state(pid, 0), PROCESS_GONE);
}

static void a_process_is_running_then_zombie_then_gone(void **state)
{
	const pid_t pid = fork();
	uint64_t start, again;
	int pidfd, status = 0;

	if (pid == 0) {
		for (;;)
			pause();
	}
	pidfd = pidfd_get(pid);
	assert_true(pidfd >= 0);
	assert_true(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(pid_start_time(pid, &start), 0);
	assert_int_equal(process_state(pid, start), PROCESS_RUNNING);
	assert_int_equal(process_state(pid, 0), PROCESS_RUNNING);
	assert_int_equal(process_state(pid, start + 1),
			 PROCESS_GONE); /* the number was used again */
	assert_int_equal(pidfd_wait(pidfd, 20), -ETIMEDOUT);

	assert_int_equal(pidfd_kill(pidfd, SIGKILL), 0);
	assert_int_equal(pidfd_wait(pidfd, -1), 0);
	assert_int_equal(process_state(pid, start), PROCESS_ZOMBIE);
	assert_int_equal(pid_start_time(pid, &again), 0);
	assert_int_equal(start, again);

	assert_int_equal(pidfd_reap(pidfd, &status), 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(process_state(pid, start), PROCESS_GONE);
	assert_int_equal(pidfd_kill(pidfd, 0), -ESRCH);
	assert_int_equal(pidfd_reap(pidfd, &status), -ECHILD);
	close(pidfd);
}

static int look_without_descriptors(void *arg)
{
	const struct rlimit none = { 0, 0 };
	uint64_t start = 0;

	if (pid_start_time(getpid(), &start) < 0 || setrlimit(RLIMIT_NOFILE, &none) < 0)
		return 1;
	return pid_start_time(getpid(), &start) == -EMFILE &&
			       process_state(getpid(), start) == PROCESS_RUNNING
		       ? 0
		       : 2;
}

/* Goal: delete must not remove a container because the runtime has no descriptor left. */
static void a_process_that_cannot_be_looked_at_is_not_gone(void **state)
{
	assert_int_equal(in_child(look_without_descriptors, NULL), 0);
}

static void an_exit_status_comes_back_as_wait_gives_it(void **state)
{
	const pid_t pid = fork();
	int pidfd, status = 0;

	if (pid == 0)
		_exit(42);
	pidfd = pidfd_get(pid);
	assert_int_equal(pidfd_reap(pidfd, &status), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	close(pidfd);
}

/* Goal: the parser reads a real file of a process with a hostile name. */
static int rename_and_look(void *arg)
{
	uint64_t start = 0;

	(void)prctl(PR_SET_NAME, ") Z 1 (x");
	return pid_start_time(getpid(), &start) == 0 && start > 0 &&
			       process_state(getpid(), start) == PROCESS_RUNNING
		       ? 0
		       : 1;
}

static void a_live_process_with_a_hostile_name_is_running(void **state)
{
	assert_int_equal(in_child(rename_and_look, NULL), 0);
}

static void only_a_pidfd_of_a_process_that_is_there_has_a_number(void **state)
{
	const int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const int file = memfd_create("Pid: 1", MFD_CLOEXEC);
	const int own = pidfd_get(getpid());
	pid_t pid;
	int gone;

	assert_true(proc >= 0 && file >= 0 && own >= 0);
	assert_int_equal(pidfd_number(proc, -1), -ENOENT);
	assert_int_equal(pidfd_number(proc, file), -EBADMSG);
	assert_int_equal(pidfd_number(file, own), -ENOTDIR);
	assert_int_equal(pidfd_number(proc, own), getpid());
	pid = fork();
	if (pid == 0)
		_exit(0);
	gone = pidfd_get(pid);
	assert_true(gone >= 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(pidfd_number(proc, gone), -ESRCH);
	close(gone);
	close(own);
	close(file);
	close(proc);
}

/* As who is inside would name it. */
static void a_process_has_a_number_in_each_pid_namespace_that_it_is_in(void **state)
{
	const int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const pid_t pid =
		(pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	pid_t numbers[3] = { 0 };
	int pidfd;

	if (pid == 0) {
		pause();
		_exit(1);
	}
	assert_true(proc >= 0 && pid > 0);
	pidfd = pidfd_get(pid);
	assert_int_equal(pidfd_numbers(proc, pidfd, numbers, ARRAY_LEN(numbers)), 2);
	assert_int_equal(numbers[0], pid);
	assert_int_equal(numbers[1], 1);
	numbers[1] = 0;
	assert_int_equal(pidfd_numbers(proc, pidfd, numbers, 1), 1);
	assert_int_equal(numbers[1], 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(pidfd);
	close(proc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_stat_texts_are_refused),
		cmocka_unit_test(a_hostile_name_does_not_move_the_fields),
		cmocka_unit_test(nothing_is_there_for_a_dead_number),
		cmocka_unit_test(a_process_is_running_then_zombie_then_gone),
		cmocka_unit_test(a_process_that_cannot_be_looked_at_is_not_gone),
		cmocka_unit_test(an_exit_status_comes_back_as_wait_gives_it),
		cmocka_unit_test(a_live_process_with_a_hostile_name_is_running),
		cmocka_unit_test(only_a_pidfd_of_a_process_that_is_there_has_a_number),
		cmocka_unit_test(a_process_has_a_number_in_each_pid_namespace_that_it_is_in),
	};

	return cmocka_run_group_tests_name("host/pidfd", tests, NULL, NULL);
}
