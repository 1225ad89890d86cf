/* SPDX-License-Identifier: Apache-2.0 */
/* setitimer(2), getitimer(2), alarm(2). */
#include <sys/time.h>

#include "harness.h"

static void set(int which, long first_us, long every_us)
{
	struct itimerval it = { { every_us / 1000000, every_us % 1000000 },
				{ first_us / 1000000, first_us % 1000000 } };

	OK(setitimer(which, &it, NULL));
}

TEST(one_shot)
{
	struct itimerval it;
	int64_t begin = now_ns();

	on_signal(SIGALRM, count_signal, 0);
	set(ITIMER_REAL, 30000, 0);
	OK(getitimer(ITIMER_REAL, &it));
	CHECK_EQ(it.it_value.tv_sec, 0);
	CHECK(it.it_value.tv_usec <= 30000);
	while (!signals_seen)
		pause();
	CHECK(now_ns() - begin >= 30 * MS_IN_NS);
	OK(getitimer(ITIMER_REAL, &it));
	CHECK(it.it_value.tv_sec == 0 && it.it_value.tv_usec == 0);
	sleep_ms(40);
	CHECK_EQ(signals_seen, 1);
}

TEST(periodic)
{
	struct itimerval it;

	on_signal(SIGALRM, count_signal, 0);
	set(ITIMER_REAL, 1000, 3000);
	while (signals_seen < 5)
		pause();
	OK(getitimer(ITIMER_REAL, &it));
	CHECK_EQ(it.it_interval.tv_usec, 3000);
	set(ITIMER_REAL, 0, 0);
	OK(getitimer(ITIMER_REAL, &it));
	CHECK_EQ(it.it_value.tv_usec, 0);
}

TEST(old_value_is_returned)
{
	struct itimerval it = { { 5, 0 }, { 100, 0 } }, old, zero = { { 0, 0 }, { 0, 0 } };

	OK(setitimer(ITIMER_REAL, &it, NULL));
	OK(setitimer(ITIMER_REAL, &zero, &old));
	CHECK_EQ(old.it_interval.tv_sec, 5);
	CHECK(old.it_value.tv_sec >= 95 && old.it_value.tv_sec <= 100);
}

TEST(errors)
{
	struct itimerval it = { { 0, 0 }, { 0, 1000000 } };

	CHECK_ERRNO(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
	it.it_value.tv_usec = -1;
	CHECK_ERRNO(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
	it.it_value.tv_usec = 0;
	CHECK_ERRNO(syscall(SYS_setitimer, 7, &it, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_getitimer, 7, &it), EINVAL);
	CHECK_ERRNO(syscall(SYS_getitimer, ITIMER_REAL, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_setitimer, ITIMER_REAL, BAD_PTR, NULL), EFAULT);
}

TEST(alarm_counts_seconds)
{
	CHECK_EQ(alarm(100), 0);
	CHECK_EQ(alarm(50), 100);
	CHECK_EQ(syscall(SYS_alarm, 0), 50);
	CHECK_EQ(alarm(0), 0);
}

TEST(alarm_and_itimer_are_one)
{
	struct itimerval it;

	alarm(200);
	OK(getitimer(ITIMER_REAL, &it));
	CHECK(it.it_value.tv_sec >= 198);
	set(ITIMER_REAL, 10000000, 0);
	CHECK(alarm(0) <= 10);
}

TEST(alarm_kills_by_default)
{
	pid_t pid;

	CHILD (pid) {
		set(ITIMER_REAL, 5000, 0);
		for (;;)
			pause();
	}
	wait_signal(pid, SIGALRM);
}

static void burn(void)
{
	int64_t end = now_ns() + 15000 * MS_IN_NS;

	while (!signals_seen && now_ns() < end)
		;
}

TEST(virtual_time)
{
	on_signal(SIGVTALRM, count_signal, 0);
	set(ITIMER_VIRTUAL, 20000, 0);
	sleep_ms(60);
	CHECK_EQ(signals_seen, 0);
	burn();
	CHECK_EQ(signals_seen, 1);
}

TEST(profiling_time)
{
	on_signal(SIGPROF, count_signal, 0);
	set(ITIMER_PROF, 20000, 0);
	burn();
	CHECK_EQ(signals_seen, 1);
}

TEST(busy_loop_is_interrupted)
{
	volatile unsigned long n = 0;

	on_signal(SIGALRM, count_signal, 0);
	set(ITIMER_REAL, 10000, 0);
	/* No call in this loop. */
	while (!signals_seen)
		n++;
	CHECK(n > 0);
}

TEST(interrupts_read)
{
	int fds[2];
	char c;

	OK(pipe(fds));
	on_signal(SIGALRM, count_signal, 0);
	set(ITIMER_REAL, 20000, 20000);
	CHECK_ERRNO(read(fds[0], &c, 1), EINTR);
}

TEST(endless_interval)
{
	struct itimerval it = { { LONG_MAX, 999999 }, { 0, 1000 } };

	on_signal(SIGALRM, count_signal, 0);
	OK(setitimer(ITIMER_REAL, &it, NULL));
	while (!signals_seen)
		pause();
	sleep_ms(20);
	CHECK_EQ(signals_seen, 1);
	OK(getitimer(ITIMER_REAL, &it));
	CHECK(it.it_value.tv_sec > 1000000);
}
