/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/pidfd.h"
#include "host/program_says.h"

#define PATIENCE_MS 20000

static void what_cannot_be_run_says_nothing(void **state)
{
	char text[64] = "before";

	program_says("/no/such/program", "--version", text, sizeof(text));
	assert_string_equal(text, "");
	program_says("/dev/null", "--version", text, sizeof(text));
	assert_string_equal(text, "");
}

static void as_much_as_has_room_is_heard_and_nothing_that_is_not_printable(void **state)
{
	char text[8];

	program_says("/bin/echo", "word", text, sizeof(text));
	assert_string_equal(text, "word\n");
	program_says("/bin/echo", "\033[31mlonger", text, sizeof(text));
	assert_string_equal(text, "?[31mlo");
}

static void it_is_nobody_where_we_are_root(void **state)
{
	char text[64], own[64];

	(void)snprintf(own, sizeof(own), "%u\n", geteuid() ? geteuid() : 65534u);
	program_says("/usr/bin/id", "-u", text, sizeof(text));
	assert_string_equal(text, own);
}

static void write_own(const char *name, const char *text)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(1);
	(void)close(fd);
}

/* What an ordinary user has without helpers: himself as root, and nobody else. */
static int ask_as_the_only_one(void *arg)
{
	char text[64];

	if (setgroups(0, NULL) < 0 || setresgid(1234, 1234, 1234) < 0 ||
	    setresuid(1234, 1234, 1234) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0 ||
	    unshare(CLONE_NEWUSER) < 0)
		return 2;
	write_own("setgroups", "deny");
	write_own("uid_map", "0 1234 1");
	write_own("gid_map", "0 1234 1");
	/* What is not printable, as a tab, is told as "?". */
	program_says(arg, "--version", text, sizeof(text));
	return !str_eq(text, "0\nCapEff:?0000000000000000\n");
}

static void it_is_root_without_power_where_nobody_is_not_mapped(void **state)
{
	char path[] = "/tmp/caisson-says-XXXXXX";
	AUTO_CLOSE int fd = mkstemp(path);

	NEED_ROOT();
	assert_true(fd >= 0 &&
		    dprintf(fd, "#!/bin/sh\nid -u\nexec grep CapEff /proc/self/status\n") > 0);
	assert_int_equal(fchmod(fd, 0755), 0);
	auto_close_p(&fd);
	fd = -EBADF;
	assert_int_equal(in_child(ask_as_the_only_one, path), 0);
	assert_int_equal(unlink(path), 0);
}

/* Goal: a program that does not end is not left behind by a runtime that is killed. */
static void it_ends_with_who_asks(void **state)
{
	const pid_t pid = fork();
	char path[64], text[64];
	int pidfd, said = 0;

	if (pid == 0) {
		program_says("/bin/sleep", "1000", text, sizeof(text));
		_exit(0);
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	while (said == 0) {
		FILE *f = fopen(path, "re");

		assert_non_null(f);
		if (fscanf(f, "%d", &said) != 1)
			said = 0;
		(void)fclose(f);
	}
	pidfd = pidfd_get(said);
	assert_true(pidfd >= 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	if (pidfd_wait(pidfd, PATIENCE_MS) < 0) {
		(void)pidfd_kill(pidfd, SIGKILL);
		fail_msg("it lives on");
	}
	(void)close(pidfd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_run_says_nothing),
		cmocka_unit_test(as_much_as_has_room_is_heard_and_nothing_that_is_not_printable),
		cmocka_unit_test(it_is_nobody_where_we_are_root),
		cmocka_unit_test(it_is_root_without_power_where_nobody_is_not_mapped),
		cmocka_unit_test(it_ends_with_who_asks),
	};

	return cmocka_run_group_tests_name("host/program_says", tests, NULL, NULL);
}
