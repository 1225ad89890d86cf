/* SPDX-License-Identifier: Apache-2.0 */
/* epoll_create(2), epoll_ctl(2), epoll_wait(2), epoll_pwait(2), epoll_pwait2(2). */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "harness.h"

static void add(int ep, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
}

TEST(level_triggered)
{
	int ep = OK(epoll_create1(EPOLL_CLOEXEC)), fds[2];
	struct epoll_event ev;
	char c;

	CHECK_EQ(fcntl(ep, F_GETFD), FD_CLOEXEC);
	OK(pipe(fds));
	add(ep, fds[0], EPOLLIN, 0x1122334455667788);
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	CHECK_EQ(write(fds[1], "xy", 2), 2);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
		CHECK_EQ(ev.events, EPOLLIN);
		CHECK_EQ(ev.data.u64, 0x1122334455667788);
		CHECK_EQ(read(fds[0], &c, 1), 1);
	}
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
}

TEST(edge_triggered)
{
	int ep = OK(epoll_create1(0)), fds[2];
	struct epoll_event ev;

	OK(pipe(fds));
	add(ep, fds[0], EPOLLIN | EPOLLET, 1);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	CHECK_EQ(write(fds[1], "y", 1), 1);
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
}

TEST(oneshot)
{
	int ep = OK(epoll_create1(0)), fds[2];
	struct epoll_event ev;

	OK(pipe(fds));
	add(ep, fds[0], EPOLLIN | EPOLLONESHOT, 1);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	ev = (struct epoll_event){ .events = EPOLLIN | EPOLLONESHOT };
	OK(epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], &ev));
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
}

TEST(modify_and_delete)
{
	int ep = OK(epoll_create1(0)), sv[2];
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = 5 };

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	add(ep, sv[0], EPOLLOUT, 1);
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
	CHECK_EQ(ev.events, EPOLLOUT);
	ev = (struct epoll_event){ .events = EPOLLIN, .data.u64 = 2 };
	OK(epoll_ctl(ep, EPOLL_CTL_MOD, sv[0], &ev));
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	CHECK_EQ(write(sv[1], "x", 1), 1);
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
	CHECK_EQ(ev.data.u64, 2);
	OK(epoll_ctl(ep, EPOLL_CTL_DEL, sv[0], NULL));
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
}

TEST(errors)
{
	int ep = OK(epoll_create1(0)), fds[2], file = OK(open("f", O_CREAT | O_RDWR, 0600));
	struct epoll_event ev = { .events = EPOLLIN };

	OK(pipe(fds));
	CHECK_ERRNO(epoll_create1(1), EINVAL);
	CHECK_ERRNO(syscall(SYS_epoll_create, 0), EINVAL);
	OK(syscall(SYS_epoll_create, 1));
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], &ev), ENOENT);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, fds[0], &ev), ENOENT);
	add(ep, fds[0], EPOLLIN, 0);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &ev), EEXIST);
	CHECK_ERRNO(epoll_ctl(ep, 77, fds[1], &ev), EINVAL);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, 99, &ev), EBADF);
	CHECK_ERRNO(epoll_ctl(99, EPOLL_CTL_ADD, fds[1], &ev), EBADF);
	CHECK_ERRNO(epoll_ctl(fds[0], EPOLL_CTL_ADD, fds[1], &ev), EINVAL);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev), EINVAL);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, file, &ev), EPERM);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, fds[1], BAD_PTR), EFAULT);
	CHECK_ERRNO(epoll_wait(ep, &ev, 0, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(ep, &ev, -1, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(fds[0], &ev, 1, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(99, &ev, 1, 0), EBADF);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_ERRNO(syscall(SYS_epoll_wait, ep, BAD_PTR, 1, 0), EFAULT);
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
}

TEST(hangup_comes_unasked)
{
	int ep = OK(epoll_create1(0)), fds[2];
	struct epoll_event ev;

	OK(pipe(fds));
	add(ep, fds[0], 0, 1);
	OK(close(fds[1]));
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
	CHECK_EQ(ev.events, EPOLLHUP);
	OK(pipe(fds));
	add(ep, fds[1], 0, 2);
	OK(close(fds[0]));
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
}

TEST(closing_removes)
{
	int ep = OK(epoll_create1(0)), fds[2], copy;
	struct epoll_event ev;

	OK(pipe(fds));
	add(ep, fds[0], EPOLLIN, 1);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	/* The open file counts, not the descriptor. */
	copy = OK(dup(fds[0]));
	OK(close(fds[0]));
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
	OK(close(copy));
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
}

TEST(same_file_by_two_descriptors)
{
	int ep = OK(epoll_create1(0)), fds[2], copy;
	struct epoll_event ev[4];

	OK(pipe(fds));
	copy = OK(dup(fds[0]));
	add(ep, fds[0], EPOLLIN, 1);
	add(ep, copy, EPOLLIN, 2);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(epoll_wait(ep, ev, 4, 0), 2);
	CHECK_EQ(ev[0].data.u64 + ev[1].data.u64, 3);
}

TEST(ready_ones_take_turns)
{
	int ep = OK(epoll_create1(0)), fds[5][2];
	struct epoll_event ev;
	int seen[5] = { 0 };

	for (int i = 0; i < 5; i++) {
		OK(pipe(fds[i]));
		add(ep, fds[i][0], EPOLLIN, (uint64_t)i);
		CHECK_EQ(write(fds[i][1], "x", 1), 1);
	}
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
		seen[ev.data.u64]++;
	}
	for (int i = 0; i < 5; i++)
		CHECK_EQ(seen[i], 2);
}

TEST(nested)
{
	int inner = OK(epoll_create1(0)), outer = OK(epoll_create1(0)), fds[2];
	struct epoll_event ev;

	OK(pipe(fds));
	add(inner, fds[0], EPOLLIN, 1);
	add(outer, inner, EPOLLIN, 2);
	CHECK_EQ(epoll_wait(outer, &ev, 1, 0), 0);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(epoll_wait(outer, &ev, 1, 0), 1);
	CHECK_EQ(ev.data.u64, 2);
	ev.events = EPOLLIN;
	CHECK_ERRNO(epoll_ctl(inner, EPOLL_CTL_ADD, outer, &ev), ELOOP);
}

/* An event goes along every way from a file to the epolls at the top. */
TEST(ways_to_one_file_are_limited)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = OK(eventfd(0, 0)), lower[25], top;

	for (int i = 0; i < 25; i++) {
		lower[i] = OK(epoll_create1(0));
		add(lower[i], fd, EPOLLIN, 0);
	}
	for (int k = 0; k < 20; k++) {
		top = OK(epoll_create1(0));
		for (int i = 0; i < 25; i++)
			add(top, lower[i], EPOLLIN, 0);
	}
	top = OK(epoll_create1(0));
	CHECK_ERRNO(epoll_ctl(top, EPOLL_CTL_ADD, lower[0], &ev), EINVAL);
	OK(epoll_ctl(lower[24], EPOLL_CTL_DEL, fd, NULL));
	add(top, lower[0], EPOLLIN, 0);
	CHECK_EQ(epoll_wait(top, &ev, 1, 0), 0);
	CHECK_EQ(eventfd_write(fd, 1), 0);
	CHECK_EQ(epoll_wait(top, &ev, 1, 0), 1);
}

TEST(too_deep)
{
	int last = OK(epoll_create1(0));
	struct epoll_event ev = { .events = EPOLLIN };

	for (int i = 0; i < 10; i++) {
		int next = OK(epoll_create1(0));

		if (epoll_ctl(next, EPOLL_CTL_ADD, last, &ev)) {
			CHECK(errno == EINVAL || errno == ELOOP);
			CHECK(i >= 4);
			return;
		}
		last = next;
	}
	FAIL("ten levels were taken");
}

TEST(blocked_waiter_is_woken)
{
	int ep = OK(epoll_create1(0)), fds[2];
	struct epoll_event ev;
	pid_t pid, self = getpid();

	OK(pipe(fds));
	add(ep, fds[0], EPOLLIN, 9);
	CHILD (pid) {
		settle(self);
		CHECK_EQ(write(fds[1], "x", 1), 1);
	}
	CHECK_EQ(epoll_wait(ep, &ev, 1, -1), 1);
	CHECK_EQ(ev.data.u64, 9);
	wait_ok(pid);
}

TEST(added_while_waiting)
{
	int ep = OK(epoll_create1(0)), fds[2];
	struct epoll_event ev;
	pid_t pid, self = getpid();

	OK(pipe(fds));
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHILD (pid) {
		settle(self);
		add(ep, fds[0], EPOLLIN, 4);
	}
	CHECK_EQ(epoll_wait(ep, &ev, 1, -1), 1);
	CHECK_EQ(ev.data.u64, 4);
	wait_ok(pid);
}

TEST(timeouts)
{
	int ep = OK(epoll_create1(0));
	struct epoll_event ev;
	struct timespec ts = { 0, 20 * MS_IN_NS };
	int64_t begin = now_ns();

	CHECK_EQ(epoll_wait(ep, &ev, 1, 20), 0);
	CHECK(now_ns() - begin >= 20 * MS_IN_NS);
	begin = now_ns();
	if (syscall(SYS_epoll_pwait2, ep, &ev, 1, &ts, NULL, 8) == -1 && errno == ENOSYS)
		SKIP("no epoll_pwait2");
	CHECK(now_ns() - begin >= 20 * MS_IN_NS);
	ts.tv_nsec = 1000000000;
	CHECK_ERRNO(syscall(SYS_epoll_pwait2, ep, &ev, 1, &ts, NULL, 8), EINVAL);
}

TEST(pwait_opens_the_mask)
{
	int ep = OK(epoll_create1(0));
	struct epoll_event ev;
	sigset_t set, none;

	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	on_signal(SIGUSR1, count_signal, 0);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(kill(getpid(), SIGUSR1));
	CHECK_ERRNO(epoll_pwait(ep, &ev, 1, 15000, &none), EINTR);
	CHECK_EQ(signals_seen, 1);
	OK(sigprocmask(0, NULL, &set));
	CHECK(sigismember(&set, SIGUSR1));
	CHECK_ERRNO(syscall(SYS_epoll_pwait, ep, &ev, 1, 0, &none, 5), EINVAL);
}

struct consumer {
	int ep, got;
};

static void *consumes(void *arg)
{
	struct consumer *c = arg;
	struct epoll_event ev;
	uint64_t n;

	while (epoll_wait(c->ep, &ev, 1, -1) == 1) {
		if (ev.data.u64)
			break;
		if (read(*(int *)(c + 1), &n, 8) == 8)
			c->got += (int)n;
	}
	return NULL;
}

TEST(several_waiters_one_event_each)
{
	struct {
		struct consumer c;
		int fd;
	} w[3];
	int ep = OK(epoll_create1(0)), ev = OK(eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK)),
	    stop = OK(eventfd(0, 0));
	pthread_t t[3];
	uint64_t one = 1;
	int sum = 0;

	add(ep, ev, EPOLLIN, 0);
	for (int i = 0; i < 3; i++) {
		w[i].c = (struct consumer){ ep, 0 };
		w[i].fd = ev;
		CHECK_EQ(pthread_create(&t[i], NULL, consumes, &w[i]), 0);
	}
	for (int i = 0; i < 500; i++)
		CHECK_EQ(write(ev, &one, 8), 8);
	for (struct epoll_event e; epoll_wait(ep, &e, 1, 0) == 1;)
		sched_yield();
	add(ep, stop, EPOLLIN, 1);
	CHECK_EQ(write(stop, &one, 8), 8);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(pthread_join(t[i], NULL), 0);
		sum += w[i].c.got;
	}
	CHECK_EQ(sum, 500);
}

TEST(inherited_descriptor)
{
	int ep = OK(epoll_create1(0)), fds[2];
	struct epoll_event ev;
	pid_t pid;

	OK(pipe(fds));
	add(ep, fds[0], EPOLLIN, 3);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHILD (pid) {
		CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 1);
		CHECK_EQ(ev.data.u64, 3);
	}
	wait_ok(pid);
}

TEST(exclusive)
{
	int ep = OK(epoll_create1(0)), fds[2];
	struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE };

	OK(pipe(fds));
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &ev));
	ev.events = EPOLLIN;
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], &ev), EINVAL);
	ev.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, fds[1], &ev), EINVAL);
}
