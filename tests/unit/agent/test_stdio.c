/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose the pipes of standard streams are (agent/stdio.h): each case in a process of its own, which
 * has its streams replaced.
 */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/stdio.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "host/ids.h"

struct maps {
	struct oci_id_map uid, gid;
};

static pid_t enter(const struct maps *maps)
{
	const struct oci_id_maps uids = { (struct oci_id_map *)&maps->uid, 1 };
	const struct oci_id_maps gids = { (struct oci_id_map *)&maps->gid, 1 };
	struct err err = { 0 };
	AUTO_CLOSE int userns = ids_userns_open(&uids, &gids, &err);
	int ready[2];
	char byte;
	pid_t pid;

	if (userns < 0 || pipe2(ready, O_CLOEXEC) < 0)
		_exit(10);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setns(userns, CLONE_NEWUSER) < 0)
			_exit(11);
		(void)!write(ready[1], "", 1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	if (pid < 0 || read(ready[0], &byte, 1) != 1)
		_exit(12);
	(void)close(ready[0]);
	return pid;
}

static void end_process(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

/* Standard input is a pipe, output what has no owner to change, and no error. */
static void replace_streams(void)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0 || dup2(pair[0], 0) < 0 ||
	    dup2(open("/dev/null", O_RDWR | O_CLOEXEC), 1) < 0 || close(2) < 0)
		_exit(13);
}

static bool is_owned(int fd, uid_t uid, gid_t gid)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == uid && st.st_gid == gid;
}

static void run(int (*body)(void))
{
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("needs root: CAVEATS.md#unit-root\n");
		skip();
	}
	pid = fork();
	if (pid == 0) {
		for (int number = 1; number < 32; number++)
			(void)signal(number, SIG_DFL);
		replace_streams();
		_exit(body());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static const struct maps usual = { { 0, 100000, 10 }, { 0, 200000, 10 } };
static const struct maps without_root = { { 1000, 100000, 10 }, { 2000, 200000, 10 } };

static int of_one_that_has_ended(void)
{
	const struct oci_user user = { 0 };
	const pid_t pid = enter(&usual);
	struct err err = { 0 };

	end_process(pid);
	if (process_stdio_give(pid, &user, &err) != -ESRCH || !strstr(err.msg, "has ended"))
		return 1;
	return !is_owned(0, 0, 0);
}

static int of_one_whose_ids_are_not_mapped(void)
{
	const struct oci_user stranger = { .uid = 7, .gid = 2000 };
	const pid_t pid = enter(&without_root);
	struct err err = { 0 };
	const int r = process_stdio_give(pid, &stranger, &err);

	end_process(pid);
	return r != 0 || err.code != 0 || !is_owned(0, 0, 0);
}

static int without_the_right_to(void)
{
	const struct oci_user user = { 0 };
	const pid_t pid = enter(&usual);
	struct err err = { 0 };
	int r;

	if (setresuid(1234, 1234, 1234) < 0)
		return 2;
	r = process_stdio_give(pid, &user, &err);
	/* It ends with us. */
	return r != -EPERM || !strstr(err.msg, "give standard stream 0 to user 100000");
}

static int to_its_root(void)
{
	const struct oci_user user = { .uid = 3, .gid = 4 };
	const pid_t pid = enter(&usual);
	struct err err = { 0 };
	const int r = process_stdio_give(pid, &user, &err);

	end_process(pid);
	if (r != 0 || !is_owned(0, 100000, 200000))
		return 1;
	return !is_owned(1, 0, 0);
}

static int to_its_user(void)
{
	const struct oci_user user = { .uid = 1003, .gid = 2004 };
	const pid_t pid = enter(&without_root);
	struct err err = { 0 };
	const int r = process_stdio_give(pid, &user, &err);

	end_process(pid);
	return r != 0 || !is_owned(0, 100003, 200004);
}

static void a_process_that_has_ended_is_an_error(void **state)
{
	(void)state;
	run(of_one_that_has_ended);
}

static void a_namespace_that_has_neither_root_nor_the_user_is_left_to_ns(void **state)
{
	(void)state;
	run(of_one_whose_ids_are_not_mapped);
}

static void a_pipe_that_cannot_be_given_is_named(void **state)
{
	(void)state;
	run(without_the_right_to);
}

static void pipes_alone_are_given_to_the_root_of_the_namespace(void **state)
{
	(void)state;
	run(to_its_root);
}

static void without_id_0_they_are_the_users(void **state)
{
	(void)state;
	run(to_its_user);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_that_has_ended_is_an_error),
		cmocka_unit_test(a_namespace_that_has_neither_root_nor_the_user_is_left_to_ns),
		cmocka_unit_test(a_pipe_that_cannot_be_given_is_named),
		cmocka_unit_test(pipes_alone_are_given_to_the_root_of_the_namespace),
		cmocka_unit_test(without_id_0_they_are_the_users),
	};

	return cmocka_run_group_tests_name("agent/stdio", tests, NULL, NULL);
}
