/* SPDX-License-Identifier: Apache-2.0 */
/* nanosleep(2), clock_nanosleep(2), clock_gettime(2), clock_getres(2), gettimeofday(2), time(2). */
#include <sys/time.h>

#include "harness.h"

static long raw_gettime(int clock, struct timespec *ts)
{
	return syscall(SYS_clock_gettime, clock, ts);
}

TEST(sleeps_long_enough)
{
	struct timespec ts = { 0, 30 * MS_IN_NS };
	int64_t begin = now_ns();

	OK(syscall(SYS_nanosleep, &ts, NULL));
	CHECK(now_ns() - begin >= 30 * MS_IN_NS);
	begin = now_ns();
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL), 0);
	CHECK(now_ns() - begin >= 30 * MS_IN_NS);
	ts.tv_nsec = 0;
	OK(nanosleep(&ts, NULL));
}

TEST(absolute)
{
	struct timespec ts, now;

	OK(clock_gettime(CLOCK_MONOTONIC, &ts));
	ts.tv_sec += (ts.tv_nsec + 40 * MS_IN_NS) / (1000 * MS_IN_NS);
	ts.tv_nsec = (ts.tv_nsec + 40 * MS_IN_NS) % (1000 * MS_IN_NS);
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL), 0);
	OK(clock_gettime(CLOCK_MONOTONIC, &now));
	CHECK(now.tv_sec > ts.tv_sec || (now.tv_sec == ts.tv_sec && now.tv_nsec >= ts.tv_nsec));
	/* A moment that has passed. */
	ts = (struct timespec){ 1, 0 };
	CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL), 0);
}

TEST(sleep_errors)
{
	struct timespec bad = { 0, 1000000000 }, negative = { -1, 0 }, ok = { 0, 1 };

	CHECK_ERRNO(syscall(SYS_nanosleep, &bad, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_nanosleep, &negative, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_nanosleep, BAD_PTR, NULL), EFAULT);
	CHECK_EQ(clock_nanosleep(77, 0, &ok, NULL), EINVAL);
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, NULL), EINVAL);
	CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ok, NULL), EINVAL);
	CHECK_EQ(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &ok, NULL), -1);
	CHECK_EQ(errno, EOPNOTSUPP);
}

TEST(interrupted_absolute_sleep_leaves_no_rest)
{
	struct timespec ts, rem = { 9, 9 };
	pid_t pid, self = getpid();

	on_signal(SIGUSR1, count_signal, 0);
	OK(clock_gettime(CLOCK_MONOTONIC, &ts));
	ts.tv_sec += 15;
	CHILD (pid) {
		settle(self);
		OK(kill(self, SIGUSR1));
	}
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, &rem), EINTR);
	CHECK_EQ(rem.tv_sec, 9);
	wait_ok(pid);
}

TEST(monotonic_never_goes_back)
{
	int64_t last = 0;

	for (int i = 0; i < 20000; i++) {
		int64_t now = now_ns();

		CHECK(now >= last);
		last = now;
	}
}

TEST(library_and_call_agree)
{
	const int clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW,
			       CLOCK_TAI };
	struct timespec a, b, c;

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		for (int n = 0; n < 200; n++) {
			OK(clock_gettime(clocks[i], &a));
			OK(raw_gettime(clocks[i], &b));
			OK(clock_gettime(clocks[i], &c));
			CHECK(a.tv_nsec >= 0 && a.tv_nsec < 1000000000);
			CHECK(b.tv_sec > a.tv_sec ||
			      (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec));
			CHECK(c.tv_sec > b.tv_sec ||
			      (c.tv_sec == b.tv_sec && c.tv_nsec >= b.tv_nsec));
		}
	}
}

TEST(coarse_clocks)
{
	struct timespec fine, coarse;

	OK(clock_gettime(CLOCK_MONOTONIC, &fine));
	OK(clock_gettime(CLOCK_MONOTONIC_COARSE, &coarse));
	CHECK(llabs((fine.tv_sec - coarse.tv_sec) * 1000 * MS_IN_NS + fine.tv_nsec -
		    coarse.tv_nsec) < 1000 * MS_IN_NS);
	OK(clock_getres(CLOCK_MONOTONIC_COARSE, &coarse));
	CHECK(coarse.tv_nsec >= 1000000 && coarse.tv_nsec <= 10000000);
}

TEST(resolution)
{
	struct timespec ts;

	OK(syscall(SYS_clock_getres, CLOCK_MONOTONIC, &ts));
	CHECK_EQ(ts.tv_sec, 0);
	CHECK_EQ(ts.tv_nsec, 1);
	OK(syscall(SYS_clock_getres, CLOCK_REALTIME, NULL));
	CHECK_ERRNO(syscall(SYS_clock_getres, 77, &ts), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_getres, CLOCK_REALTIME, BAD_PTR), EFAULT);
}

TEST(clock_errors)
{
	struct timespec ts = { 0, 0 };

	CHECK_ERRNO(raw_gettime(77, &ts), EINVAL);
	CHECK_ERRNO(raw_gettime(CLOCK_REALTIME, BAD_PTR), EFAULT);
	if (have_cap(CAP_SYS_TIME)) {
		CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &ts), EINVAL);
	} else {
		OK(raw_gettime(CLOCK_REALTIME, &ts));
		CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, &ts), EPERM);
	}
}

TEST(cpu_clocks_count_work_not_sleep)
{
	struct timespec a, b;
	int64_t end;

	OK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a));
	sleep_ms(50);
	OK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b));
	CHECK((b.tv_sec - a.tv_sec) * 1000 * MS_IN_NS + b.tv_nsec - a.tv_nsec < 45 * MS_IN_NS);
	OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a));
	end = now_ns() + 10000 * MS_IN_NS;
	do {
		OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b));
	} while (now_ns() < end && b.tv_sec == a.tv_sec && b.tv_nsec - a.tv_nsec <= 5 * MS_IN_NS);
	CHECK((b.tv_sec - a.tv_sec) * 1000 * MS_IN_NS + b.tv_nsec - a.tv_nsec > 5 * MS_IN_NS);
}

TEST(cpu_clock_of_another_process)
{
	clockid_t clock;
	struct timespec ts;
	struct gate g = gate_new();
	pid_t pid;

	CHILD (pid)
		gate_pass(&g);
	CHECK_EQ(clock_getcpuclockid(pid, &clock), 0);
	OK(clock_gettime(clock, &ts));
	CHECK(ts.tv_sec < 100);
	gate_open(&g);
	wait_ok(pid);
	CHECK_EQ(clock_getcpuclockid(0x3ffffff, &clock), ESRCH);
}

TEST(old_calls_agree)
{
	struct timeval tv;
	struct timespec ts;
	time_t t = 0;

	OK(syscall(SYS_gettimeofday, &tv, NULL));
	OK(raw_gettime(CLOCK_REALTIME, &ts));
	CHECK(ts.tv_sec - tv.tv_sec <= 1 && ts.tv_sec >= tv.tv_sec);
	CHECK(tv.tv_usec >= 0 && tv.tv_usec < 1000000);
	CHECK_EQ(syscall(SYS_time, &t), t);
	CHECK(llabs(t - ts.tv_sec) <= 1);
	CHECK_ERRNO(syscall(SYS_gettimeofday, BAD_PTR, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_time, BAD_PTR), EFAULT);
	OK(gettimeofday(&tv, NULL));
	CHECK(time(NULL) - tv.tv_sec <= 1);
	/* After 2020 and before 2100. */
	CHECK(tv.tv_sec > 1577836800 && tv.tv_sec < 4102444800);
}

TEST(boottime_is_not_before_monotonic)
{
	struct timespec mono, boot;

	OK(clock_gettime(CLOCK_MONOTONIC, &mono));
	OK(clock_gettime(CLOCK_BOOTTIME, &boot));
	CHECK(boot.tv_sec >= mono.tv_sec - 1);
}
