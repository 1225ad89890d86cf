/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tests' own world (leftovers.h): of a test that is killed nothing stays. Called with a
 * descriptor this program is that test.
 */
#include "lib/unit.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "world.h"

#define GONE_MS 30000

static int tell_fd;

/* Its container is frozen. */
static void is_killed(void **state)
{
	struct container_plan p = plan("left", "sleep 1000");
	const struct agent_container container = { "left" };

	(void)state;
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_must(&host, AGENT_PAUSE, &container, NULL);
	assert_int_equal(write(tell_fd, root, sizeof(root)), sizeof(root));
	(void)kill(getpid(), SIGKILL);
}

static pid_t start_test(int fd)
{
	const pid_t pid = fork();
	char number[16];

	if (pid != 0)
		return pid;
	(void)snprintf(number, sizeof(number), "%d", fd);
	(void)fcntl(fd, F_SETFD, 0);
	(void)execl("/proc/self/exe", "test_world", number, NULL);
	_exit(1);
}

static size_t count(const char *directory, int pid)
{
	char pattern[96];
	glob_t found;
	size_t n;

	(void)snprintf(pattern, sizeof(pattern), "%s/caisson-agent-%d*", directory, pid);
	n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	globfree(&found);
	return n;
}

static size_t cgroups_of(int pid)
{
	return count("/sys/fs/cgroup", pid) + count("/sys/fs/cgroup/*", pid);
}

static void of_a_test_that_is_killed_nothing_stays(void **state)
{
	const int64_t end = clock_ms() + GONE_MS;
	char place[sizeof(root)] = "";
	int pair[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = start_test(pair[1]);
	(void)close(pair[1]);
	if (read(pair[0], place, sizeof(place)) != sizeof(place))
		place[0] = '\0';
	(void)close(pair[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFSIGNALED(status) && place[0]);
	while (access(place, F_OK) == 0 || cgroups_of(pid) > 0) {
		if (clock_ms() > end)
			fail_msg("%s or %zu cgroups stay", place, cgroups_of(pid));
		(void)usleep(10000);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest killed[] = { cmocka_unit_test(is_killed) };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_test_that_is_killed_nothing_stays),
	};

	if (argc < 2)
		return cmocka_run_group_tests_name("agent/world", tests, NULL, NULL);
	tell_fd = atoi(argv[1]);
	return world_run("agent/killed", killed, ARRAY_LEN(killed));
}
