/* SPDX-License-Identifier: Apache-2.0 */
/* select(2), pselect6(2). */
#include <sys/select.h>
#include <sys/time.h>

#include "harness.h"

static long raw_select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *tv)
{
	return syscall(SYS_select, n, r, w, e, tv);
}

TEST(sets_are_answered)
{
	fd_set r, w, e;
	struct timeval tv = { 5, 0 };
	int fds[2], n;

	OK(pipe(fds));
	n = fds[1] + 1;
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	FD_SET(fds[0], &r);
	FD_SET(fds[1], &w);
	FD_SET(fds[0], &e);
	CHECK_EQ(raw_select(n, &r, &w, &e, &tv), 1);
	CHECK(!FD_ISSET(fds[0], &r) && FD_ISSET(fds[1], &w) && !FD_ISSET(fds[0], &e));
	FD_SET(fds[0], &r);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	/* Each bit is counted. */
	CHECK_EQ(raw_select(n, &r, &w, NULL, NULL), 2);
	CHECK(FD_ISSET(fds[0], &r) && FD_ISSET(fds[1], &w));
}

TEST(timeout_is_updated)
{
	struct timeval tv = { 0, 30000 };
	fd_set r;
	int fds[2];
	int64_t begin = now_ns();

	OK(pipe(fds));
	FD_ZERO(&r);
	FD_SET(fds[0], &r);
	CHECK_EQ(raw_select(fds[0] + 1, &r, NULL, NULL, &tv), 0);
	CHECK(now_ns() - begin >= 30 * MS_IN_NS);
	CHECK(!FD_ISSET(fds[0], &r));
	CHECK(tv.tv_sec == 0 && tv.tv_usec == 0);
	tv = (struct timeval){ 20, 0 };
	CHECK_EQ(write(fds[1], "x", 1), 1);
	FD_SET(fds[0], &r);
	CHECK_EQ(raw_select(fds[0] + 1, &r, NULL, NULL, &tv), 1);
	CHECK(tv.tv_sec >= 10 && tv.tv_sec < 20);
}

TEST(errors)
{
	fd_set r;
	struct timeval bad = { -1, 0 }, tv = { 0, 0 };

	FD_ZERO(&r);
	CHECK_ERRNO(raw_select(-1, &r, NULL, NULL, &tv), EINVAL);
	CHECK_ERRNO(raw_select(1, &r, NULL, NULL, &bad), EINVAL);
	CHECK_ERRNO(raw_select(1, BAD_PTR, NULL, NULL, &tv), EFAULT);
	CHECK_ERRNO(raw_select(1, NULL, NULL, NULL, BAD_PTR), EFAULT);
	FD_SET(99, &r);
	CHECK_ERRNO(raw_select(100, &r, NULL, NULL, &tv), EBADF);
	/* Beyond n nothing is looked at. */
	CHECK_EQ(raw_select(99, &r, NULL, NULL, &tv), 0);
}

TEST(large_microseconds_are_taken)
{
	struct timeval tv = { 0, 1500 };
	int64_t begin = now_ns();

	CHECK_EQ(raw_select(0, NULL, NULL, NULL, &tv), 0);
	CHECK(now_ns() - begin >= 1500000);
}

TEST(closed_end_is_readable)
{
	fd_set r;
	int fds[2];

	OK(pipe(fds));
	OK(close(fds[1]));
	FD_ZERO(&r);
	FD_SET(fds[0], &r);
	CHECK_EQ(raw_select(fds[0] + 1, &r, NULL, NULL, NULL), 1);
	CHECK(FD_ISSET(fds[0], &r));
}

TEST(woken)
{
	fd_set r;
	int fds[2];
	pid_t pid, self = getpid();

	OK(pipe(fds));
	CHILD (pid) {
		settle(self);
		CHECK_EQ(write(fds[1], "x", 1), 1);
	}
	FD_ZERO(&r);
	FD_SET(fds[0], &r);
	CHECK_EQ(raw_select(fds[0] + 1, &r, NULL, NULL, NULL), 1);
	wait_ok(pid);
}

TEST(pselect_opens_the_mask)
{
	sigset_t set, none;
	struct timespec ts = { 15, 0 };

	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	on_signal(SIGUSR1, count_signal, 0);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(kill(getpid(), SIGUSR1));
	CHECK_ERRNO(pselect(0, NULL, NULL, NULL, &ts, &none), EINTR);
	CHECK_EQ(signals_seen, 1);
	OK(sigprocmask(0, NULL, &set));
	CHECK(sigismember(&set, SIGUSR1));
}

TEST(pselect_errors)
{
	struct timespec bad = { 0, -1 }, ts = { 0, 0 };
	struct {
		const void *set;
		size_t size;
	} mask = { &ts, 5 }, wild = { BAD_PTR, 8 };

	CHECK_ERRNO(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &bad, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, &mask), EINVAL);
	CHECK_ERRNO(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, &wild), EFAULT);
	CHECK_ERRNO(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, BAD_PTR), EFAULT);
	CHECK_EQ(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, NULL), 0);
}

TEST(interrupted_keeps_the_sets)
{
	fd_set r;
	int fds[2];
	pid_t pid, self = getpid();

	OK(pipe(fds));
	on_signal(SIGUSR1, count_signal, SA_RESTART);
	CHILD (pid) {
		settle(self);
		OK(kill(self, SIGUSR1));
	}
	FD_ZERO(&r);
	FD_SET(fds[0], &r);
	CHECK_ERRNO(raw_select(fds[0] + 1, &r, NULL, NULL, &(struct timeval){ 15, 0 }), EINTR);
	CHECK(FD_ISSET(fds[0], &r));
	wait_ok(pid);
}
