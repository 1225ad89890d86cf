/* SPDX-License-Identifier: Apache-2.0 */
/* Timers on every clock there is, those that would wake the machine among them. */
#include <linux/ioctl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#include "harness.h"

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

static int make(clockid_t clock)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	int id = -1;

	return syscall(SYS_timer_create, clock, &ev, &id) ? -1 : id;
}

static void expect_once(clockid_t clock)
{
	struct itimerspec it = { { 0, 0 }, { 0, 5 * MS_IN_NS } };
	int id = make(clock);

	CHECK(id >= 0);
	signals_seen = 0;
	on_signal(SIGUSR1, count_signal, 0);
	OK(syscall(SYS_timer_settime, id, 0, &it, NULL));
	/* The clocks of CPU time need work to go on. */
	for (int64_t begin = now_ns(); !signals_seen && now_ns() - begin < 15000 * MS_IN_NS;)
		;
	if (signals_seen != 1)
		FAIL("%d signals of a timer of clock %d", signals_seen, clock);
	OK(syscall(SYS_timer_delete, id));
}

TEST(every_clock)
{
	expect_once(CLOCK_REALTIME);
	expect_once(CLOCK_MONOTONIC);
	expect_once(CLOCK_BOOTTIME);
	expect_once(CLOCK_TAI);
	expect_once(CLOCK_PROCESS_CPUTIME_ID);
	expect_once(CLOCK_THREAD_CPUTIME_ID);
	CHECK_ERRNO(make(CLOCK_MONOTONIC_RAW), EOPNOTSUPP);
	CHECK_ERRNO(make(CLOCK_REALTIME_COARSE), EOPNOTSUPP);
	CHECK_ERRNO(make(77), EINVAL);
}

/* EOPNOTSUPP: the machine has no clock that could wake it. */
TEST(clocks_that_wake_the_machine)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM };

	for (int i = 0; i < 2; i++) {
		int id = have_cap(CAP_WAKE_ALARM) ? make(clocks[i]) : -1;

		if (!have_cap(CAP_WAKE_ALARM))
			continue;
		if (id < 0)
			CHECK_EQ(errno, EOPNOTSUPP);
		else
			expect_once(clocks[i]);
	}
	need_root();
	become_nobody();
	for (int i = 0; i < 2; i++)
		CHECK(make(clocks[i]) == -1 && (errno == EPERM || errno == EOPNOTSUPP));
}

TEST(descriptors_that_wake_the_machine)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM };
	struct itimerspec it = { { 0, 0 }, { 0, 5 * MS_IN_NS } };
	uint64_t n;

	for (int i = 0; i < 2 && have_cap(CAP_WAKE_ALARM); i++) {
		int fd = OK(timerfd_create(clocks[i], TFD_CLOEXEC));

		OK(timerfd_gettime(fd, &it));
		it.it_value.tv_nsec = 5 * MS_IN_NS;
		if (timerfd_settime(fd, 0, &it, NULL))
			continue;
		CHECK_EQ(read(fd, &n, 8), 8);
		CHECK_EQ(n, 1);
	}
	need_root();
	become_nobody();
	for (int i = 0; i < 2; i++)
		CHECK_ERRNO(timerfd_create(clocks[i], 0), EPERM);
}

TEST(ticks_of_a_descriptor_are_set)
{
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	uint64_t n = 5;

	if (ioctl(fd, TFD_IOC_SET_TICKS, &n) && errno == ENOTTY)
		SKIP("no TFD_IOC_SET_TICKS");
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK_EQ(n, 5);
	CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
	n = 0;
	CHECK_ERRNO(ioctl(fd, TFD_IOC_SET_TICKS, &n), EINVAL);
	CHECK_ERRNO(ioctl(fd, TFD_IOC_SET_TICKS, BAD_PTR), EFAULT);
}

static volatile int called;

static void call(union sigval value)
{
	__atomic_store_n(&called, value.sival_int, __ATOMIC_SEQ_CST);
}

TEST(thread_of_the_library)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD,
			       .sigev_notify_function = call,
			       .sigev_value.sival_int = 42 };
	struct itimerspec it = { { 0, 0 }, { 0, 5 * MS_IN_NS } };
	timer_t id;

	OK(timer_create(CLOCK_MONOTONIC, &ev, &id));
	OK(timer_settime(id, 0, &it, NULL));
	for (int i = 0; i < 15000 && !called; i++)
		sleep_ms(1);
	CHECK_EQ(called, 42);
	OK(timer_delete(id));
}
