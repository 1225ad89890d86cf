/* SPDX-License-Identifier: Apache-2.0 */
#include "host/program_says.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"

#define LIMIT_MS 5000
#define NOBODY	 65534u

static size_t listen_to(int fd, char *text, size_t size)
{
	const int64_t deadline = clock_ms() + LIMIT_MS;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	while (len < size) {
		const int64_t left = deadline - clock_ms();
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			break;
		n = read(fd, text + len, size - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return len;
}

/*
 * A user namespace that has no such id has none that is less than its root, who is an ordinary user
 * outside: he stays who he is, and leaves its capabilities behind.
 */
static bool become_nobody(void)
{
	bool left;

	if (geteuid() != 0)
		return true;
	left = setgroups(0, NULL) == 0 && setgid(NOBODY) == 0;
	if (setuid(NOBODY) == 0)
		return left;
	/* EINVAL: it is not mapped. */
	return errno == EINVAL && prctl(PR_SET_SECUREBITS, SECBIT_NOROOT, 0L, 0L, 0L) == 0 &&
	       prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0L, 0L, 0L) == 0;
}

/* What our caller has open is not the program's. */
__attribute__((noreturn)) static void speak(const char *path, const char *option, int out,
					    pid_t parent)
{
	char *const argv[] = { (char *)(uintptr_t)path, (char *)(uintptr_t)option, NULL };
	char *const envp[] = { NULL };
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDERR_FILENO) >= 0 &&
	    dup2(out, STDOUT_FILENO) >= 0 && fd_close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0 &&
	    chdir("/") == 0 && become_nobody() && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
	    getppid() == parent)
		(void)execve(path, argv, envp);
	_exit(1);
}

void program_says(const char *path, const char *option, char *text, size_t size)
{
	const pid_t parent = getpid();
	int fds[2];
	size_t len = 0;
	pid_t pid;

	text[0] = '\0';
	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0)
		speak(path, option, fds[1], parent);
	(void)close(fds[1]);
	if (pid > 0) {
		len = listen_to(fds[0], text, size - 1);
		(void)kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	(void)close(fds[0]);
	text[len] = '\0';
	for (char *c = text; *c; c++)
		*c = (*c >= ' ' && *c <= '~') || *c == '\n' ? *c : '?';
}
