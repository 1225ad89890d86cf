/* SPDX-License-Identifier: Apache-2.0 */
/* rt_sigtimedwait(2), rt_sigsuspend(2), pause(2). */
#include <pthread.h>

#include "harness.h"

static sigset_t only(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return set;
}

TEST(takes_what_is_pending)
{
	sigset_t set = only(SIGUSR1), pending;
	siginfo_t info;

	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(kill(getpid(), SIGUSR1));
	memset(&info, 0xff, sizeof(info));
	CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
	CHECK_EQ(info.si_signo, SIGUSR1);
	CHECK_EQ(info.si_code, SI_USER);
	CHECK_EQ(info.si_pid, getpid());
	OK(sigpending(&pending));
	CHECK(!sigismember(&pending, SIGUSR1));
}

TEST(times_out)
{
	sigset_t set = only(SIGUSR1);
	struct timespec ts = { 0, 30 * MS_IN_NS }, zero = { 0, 0 };
	int64_t begin = now_ns();

	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK_ERRNO(sigtimedwait(&set, NULL, &zero), EAGAIN);
	CHECK_ERRNO(sigtimedwait(&set, NULL, &ts), EAGAIN);
	CHECK(now_ns() - begin >= 30 * MS_IN_NS);
}

TEST(errors)
{
	sigset_t set = only(SIGUSR1);
	struct timespec bad = { 0, 1000000000 }, negative = { -1, 0 };

	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK_ERRNO(sigtimedwait(&set, NULL, &bad), EINVAL);
	CHECK_ERRNO(sigtimedwait(&set, NULL, &negative), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, &set, NULL, NULL, 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, BAD_PTR, NULL, NULL, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, &set, NULL, BAD_PTR, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_rt_sigsuspend, BAD_PTR, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_rt_sigsuspend, &set, 9), EINVAL);
}

TEST(other_signals_interrupt)
{
	sigset_t set = only(SIGUSR1);
	pid_t pid, self = getpid();

	on_signal(SIGUSR2, count_signal, SA_RESTART);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	CHILD (pid) {
		settle(self);
		OK(kill(self, SIGUSR2));
	}
	CHECK_ERRNO(sigwaitinfo(&set, NULL), EINTR);
	CHECK_EQ(signals_seen, 1);
	wait_ok(pid);
}

TEST(handler_does_not_run)
{
	sigset_t set = only(SIGUSR1);
	pid_t pid, self = getpid();

	on_signal(SIGUSR1, count_signal, 0);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	CHILD (pid) {
		settle(self);
		OK(kill(self, SIGUSR1));
	}
	CHECK_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
	CHECK_EQ(signals_seen, 0);
	wait_ok(pid);
}

static void *waits(void *arg)
{
	sigset_t set = only(SIGUSR1);

	return (void *)(intptr_t)sigwaitinfo(&set, NULL);
}

TEST(any_thread_that_waits_gets_it)
{
	sigset_t set = only(SIGUSR1);
	pthread_t t;
	void *got;

	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK_EQ(pthread_create(&t, NULL, waits, NULL), 0);
	OK(kill(getpid(), SIGUSR1));
	CHECK_EQ(pthread_join(t, &got), 0);
	CHECK_EQ((intptr_t)got, SIGUSR1);
}

TEST(suspend_opens_the_mask_for_the_handler)
{
	sigset_t set = only(SIGUSR1), none, mask;

	sigemptyset(&none);
	on_signal(SIGUSR1, count_signal, 0);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(kill(getpid(), SIGUSR1));
	CHECK_EQ(signals_seen, 0);
	CHECK_ERRNO(sigsuspend(&none), EINTR);
	CHECK_EQ(signals_seen, 1);
	/* The old mask is back. */
	OK(sigprocmask(0, NULL, &mask));
	CHECK(sigismember(&mask, SIGUSR1));
}

TEST(suspend_keeps_others_blocked)
{
	sigset_t set = only(SIGUSR1), none = only(SIGUSR2);
	pid_t pid, self = getpid();

	on_signal(SIGUSR1, count_signal, 0);
	on_signal(SIGUSR2, count_signal, 0);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	CHILD (pid) {
		settle(self);
		OK(kill(self, SIGUSR2));
		settle(self);
		OK(kill(self, SIGUSR1));
	}
	CHECK_ERRNO(sigsuspend(&none), EINTR);
	/* SIGUSR2 came while the call's mask held it off; both handlers have run by now. */
	CHECK_EQ(signals_seen, 2);
	wait_ok(pid);
}

TEST(suspend_in_a_loop_misses_nothing)
{
	sigset_t set = only(SIGUSR1), none;
	pid_t pid, self = getpid();
	int fds[2];
	char c = 0;

	sigemptyset(&none);
	on_signal(SIGUSR1, count_signal, 0);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(pipe(fds));
	CHILD (pid) {
		for (int i = 0; i < 300; i++) {
			OK(kill(self, SIGUSR1));
			CHECK_EQ(read(fds[0], &c, 1), 1);
		}
	}
	for (int i = 0; i < 300; i++) {
		while (signals_seen == i)
			sigsuspend(&none);
		CHECK_EQ(write(fds[1], "n", 1), 1);
	}
	wait_ok(pid);
}

TEST(pause_returns_after_a_handler)
{
	pid_t pid, self = getpid();

	on_signal(SIGUSR1, count_signal, 0);
	CHILD (pid) {
		settle(self);
		OK(kill(self, SIGUSR1));
	}
	CHECK_ERRNO(syscall(SYS_pause), EINTR);
	CHECK_EQ(signals_seen, 1);
	wait_ok(pid);
}

TEST(sigkill_is_not_waited_for)
{
	sigset_t set;
	pid_t pid;

	CHILD (pid) {
		sigfillset(&set);
		sigprocmask(SIG_BLOCK, &set, NULL);
		sigwaitinfo(&set, NULL);
	}
	settle(pid);
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
}
