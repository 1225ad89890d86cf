/* SPDX-License-Identifier: Apache-2.0 */
#include "host/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"

#define STAT_FIELD_STATE 3
#define STAT_FIELD_START 22
#define STAT_TEXT_MAX	 1024 /* 52 numbers and a name of 64 bytes fit */

int pidfd_get(pid_t pid)
{
	const long fd = syscall(SYS_pidfd_open, pid, 0u);

	return fd < 0 ? -errno : (int)fd; /* pidfd_open(2): close-on-exec by itself */
}

int pidfd_numbers(int proc, int pidfd, pid_t *ret, size_t max)
{
	char path[64], text[1024], *at;
	AUTO_CLOSE int fd = -EBADF;
	size_t len = 0;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "self/fdinfo/%d", pidfd);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	/* "Pid:\t7\nNSpid:\t7\t3\n"; -1, or 0, of one that has no number there. */
	at = strstr(text, "\nPid:\t");
	if (!at)
		return -EBADMSG;
	if (strtol(at + 6, NULL, 10) <= 0)
		return -ESRCH;
	at = strstr(at, "\nNSpid:\t");
	for (at = at ? at + 7 : NULL; at && *at == '\t' && len < max; len++)
		ret[len] = (pid_t)strtol(at + 1, &at, 10);
	return len > 0 ? (int)len : -EBADMSG;
}

int pidfd_number(int proc, int pidfd)
{
	pid_t pid;
	const int r = pidfd_numbers(proc, pidfd, &pid, 1);

	return r < 0 ? r : pid;
}

int pidfd_kill(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0u) < 0 ? -errno : 0;
}

int pidfd_wait(int pidfd, int timeout_ms)
{
	const int64_t deadline = clock_ms() + timeout_ms;
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

	for (;;) {
		int64_t left = timeout_ms < 0 ? -1 : deadline - clock_ms();
		int n;

		if (timeout_ms >= 0 && left < 0)
			left = 0;
		n = poll(&poll_fd, 1, (int)left);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && (poll_fd.revents & POLLNVAL))
			return -EBADF;
		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
	}
}

int pidfd_reap(int pidfd, int *ret_status)
{
	siginfo_t info = { 0 };

	while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (info.si_code == CLD_EXITED)
		*ret_status = W_EXITCODE(info.si_status, 0);
	else
		*ret_status = info.si_status | (info.si_code == CLD_DUMPED ? WCOREFLAG : 0);
	return 0;
}

int pid_stat_parse(const char *text, size_t len, char *ret_state, uint64_t *ret_start_time)
{
	const char *p = memrchr(text, ')', len), *end = text + len;
	char number[24];
	size_t digits = 0;
	uint64_t start;
	char state;

	/* "PID (NAME) S PPID ...": NAME may hold ')' and blanks, what follows the last ')' cannot.
	 */
	if (!p || end - p < 4 || p[1] != ' ' || p[3] != ' ')
		return -EINVAL;
	state = p[2];
	p += 3;
	for (int field = STAT_FIELD_STATE + 1; field <= STAT_FIELD_START; field++) {
		p = memchr(p, ' ', (size_t)(end - p));
		if (!p)
			return -EINVAL;
		p++;
	}
	while (p + digits < end && p[digits] >= '0' && p[digits] <= '9') {
		if (digits == sizeof(number) - 1)
			return -EINVAL;
		number[digits] = p[digits];
		digits++;
	}
	number[digits] = '\0';
	if (str_to_u64(number, UINT64_MAX, &start) < 0)
		return -EINVAL;
	*ret_state = state;
	*ret_start_time = start;
	return 0;
}

static int read_stat(pid_t pid, char *ret_state, uint64_t *ret_start_time)
{
	char path[32], text[STAT_TEXT_MAX];
	AUTO_CLOSE int fd = -EBADF;
	ssize_t n;

	if (pid <= 0)
		return -ESRCH;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	do {
		n = read(fd, text, sizeof(text));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return pid_stat_parse(text, (size_t)n, ret_state, ret_start_time);
}

int pid_start_time(pid_t pid, uint64_t *ret)
{
	char state;

	return read_stat(pid, &state, ret);
}

enum process_state process_state(pid_t pid, uint64_t start_time)
{
	uint64_t present;
	char state;
	int r;

	r = read_stat(pid, &state, &present);
	/* Without descriptors or memory to look: not taken for dead, whose remains are removed. */
	if (r < 0)
		return r == -ESRCH ? PROCESS_GONE : PROCESS_RUNNING;
	if (start_time != 0 && present != start_time)
		return PROCESS_GONE;
	/* proc_pid_stat(5): Z zombie, X and x dead. */
	if (state == 'X' || state == 'x')
		return PROCESS_GONE;
	return state == 'Z' ? PROCESS_ZOMBIE : PROCESS_RUNNING;
}
