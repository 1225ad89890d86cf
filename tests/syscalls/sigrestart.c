/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that a signal interrupts: EINTR, SA_RESTART, restart after stop, what remains of a time. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#include "harness.h"

static pid_t target;

/* A process that sends `sig` as soon as this one sleeps, then does `then`. */
static pid_t disturber(int sig, void (*then)(int), int arg)
{
	pid_t pid;

	target = getpid();
	CHILD (pid) {
		settle(target);
		OK(kill(target, sig));
		if (then) {
			settle(target);
			then(arg);
		}
	}
	return pid;
}

static void put(int fd)
{
	CHECK_EQ(write(fd, "r", 1), 1);
}

TEST(read_restarts)
{
	int fds[2];
	char c = 0;
	pid_t pid;

	OK(pipe(fds));
	on_signal(SIGUSR1, count_signal, SA_RESTART);
	pid = disturber(SIGUSR1, put, fds[1]);
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(c, 'r');
	CHECK_EQ(signals_seen, 1);
	wait_ok(pid);
}

TEST(read_is_interrupted)
{
	int fds[2];
	char c;
	pid_t pid;

	OK(pipe(fds));
	on_signal(SIGUSR1, count_signal, 0);
	pid = disturber(SIGUSR1, NULL, 0);
	CHECK_ERRNO(read(fds[0], &c, 1), EINTR);
	wait_ok(pid);
}

TEST(ignored_signals_do_not_interrupt)
{
	int fds[2];
	char c;
	pid_t pid;

	OK(pipe(fds));
	on_signal(SIGUSR1, SIG_IGN, 0);
	pid = disturber(SIGUSR1, put, fds[1]);
	CHECK_EQ(read(fds[0], &c, 1), 1);
	wait_ok(pid);
}

TEST(default_ignored_signals_do_not_interrupt)
{
	int fds[2];
	char c;
	pid_t pid;

	OK(pipe(fds));
	pid = disturber(SIGWINCH, put, fds[1]);
	CHECK_EQ(read(fds[0], &c, 1), 1);
	wait_ok(pid);
}

static void cont_and_put(int fd)
{
	OK(kill(target, SIGCONT));
	settle(target);
	put(fd);
}

TEST(stop_and_continue_restarts_read)
{
	int fds[2];
	char c;
	pid_t pid;

	OK(pipe(fds));
	pid = disturber(SIGSTOP, cont_and_put, fds[1]);
	CHECK_EQ(read(fds[0], &c, 1), 1);
	wait_ok(pid);
}

TEST(poll_never_restarts)
{
	struct pollfd p = { -1, 0, 0 };
	pid_t pid;

	on_signal(SIGUSR1, count_signal, SA_RESTART);
	pid = disturber(SIGUSR1, NULL, 0);
	CHECK_ERRNO(poll(&p, 1, 15000), EINTR);
	wait_ok(pid);
	pid = disturber(SIGUSR1, NULL, 0);
	CHECK_ERRNO(select(0, NULL, NULL, NULL, &(struct timeval){ 15, 0 }), EINTR);
	wait_ok(pid);
}

TEST(epoll_wait_never_restarts)
{
	struct epoll_event ev;
	int ep = OK(epoll_create1(0));
	pid_t pid;

	on_signal(SIGUSR1, count_signal, SA_RESTART);
	pid = disturber(SIGUSR1, NULL, 0);
	CHECK_ERRNO(epoll_wait(ep, &ev, 1, 15000), EINTR);
	wait_ok(pid);
}

TEST(nanosleep_tells_what_remains)
{
	struct timespec ts = { 10, 0 }, rem = { 99, 99 };
	pid_t pid;

	on_signal(SIGUSR1, count_signal, SA_RESTART);
	pid = disturber(SIGUSR1, NULL, 0);
	CHECK_ERRNO(nanosleep(&ts, &rem), EINTR);
	CHECK(rem.tv_sec < 10 && rem.tv_sec >= 3);
	CHECK_EQ(ts.tv_sec, 10);
	wait_ok(pid);
}

static void cont(int unused)
{
	OK(kill(target, SIGCONT));
}

TEST(stopped_nanosleep_keeps_its_end)
{
	struct timespec ts = { 0, 300 * MS_IN_NS }, rem;
	int64_t begin = now_ns();
	pid_t pid = disturber(SIGSTOP, cont, 0);

	OK(nanosleep(&ts, &rem));
	CHECK(now_ns() - begin >= 300 * MS_IN_NS);
	wait_ok(pid);
}

TEST(pause_and_sigsuspend_always_end)
{
	sigset_t none;
	pid_t pid;

	sigemptyset(&none);
	on_signal(SIGUSR1, count_signal, SA_RESTART);
	pid = disturber(SIGUSR1, NULL, 0);
	CHECK_ERRNO(pause(), EINTR);
	wait_ok(pid);
	pid = disturber(SIGUSR1, NULL, 0);
	CHECK_ERRNO(sigsuspend(&none), EINTR);
	wait_ok(pid);
}

TEST(accept_and_recv_restart)
{
	int sv[2];
	char c;
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	on_signal(SIGUSR1, count_signal, SA_RESTART);
	pid = disturber(SIGUSR1, put, sv[1]);
	CHECK_EQ(recv(sv[0], &c, 1, 0), 1);
	CHECK_EQ(signals_seen, 1);
	wait_ok(pid);
}

TEST(recv_with_a_timeout_never_restarts)
{
	struct timeval tv = { 15, 0 };
	int sv[2];
	char c;
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	OK(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	on_signal(SIGUSR1, count_signal, SA_RESTART);
	pid = disturber(SIGUSR1, NULL, 0);
	CHECK_ERRNO(recv(sv[0], &c, 1, 0), EINTR);
	wait_ok(pid);
}

TEST(wait_restarts)
{
	struct gate g = gate_new();
	pid_t child, pid;

	on_signal(SIGUSR1, count_signal, SA_RESTART);
	CHILD (child)
		gate_pass(&g);
	pid = disturber(SIGUSR1, put, g.fd[1]);
	CHECK_EQ(waitpid(child, NULL, 0), child);
	CHECK_EQ(signals_seen, 1);
	wait_ok(pid);
}

static void unlock(int fd)
{
	OK(flock(fd, LOCK_UN));
}

TEST(flock_restarts)
{
	int a = OK(open("f", O_CREAT | O_RDWR, 0600)), b = OK(open("f", O_RDWR));
	pid_t pid;

	on_signal(SIGUSR1, count_signal, SA_RESTART);
	OK(flock(a, LOCK_EX));
	pid = disturber(SIGUSR1, unlock, a);
	OK(flock(b, LOCK_EX));
	CHECK_EQ(signals_seen, 1);
	wait_ok(pid);
	OK(flock(b, LOCK_UN));
	OK(flock(a, LOCK_EX));
	on_signal(SIGUSR1, count_signal, 0);
	pid = disturber(SIGUSR1, NULL, 0);
	CHECK_ERRNO(flock(b, LOCK_EX), EINTR);
	wait_ok(pid);
}

TEST(timerfd_read_restarts)
{
	struct itimerspec it = { { 0, 0 }, { 0, 700 * MS_IN_NS } };
	uint64_t n = 0;
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
	pid_t pid;

	OK(timerfd_settime(fd, 0, &it, NULL));
	on_signal(SIGUSR1, count_signal, SA_RESTART);
	pid = disturber(SIGUSR1, NULL, 0);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK_EQ(n, 1);
	wait_ok(pid);
}

static int *word;

static long futex_wait(struct timespec *timeout)
{
	return syscall(SYS_futex, word, 0, 0, timeout, NULL, 0);
}

static void wake(int unused)
{
	while (syscall(SYS_futex, word, 1, 1, NULL, NULL, 0) != 1)
		sleep_ms(1);
}

TEST(futex_without_a_time_restarts)
{
	pid_t pid;

	word = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	on_signal(SIGUSR1, count_signal, SA_RESTART);
	pid = disturber(SIGUSR1, wake, 0);
	OK(futex_wait(NULL));
	CHECK_EQ(signals_seen, 1);
	wait_ok(pid);
	on_signal(SIGUSR1, count_signal, 0);
	pid = disturber(SIGUSR1, NULL, 0);
	CHECK_ERRNO(futex_wait(NULL), EINTR);
	wait_ok(pid);
}

TEST(futex_with_a_time_goes_on_after_a_stop_only)
{
	struct timespec ts = { 0, 500 * MS_IN_NS };
	int64_t begin;
	pid_t pid;

	word = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	on_signal(SIGUSR1, count_signal, SA_RESTART);
	pid = disturber(SIGUSR1, NULL, 0);
	CHECK_ERRNO(futex_wait(&(struct timespec){ 15, 0 }), EINTR);
	wait_ok(pid);
	begin = now_ns();
	pid = disturber(SIGSTOP, cont, 0);
	CHECK_ERRNO(futex_wait(&ts), ETIMEDOUT);
	CHECK(now_ns() - begin >= 500 * MS_IN_NS);
	wait_ok(pid);
}

TEST(fcntl_lock_is_interrupted)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
	struct gate locked = gate_new(), end = gate_new();
	pid_t holder, pid;

	CHILD (holder) {
		OK(fcntl(fd, F_SETLK, &lock));
		gate_open(&locked);
		gate_pass(&end);
	}
	gate_pass(&locked);
	on_signal(SIGUSR1, count_signal, 0);
	pid = disturber(SIGUSR1, NULL, 0);
	CHECK_ERRNO(fcntl(fd, F_SETLKW, &lock), EINTR);
	wait_ok(pid);
	gate_open(&end);
	OK(fcntl(fd, F_SETLKW, &lock));
	wait_ok(holder);
}
