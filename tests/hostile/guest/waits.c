/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process in each way to wait, all at once: whatever the host does to them meanwhile (stop,
 * freeze, go on), none comes back before it is woken, and then all do.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t woken;
static int a_pipe[2];

static long by_nanosleep(void)
{
	const struct timespec long_time = { 10000, 0 };

	return nanosleep(&long_time, NULL);
}

static long by_futex(void)
{
	static uint32_t word;

	return syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static long by_futex_time(void)
{
	static uint32_t word;
	const struct timespec long_time = { 10000, 0 };

	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &long_time, NULL, 0);
}

static long by_poll(void)
{
	struct pollfd p = { .fd = a_pipe[0], .events = POLLIN };

	return poll(&p, 1, -1);
}

static long by_select(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(a_pipe[0], &set);
	return select(a_pipe[0] + 1, &set, NULL, NULL, NULL);
}

static long by_epoll(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	const int fd = epoll_create1(0);

	(void)epoll_ctl(fd, EPOLL_CTL_ADD, a_pipe[0], &e);
	return epoll_wait(fd, &e, 1, -1);
}

static long by_read(void)
{
	char byte;

	return read(a_pipe[0], &byte, 1);
}

static long by_write(void)
{
	static char bytes[4096];
	int p[2];

	if (pipe2(p, O_NONBLOCK) < 0)
		return 0;
	while (write(p[1], bytes, sizeof(bytes)) > 0)
		;
	(void)fcntl(p[1], F_SETFL, 0);
	return write(p[1], bytes, sizeof(bytes));
}

static long by_pause(void)
{
	return pause();
}

static long by_suspend(void)
{
	sigset_t none;

	(void)sigemptyset(&none);
	return sigsuspend(&none);
}

static long by_child(void)
{
	const pid_t pid = fork();

	if (pid == 0) {
		(void)signal(SIGUSR1, SIG_DFL);
		for (;;)
			(void)pause();
	}
	const long r = waitpid(pid, NULL, 0);
	const int code = errno;

	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	errno = code;
	return r;
}

static long by_accept(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	return listen(fd, 1) < 0 ? 0 : accept(fd, NULL, NULL);
}

static long by_recv(void)
{
	char byte;
	int p[2];

	return socketpair(AF_UNIX, SOCK_DGRAM, 0, p) < 0 ? 0 : recv(p[0], &byte, 1, 0);
}

static long by_udp(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char byte;

	(void)bind(fd, (struct sockaddr *)&any, sizeof(any));
	return recv(fd, &byte, 1, 0);
}

static long by_message(void)
{
	char m[64];
	const int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	const long r = msgrcv(id, m, 8, 0, 0);
	const int code = errno;

	(void)msgctl(id, IPC_RMID, NULL);
	errno = code;
	return r;
}

static long by_semaphore(void)
{
	struct sembuf down = { .sem_op = -1 };
	const int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	const long r = semop(id, &down, 1);
	const int code = errno;

	(void)semctl(id, 0, IPC_RMID);
	errno = code;
	return r;
}

static long by_lock(void)
{
	const int a = open("/tmp/waits-lock", O_RDWR | O_CREAT, 0600);
	const int b = open("/tmp/waits-lock", O_RDWR);

	(void)flock(a, LOCK_EX);
	return flock(b, LOCK_EX);
}

static long by_fifo(void)
{
	return open("/tmp/waits-fifo", O_RDONLY);
}

static long by_sigwait(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR2);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return sigwaitinfo(&set, NULL);
}

static long by_eventfd(void)
{
	uint64_t count;

	return read((int)syscall(SYS_eventfd2, 0, 0), &count, 8);
}

static long by_timerfd(void)
{
	uint64_t count;

	return read((int)syscall(SYS_timerfd_create, CLOCK_MONOTONIC, 0), &count, 8);
}

static long by_inotify(void)
{
	char bytes[256];

	return read((int)syscall(SYS_inotify_init1, 0), bytes, sizeof(bytes));
}

static long by_terminal(void)
{
	char byte;

	return read(open("/dev/ptmx", O_RDWR | O_NOCTTY), &byte, 1);
}

/* In guest code alone. */
static long by_spinning(void)
{
	while (!woken)
		;
	errno = EINTR;
	return -1;
}

/* In and out all the time. */
static long by_calling(void)
{
	while (!woken)
		(void)syscall(SYS_getpriority, 0, 0);
	errno = EINTR;
	return -1;
}

static const struct {
	const char *name;
	long (*wait)(void);
} ways[] = {
	{ "nanosleep", by_nanosleep }, { "futex", by_futex },	    { "futex-time", by_futex_time },
	{ "poll", by_poll },	       { "select", by_select },	    { "epoll", by_epoll },
	{ "read", by_read },	       { "write", by_write },	    { "pause", by_pause },
	{ "suspend", by_suspend },     { "child", by_child },	    { "accept", by_accept },
	{ "recv", by_recv },	       { "udp", by_udp },	    { "message", by_message },
	{ "semaphore", by_semaphore }, { "lock", by_lock },	    { "fifo", by_fifo },
	{ "sigwait", by_sigwait },     { "eventfd", by_eventfd },   { "timerfd", by_timerfd },
	{ "inotify", by_inotify },     { "terminal", by_terminal }, { "spinning", by_spinning },
	{ "calling", by_calling },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void on_wake(int sig)
{
	(void)sig;
	woken = 1;
}

static _Noreturn void waiter(size_t way)
{
	const long r = ways[way].wait();
	const int code = errno;

	if (r < 0 && code == EINTR && woken)
		_exit(0);
	(void)dprintf(STDOUT_FILENO, "%s early: %ld %s\n", ways[way].name, r,
		      strerrorname_np(code));
	_exit(1);
}

/* Until the parent is told by SIGUSR1; then the children are. */
int guest_wait(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_wake };
	pid_t pids[WAYS];
	unsigned int right = 0;
	int status;

	(void)argc;
	(void)argv;
	(void)pipe(a_pipe);
	(void)mkfifo("/tmp/waits-fifo", 0600);
	(void)sigaction(SIGUSR1, &act, NULL);
	for (size_t i = 0; i < WAYS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			waiter(i);
	}
	(void)dprintf(STDOUT_FILENO, "ready\n");
	while (!woken)
		(void)usleep(10000);
	for (size_t i = 0; i < WAYS; i++)
		(void)kill(pids[i], SIGUSR1);
	for (size_t i = 0; i < WAYS; i++)
		right += waitpid(pids[i], &status, 0) == pids[i] && status == 0;
	(void)dprintf(STDOUT_FILENO, "woken %u of %zu\n", right, WAYS);
	return right == WAYS ? 0 : 1;
}
