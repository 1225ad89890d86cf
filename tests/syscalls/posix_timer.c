/* SPDX-License-Identifier: Apache-2.0 */
/* timer_create(2) and its kin. */
#include <pthread.h>

#include "harness.h"

typedef int kernel_timer_t;

static kernel_timer_t create(int clock, int sig)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
			       .sigev_signo = sig,
			       .sigev_value.sival_int = 99 };
	kernel_timer_t id = -1;

	OK(syscall(SYS_timer_create, clock, &ev, &id));
	CHECK(id >= 0);
	return id;
}

static void set(kernel_timer_t id, int64_t first_ns, int64_t every_ns, int flags)
{
	struct itimerspec it = { { every_ns / 1000000000, every_ns % 1000000000 },
				 { first_ns / 1000000000, first_ns % 1000000000 } };

	OK(syscall(SYS_timer_settime, id, flags, &it, NULL));
}

TEST(one_shot)
{
	struct itimerspec it;
	kernel_timer_t id = create(CLOCK_MONOTONIC, SIGUSR1);
	int64_t begin = now_ns();

	on_signal(SIGUSR1, count_signal, 0);
	set(id, 30 * MS_IN_NS, 0, 0);
	OK(syscall(SYS_timer_gettime, id, &it));
	CHECK(it.it_value.tv_sec == 0 && it.it_value.tv_nsec > 0 &&
	      it.it_value.tv_nsec <= 30 * MS_IN_NS);
	while (!signals_seen)
		sleep_ms(1);
	CHECK(now_ns() - begin >= 30 * MS_IN_NS);
	OK(syscall(SYS_timer_gettime, id, &it));
	CHECK(it.it_value.tv_sec == 0 && it.it_value.tv_nsec == 0);
}

TEST(absolute)
{
	kernel_timer_t id = create(CLOCK_REALTIME, SIGUSR1);
	struct timespec now;

	on_signal(SIGUSR1, count_signal, 0);
	OK(clock_gettime(CLOCK_REALTIME, &now));
	set(id, now.tv_sec * 1000 * MS_IN_NS + now.tv_nsec + 20 * MS_IN_NS, 0, TIMER_ABSTIME);
	while (!signals_seen)
		sleep_ms(1);
	/* A moment in the past: at once. */
	set(id, 1, 0, TIMER_ABSTIME);
	while (signals_seen < 2)
		sleep_ms(1);
}

TEST(overrun)
{
	kernel_timer_t id = create(CLOCK_MONOTONIC, SIGRTMIN);
	sigset_t set_;
	siginfo_t info;

	sigemptyset(&set_);
	sigaddset(&set_, SIGRTMIN);
	OK(sigprocmask(SIG_BLOCK, &set_, NULL));
	set(id, 2 * MS_IN_NS, 2 * MS_IN_NS, 0);
	sleep_ms(50);
	CHECK_EQ(sigwaitinfo(&set_, &info), SIGRTMIN);
	CHECK_EQ(info.si_code, SI_TIMER);
	CHECK_EQ(info.si_value.sival_int, 99);
	CHECK(info.si_overrun >= 10);
	CHECK(syscall(SYS_timer_getoverrun, id) >= 10);
}

TEST(disarm_and_delete)
{
	kernel_timer_t id = create(CLOCK_MONOTONIC, SIGUSR1);

	on_signal(SIGUSR1, count_signal, 0);
	set(id, 300 * MS_IN_NS, 0, 0);
	set(id, 0, 0, 0);
	sleep_ms(400);
	CHECK_EQ(signals_seen, 0);
	set(id, 300 * MS_IN_NS, 0, 0);
	OK(syscall(SYS_timer_delete, id));
	sleep_ms(400);
	CHECK_EQ(signals_seen, 0);
	CHECK_ERRNO(syscall(SYS_timer_delete, id), EINVAL);
	CHECK_ERRNO(syscall(SYS_timer_getoverrun, id), EINVAL);
}

TEST(old_value)
{
	struct itimerspec it = { { 7, 0 }, { 100, 0 } }, old;
	kernel_timer_t id = create(CLOCK_MONOTONIC, SIGUSR1);

	OK(syscall(SYS_timer_settime, id, 0, &it, &old));
	CHECK_EQ(old.it_value.tv_sec, 0);
	OK(syscall(SYS_timer_settime, id, 0, &it, &old));
	CHECK_EQ(old.it_interval.tv_sec, 7);
	CHECK(old.it_value.tv_sec >= 95 && old.it_value.tv_sec <= 100);
}

TEST(errors)
{
	struct sigevent ev = { .sigev_notify = 77, .sigev_signo = SIGUSR1 };
	struct itimerspec it = { { 0, 0 }, { 0, 1000000000 } };
	kernel_timer_t id;

	CHECK_ERRNO(syscall(SYS_timer_create, 77, NULL, &id), EINVAL);
	CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), EINVAL);
	ev.sigev_notify = SIGEV_SIGNAL;
	ev.sigev_signo = 65;
	CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), EINVAL);
	CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, BAD_PTR, &id), EFAULT);
	CHECK_ERRNO(syscall(SYS_timer_settime, 12345, 0, &it, NULL), EINVAL);
	id = create(CLOCK_MONOTONIC, SIGUSR1);
	CHECK_ERRNO(syscall(SYS_timer_settime, id, 0, &it, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_timer_settime, id, 0, BAD_PTR, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_timer_settime, id, 0, NULL, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_timer_gettime, id, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_timer_gettime, -1, &it), EINVAL);
}

TEST(default_event_is_sigalrm_with_the_id)
{
	kernel_timer_t id;
	sigset_t set_;
	siginfo_t info;

	sigemptyset(&set_);
	sigaddset(&set_, SIGALRM);
	OK(sigprocmask(SIG_BLOCK, &set_, NULL));
	OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id));
	set(id, 1 * MS_IN_NS, 0, 0);
	CHECK_EQ(sigwaitinfo(&set_, &info), SIGALRM);
	CHECK_EQ(info.si_value.sival_int, id);
}

TEST(no_notification)
{
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	struct itimerspec it;
	kernel_timer_t id;

	OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
	set(id, 1000 * 1000 * MS_IN_NS, 0, 0);
	OK(syscall(SYS_timer_gettime, id, &it));
	CHECK(it.it_value.tv_sec > 990);
}

static volatile pid_t handled_by;

static void where(int sig)
{
	handled_by = gettid();
}

static void *has_a_timer(void *arg)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	kernel_timer_t id;

	ev._sigev_un._tid = gettid();
	OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
	set(id, 5 * MS_IN_NS, 0, 0);
	while (!handled_by)
		sleep_ms(1);
	CHECK_EQ(handled_by, gettid());
	OK(syscall(SYS_timer_delete, id));
	return arg;
}

TEST(to_a_thread)
{
	pthread_t t;

	on_signal(SIGUSR1, where, 0);
	CHECK_EQ(pthread_create(&t, NULL, has_a_timer, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

TEST(not_inherited_by_fork)
{
	kernel_timer_t id = create(CLOCK_MONOTONIC, SIGUSR1);
	struct itimerspec it;
	pid_t pid;

	set(id, 1000 * 1000 * MS_IN_NS, 0, 0);
	CHILD (pid)
		CHECK_ERRNO(syscall(SYS_timer_gettime, id, &it), EINVAL);
	wait_ok(pid);
}

TEST(cpu_time)
{
	kernel_timer_t id = create(CLOCK_PROCESS_CPUTIME_ID, SIGUSR1);
	int64_t end = now_ns() + 15000 * MS_IN_NS;

	on_signal(SIGUSR1, count_signal, 0);
	set(id, 20 * MS_IN_NS, 0, 0);
	sleep_ms(50);
	CHECK_EQ(signals_seen, 0);
	while (!signals_seen && now_ns() < end)
		;
	CHECK_EQ(signals_seen, 1);
}

TEST(many)
{
	kernel_timer_t ids[100];

	on_signal(SIGRTMIN, count_signal, 0);
	for (int i = 0; i < 100; i++) {
		ids[i] = create(CLOCK_MONOTONIC, SIGRTMIN);
		set(ids[i], (1 + i % 10) * MS_IN_NS, 0, 0);
	}
	while (signals_seen < 100)
		sleep_ms(1);
	for (int i = 0; i < 100; i++)
		OK(syscall(SYS_timer_delete, ids[i]));
	CHECK_EQ(signals_seen, 100);
}

TEST(set_again_while_its_signal_waits)
{
	struct timespec none = { 0 };
	struct itimerspec it;
	kernel_timer_t id = create(CLOCK_MONOTONIC, SIGUSR1);
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	OK(sigprocmask(SIG_BLOCK, &block, NULL));
	for (int i = 0; i < 3; i++) {
		set(id, MS_IN_NS, 0, 0);
		do
			OK(syscall(SYS_timer_gettime, id, &it));
		while (it.it_value.tv_sec || it.it_value.tv_nsec);
		sleep_ms(2);
	}
	CHECK_EQ(sigtimedwait(&block, NULL, &none), SIGUSR1);
	CHECK_ERRNO(sigtimedwait(&block, NULL, &none), EAGAIN);
	set(id, MS_IN_NS, 0, 0);
	CHECK_EQ(sigwaitinfo(&block, NULL), SIGUSR1);
}
