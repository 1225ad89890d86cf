/* SPDX-License-Identifier: Apache-2.0 */
/* poll(2), ppoll(2). */
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "harness.h"

TEST(nothing_to_wait_for)
{
	int64_t begin = now_ns();

	CHECK_EQ(poll(NULL, 0, 0), 0);
	CHECK_EQ(poll(NULL, 0, 20), 0);
	CHECK(now_ns() - begin >= 20 * MS_IN_NS);
}

TEST(only_revents_is_written)
{
	struct pollfd p = { -5, POLLIN | POLLOUT, 0x7f };
	int fds[2];

	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK(p.fd == -5 && p.events == (POLLIN | POLLOUT) && p.revents == 0);
	OK(pipe(fds));
	p = (struct pollfd){ fds[1], POLLOUT, 0x7f };
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK(p.fd == fds[1] && p.events == POLLOUT && p.revents == POLLOUT);
}

TEST(closed_descriptor)
{
	struct pollfd p = { 99, POLLIN, 0 };

	CHECK_EQ(poll(&p, 1, -1), 1);
	CHECK_EQ(p.revents, POLLNVAL);
}

TEST(regular_files_are_always_ready)
{
	struct pollfd p = { OK(open("f", O_CREAT | O_RDWR, 0600)), POLLIN | POLLOUT | POLLPRI, 0 };

	CHECK_EQ(poll(&p, 1, -1), 1);
	CHECK_EQ(p.revents, POLLIN | POLLOUT);
	p.fd = OK(open("/dev/null", O_RDWR));
	CHECK_EQ(poll(&p, 1, -1), 1);
	CHECK_EQ(p.revents, POLLIN | POLLOUT);
}

TEST(hangup_is_told_unasked)
{
	struct pollfd p;
	int fds[2];

	OK(pipe(fds));
	OK(close(fds[1]));
	p = (struct pollfd){ fds[0], 0, 0 };
	CHECK_EQ(poll(&p, 1, -1), 1);
	CHECK_EQ(p.revents, POLLHUP);
}

TEST(sockets)
{
	struct pollfd p;
	int sv[2];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	p = (struct pollfd){ sv[0], POLLIN | POLLOUT | POLLRDHUP, 0 };
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLOUT);
	CHECK_EQ(write(sv[1], "x", 1), 1);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN | POLLOUT);
	OK(shutdown(sv[1], SHUT_WR));
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN | POLLOUT | POLLRDHUP);
	OK(close(sv[1]));
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK(p.revents & POLLHUP);
}

TEST(counts_descriptors_not_events)
{
	struct pollfd p[3];
	int fds[2];

	OK(pipe(fds));
	CHECK_EQ(write(fds[1], "x", 1), 1);
	p[0] = (struct pollfd){ fds[0], POLLIN | POLLRDNORM, 0 };
	p[1] = (struct pollfd){ fds[1], POLLIN, 0 };
	p[2] = (struct pollfd){ fds[0], POLLIN, 0 };
	CHECK_EQ(poll(p, 3, 0), 2);
	CHECK_EQ(p[0].revents, POLLIN | POLLRDNORM);
	CHECK_EQ(p[1].revents, 0);
	CHECK_EQ(p[2].revents, POLLIN);
}

TEST(woken_by_another_process)
{
	struct pollfd p;
	int fds[2];
	pid_t pid, self = getpid();

	OK(pipe(fds));
	CHILD (pid) {
		settle(self);
		CHECK_EQ(write(fds[1], "x", 1), 1);
	}
	p = (struct pollfd){ fds[0], POLLIN, 0 };
	CHECK_EQ(poll(&p, 1, -1), 1);
	CHECK_EQ(p.revents, POLLIN);
	wait_ok(pid);
}

TEST(woken_by_hangup)
{
	struct pollfd p;
	int fds[2];
	pid_t pid, self = getpid();

	OK(pipe(fds));
	CHILD (pid)
		settle(self);
	OK(close(fds[1]));
	p = (struct pollfd){ fds[0], POLLIN, 0 };
	CHECK_EQ(poll(&p, 1, -1), 1);
	CHECK_EQ(p.revents, POLLHUP);
	wait_ok(pid);
}

TEST(errors)
{
	struct rlimit lim = { 10, 10 };
	struct pollfd p[16];
	struct timespec bad = { 0, 1000000000 };

	memset(p, 0xff, sizeof(p));
	CHECK_ERRNO(syscall(SYS_poll, BAD_PTR, 1, 0), EFAULT);
	CHECK_ERRNO(syscall(SYS_ppoll, p, 1, &bad, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_ppoll, p, 1, BAD_PTR, NULL, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_ppoll, p, 1, NULL, BAD_PTR, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_ppoll, p, 1, NULL, p, 5), EINVAL);
	OK(setrlimit(RLIMIT_NOFILE, &lim));
	CHECK_ERRNO(poll(p, 11, 0), EINVAL);
	CHECK_EQ(poll(p, 10, 0), 0);
}

TEST(ppoll_opens_the_mask)
{
	sigset_t set, none;
	struct timespec ts = { 15, 0 };

	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	on_signal(SIGUSR1, count_signal, 0);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(kill(getpid(), SIGUSR1));
	CHECK_ERRNO(ppoll(NULL, 0, &ts, &none), EINTR);
	CHECK_EQ(signals_seen, 1);
	OK(sigprocmask(0, NULL, &set));
	CHECK(sigismember(&set, SIGUSR1));
}

TEST(ppoll_prefers_events)
{
	sigset_t set, none;
	struct pollfd p = { OK(open("/dev/null", O_RDONLY)), POLLIN, 0 };

	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	on_signal(SIGUSR1, count_signal, 0);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(kill(getpid(), SIGUSR1));
	/* The call succeeds and the signal stays pending. */
	CHECK_EQ(ppoll(&p, 1, NULL, &none), 1);
	CHECK_EQ(signals_seen, 0);
}

TEST(ppoll_tells_what_remains)
{
	struct timespec ts = { 20, 0 };
	struct pollfd p = { OK(open("/dev/null", O_RDONLY)), POLLIN, 0 };

	CHECK_EQ(syscall(SYS_ppoll, &p, 1, &ts, NULL, 8), 1);
	CHECK(ts.tv_sec >= 10 && ts.tv_sec < 20);
}

TEST(many_descriptors)
{
	static struct pollfd p[200];
	int fds[2];

	OK(pipe(fds));
	for (int i = 0; i < 200; i++)
		p[i] = (struct pollfd){ fds[0], POLLIN, 0 };
	CHECK_EQ(poll(p, 200, 0), 0);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(poll(p, 200, 0), 200);
}

TEST(negative_timeout_waits)
{
	struct pollfd p = { -1, POLLIN, 0 };
	pid_t pid, self = getpid();

	on_signal(SIGUSR1, count_signal, 0);
	CHILD (pid) {
		settle(self);
		OK(kill(self, SIGUSR1));
	}
	CHECK_ERRNO(poll(&p, 1, -77), EINTR);
	wait_ok(pid);
}
