/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time a command from outside: timer COUNT CMD [ARG...]. For each run one line:
 * wall time in ns, peak resident memory in KiB, exit status. A program of its own because ru_maxrss
 * of a child counts the memory of whoever forked it: this one is small.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static long long now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t actions;
	const int count = argc > 2 ? atoi(argv[1]) : 0;

	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	for (int i = 0; i < count; i++) {
		const long long begin = now_ns();
		struct rusage usage;
		int status;
		pid_t pid;

		if (posix_spawn(&pid, argv[2], &actions, NULL, argv + 2, environ) != 0 ||
		    wait4(pid, &status, 0, &usage) != pid) {
			perror(argv[2]);
			return 1;
		}
		printf("%lld %ld %d\n", now_ns() - begin, usage.ru_maxrss,
		       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	}
	return count > 0 ? 0 : 2;
}
