/* SPDX-License-Identifier: Apache-2.0 */
/* rt_sigprocmask(2), rt_sigpending(2), and how blocked signals come. */
#include <pthread.h>

#include "harness.h"

static volatile sig_atomic_t order[32], count;

static void record(int sig)
{
	order[count++ & 31] = sig;
}

static sigset_t set_of(int a, int b)
{
	sigset_t set;

	sigemptyset(&set);
	if (a)
		sigaddset(&set, a);
	if (b)
		sigaddset(&set, b);
	return set;
}

TEST(block_unblock_set)
{
	sigset_t a = set_of(SIGUSR1, 0), b = set_of(SIGUSR2, 0), old;

	OK(sigprocmask(SIG_BLOCK, &a, &old));
	CHECK(!sigismember(&old, SIGUSR1));
	OK(sigprocmask(SIG_BLOCK, &b, &old));
	CHECK(sigismember(&old, SIGUSR1) && !sigismember(&old, SIGUSR2));
	OK(sigprocmask(SIG_UNBLOCK, &a, NULL));
	OK(sigprocmask(99, NULL, &old));
	CHECK(!sigismember(&old, SIGUSR1) && sigismember(&old, SIGUSR2));
	OK(sigprocmask(SIG_SETMASK, &a, NULL));
	OK(sigprocmask(0, NULL, &old));
	CHECK(sigismember(&old, SIGUSR1) && !sigismember(&old, SIGUSR2));
}

TEST(kill_and_stop_cannot_be_blocked)
{
	sigset_t set;

	sigfillset(&set);
	OK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8));
	OK(syscall(SYS_rt_sigprocmask, 0, NULL, &set, 8));
	CHECK(!sigismember(&set, SIGKILL));
	CHECK(!sigismember(&set, SIGSTOP));
	CHECK(sigismember(&set, SIGTERM));
	CHECK(sigismember(&set, 64));
}

TEST(errors)
{
	sigset_t set = set_of(SIGUSR1, 0);

	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, 3, &set, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, -1, &set, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 16), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, BAD_PTR, NULL, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, BAD_PTR, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_rt_sigpending, BAD_PTR, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_rt_sigpending, &set, 128), EINVAL);
}

TEST(blocked_signal_waits)
{
	sigset_t set = set_of(SIGUSR1, 0), pending;

	on_signal(SIGUSR1, record, 0);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(raise(SIGUSR1));
	OK(raise(SIGUSR1));
	CHECK_EQ(count, 0);
	OK(sigpending(&pending));
	CHECK(sigismember(&pending, SIGUSR1));
	CHECK(!sigismember(&pending, SIGUSR2));
	OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
	/* A standard signal is not counted: once. And before the call returns. */
	CHECK_EQ(count, 1);
	OK(sigpending(&pending));
	CHECK(!sigismember(&pending, SIGUSR1));
}

TEST(realtime_signals_queue)
{
	sigset_t set = set_of(SIGRTMIN + 1, 0);

	on_signal(SIGRTMIN + 1, record, 0);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	for (int i = 0; i < 5; i++)
		OK(raise(SIGRTMIN + 1));
	OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
	CHECK_EQ(count, 5);
}

TEST(lowest_number_first)
{
	sigset_t all, old;

	on_signal(SIGUSR1, record, 0);
	on_signal(SIGTERM, record, 0);
	on_signal(SIGRTMIN, record, 0);
	on_signal(SIGRTMIN + 2, record, 0);
	sigfillset(&all);
	OK(sigprocmask(SIG_SETMASK, &all, &old));
	OK(raise(SIGRTMIN + 2));
	OK(raise(SIGRTMIN));
	OK(raise(SIGTERM));
	OK(raise(SIGUSR1));
	OK(sigprocmask(SIG_SETMASK, &old, NULL));
	CHECK_EQ(count, 4);
	/* Frames are pushed lowest number first: so the highest one's handler runs first. */
	CHECK_EQ(order[0], SIGRTMIN + 2);
	CHECK_EQ(order[1], SIGRTMIN);
	CHECK_EQ(order[2], SIGTERM);
	CHECK_EQ(order[3], SIGUSR1);
}

TEST(synchronous_faults_come_first)
{
	sigset_t all, old, fault = set_of(SIGSEGV, SIGUSR1);

	on_signal(SIGUSR1, record, 0);
	on_signal(SIGSEGV, record, 0);
	sigfillset(&all);
	OK(sigprocmask(SIG_SETMASK, &fault, &old));
	OK(raise(SIGUSR1));
	OK(raise(SIGSEGV));
	OK(sigprocmask(SIG_SETMASK, &old, NULL));
	CHECK_EQ(count, 2);
	CHECK_EQ(order[0], SIGUSR1);
	CHECK_EQ(order[1], SIGSEGV);
}

static void *thread_mask(void *arg)
{
	sigset_t set;

	OK(pthread_sigmask(0, NULL, &set));
	CHECK(sigismember(&set, SIGUSR1));
	set = set_of(SIGUSR2, 0);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	return arg;
}

TEST(threads_have_masks_of_their_own)
{
	sigset_t set = set_of(SIGUSR1, 0);
	pthread_t t;

	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK_EQ(pthread_create(&t, NULL, thread_mask, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	OK(sigprocmask(0, NULL, &set));
	CHECK(!sigismember(&set, SIGUSR2));
}

struct other {
	struct gate ready, end;
	pid_t tid;
};

static volatile pid_t handled_by;

static void record_thread(int sig)
{
	handled_by = gettid();
	record(sig);
}

static void *unblocked_thread(void *arg)
{
	struct other *o = arg;
	sigset_t set = set_of(SIGUSR1, 0);

	o->tid = gettid();
	CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	gate_open(&o->ready);
	gate_pass(&o->end);
	return NULL;
}

TEST(process_signal_goes_to_a_thread_that_takes_it)
{
	struct other o = { gate_new(), gate_new(), 0 };
	sigset_t set = set_of(SIGUSR1, 0);
	pthread_t t;

	on_signal(SIGUSR1, record_thread, 0);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK_EQ(pthread_create(&t, NULL, unblocked_thread, &o), 0);
	gate_pass(&o.ready);
	OK(kill(getpid(), SIGUSR1));
	for (int i = 0; i < 5000 && !count; i++)
		sleep_ms(1);
	CHECK_EQ(count, 1);
	CHECK_EQ(handled_by, o.tid);
	gate_open(&o.end);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

TEST(thread_signal_stays_with_its_thread)
{
	struct other o = { gate_new(), gate_new(), 0 };
	sigset_t set = set_of(SIGUSR1, 0), pending;
	pthread_t t;

	on_signal(SIGUSR1, record_thread, 0);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK_EQ(pthread_create(&t, NULL, unblocked_thread, &o), 0);
	gate_pass(&o.ready);
	OK(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1));
	settle(o.tid);
	CHECK_EQ(count, 0);
	OK(sigpending(&pending));
	CHECK(sigismember(&pending, SIGUSR1));
	OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
	CHECK_EQ(count, 1);
	CHECK_EQ(handled_by, getpid());
	gate_open(&o.end);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

TEST(unblocking_while_the_signal_comes)
{
	sigset_t set = set_of(SIGUSR1, 0), old;
	const int64_t end = now_ns() + 5000 * MS_IN_NS;
	pid_t pid, self = getpid();
	struct gate stop = gate_new();

	on_signal(SIGUSR1, count_signal, 0);
	CHILD (pid) {
		char c;

		OK(fcntl(stop.fd[0], F_SETFL, O_NONBLOCK));
		while (read(stop.fd[0], &c, 1) != 1)
			OK(kill(self, SIGUSR1));
	}
	/* So often, or as often as a busy machine lets it in some seconds. */
	for (int i = 0; (i < 20000 && now_ns() < end) || signals_seen < 5; i++) {
		sig_atomic_t before;

		OK(sigprocmask(SIG_BLOCK, &set, &old));
		before = signals_seen;
		CHECK_EQ(getpid(), self);
		CHECK_EQ(signals_seen, before);
		OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
	}
	gate_open(&stop);
	wait_ok(pid);
}
