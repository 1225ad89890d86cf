/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd_create(2), timerfd_settime(2), timerfd_gettime(2). */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "harness.h"

static void set(int fd, int64_t first_ns, int64_t every_ns, int flags)
{
	struct itimerspec it = { { every_ns / 1000000000, every_ns % 1000000000 },
				 { first_ns / 1000000000, first_ns % 1000000000 } };

	OK(timerfd_settime(fd, flags, &it, NULL));
}

TEST(one_shot)
{
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
	int64_t begin = now_ns();
	uint64_t n = 0;

	set(fd, 30 * MS_IN_NS, 0, 0);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK_EQ(n, 1);
	CHECK(now_ns() - begin >= 30 * MS_IN_NS);
}

TEST(expirations_are_counted)
{
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	uint64_t n = 0;

	set(fd, 2 * MS_IN_NS, 2 * MS_IN_NS, 0);
	sleep_ms(41);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK(n >= 10);
}

TEST(nonblocking_and_poll)
{
	int fd = OK(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC));
	struct pollfd p = { fd, POLLIN, 0 };
	uint64_t n;

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
	CHECK_EQ(poll(&p, 1, 0), 0);
	set(fd, 10 * MS_IN_NS, 0, 0);
	CHECK_EQ(poll(&p, 1, 15000), 1);
	CHECK_EQ(p.revents, POLLIN);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
}

TEST(absolute)
{
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
	int64_t at = now_ns() + 30 * MS_IN_NS;
	uint64_t n;

	set(fd, at, 0, TFD_TIMER_ABSTIME);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK(now_ns() >= at);
	set(fd, 1, 0, TFD_TIMER_ABSTIME);
	CHECK_EQ(read(fd, &n, 8), 8);
}

TEST(gettime_and_old_value)
{
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
	struct itimerspec it = { { 3, 0 }, { 100, 0 } }, old;

	OK(timerfd_gettime(fd, &old));
	CHECK_EQ(old.it_value.tv_sec, 0);
	OK(timerfd_settime(fd, 0, &it, NULL));
	OK(timerfd_gettime(fd, &old));
	CHECK(old.it_value.tv_sec >= 95 && old.it_value.tv_sec <= 100);
	CHECK_EQ(old.it_interval.tv_sec, 3);
	it.it_value.tv_sec = 0;
	OK(timerfd_settime(fd, 0, &it, &old));
	CHECK(old.it_value.tv_sec >= 95);
	OK(timerfd_gettime(fd, &old));
	CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_nsec == 0);
}

TEST(setting_clears_what_was_not_read)
{
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	uint64_t n;

	set(fd, 1, 0, 0);
	sleep_ms(5);
	set(fd, 1000 * 1000 * MS_IN_NS, 0, 0);
	CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
}

TEST(errors)
{
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)),
	    null = OK(open("/dev/null", O_RDWR));
	struct itimerspec it = { { 0, 0 }, { 0, 1000000000 } };
	uint64_t n;

	CHECK_ERRNO(timerfd_create(77, 0), EINVAL);
	CHECK_ERRNO(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
	CHECK_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
	CHECK_ERRNO(timerfd_settime(fd, 0, &it, NULL), EINVAL);
	it.it_value.tv_nsec = 1;
	CHECK_ERRNO(timerfd_settime(fd, 64, &it, NULL), EINVAL);
	CHECK_ERRNO(timerfd_settime(null, 0, &it, NULL), EINVAL);
	CHECK_ERRNO(timerfd_settime(99, 0, &it, NULL), EBADF);
	CHECK_ERRNO(timerfd_gettime(null, &it), EINVAL);
	CHECK_ERRNO(syscall(SYS_timerfd_settime, fd, 0, BAD_PTR, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_timerfd_gettime, fd, BAD_PTR), EFAULT);
	CHECK_ERRNO(read(fd, &n, 4), EINVAL);
	CHECK_ERRNO(write(fd, &n, 8), EINVAL);
}

TEST(shared_with_a_child)
{
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
	uint64_t n;
	pid_t pid;

	CHILD (pid) {
		CHECK_EQ(read(fd, &n, 8), 8);
		CHECK_EQ(n, 1);
	}
	settle(pid);
	set(fd, 5 * MS_IN_NS, 0, 0);
	wait_ok(pid);
}

TEST(boottime)
{
	int fd = OK(timerfd_create(CLOCK_BOOTTIME, 0));
	uint64_t n;

	set(fd, 5 * MS_IN_NS, 0, 0);
	CHECK_EQ(read(fd, &n, 8), 8);
}

TEST(cancelled_by_a_set_clock_only)
{
	int fd = OK(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
	struct itimerspec it = { { 0, 0 }, { time(NULL) + 1000, 0 } };
	uint64_t n;

	OK(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &it, NULL));
	CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
	OK(timerfd_gettime(fd, &it));
	CHECK(it.it_value.tv_sec > 900);
}

TEST(not_told_again_before_it_is_read)
{
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0)), ep = OK(epoll_create1(0));
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	uint64_t n;

	set(fd, MS_IN_NS, 1, 0);
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	CHECK_EQ(epoll_wait(ep, &ev, 1, 15000), 1);
	CHECK_EQ(epoll_wait(ep, &ev, 1, 30), 0);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK(n >= 30 * MS_IN_NS);
	CHECK_EQ(epoll_wait(ep, &ev, 1, 15000), 1);
}
