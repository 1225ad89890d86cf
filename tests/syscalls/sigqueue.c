/* SPDX-License-Identifier: Apache-2.0 */
/* rt_sigqueueinfo(2), rt_tgsigqueueinfo(2): values, order, limits. */
#include <sys/resource.h>

#include "harness.h"

static volatile int values[64], signos[64];
static volatile sig_atomic_t count;

static void record(int sig, siginfo_t *info, void *context)
{
	values[count & 63] = info->si_value.sival_int;
	signos[count & 63] = sig;
	count++;
}

static void block(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
}

static void unblock(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
}

static void send_value(int sig, int value)
{
	OK(sigqueue(getpid(), sig, (union sigval){ .sival_int = value }));
}

TEST(values_come_in_order)
{
	on_siginfo(SIGRTMIN, record, 0);
	block(SIGRTMIN);
	for (int i = 0; i < 20; i++)
		send_value(SIGRTMIN, 100 + i);
	unblock(SIGRTMIN);
	CHECK_EQ(count, 20);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(values[i], 100 + i);
}

TEST(standard_signal_keeps_its_first_value)
{
	on_siginfo(SIGUSR1, record, 0);
	block(SIGUSR1);
	send_value(SIGUSR1, 1);
	send_value(SIGUSR1, 2);
	unblock(SIGUSR1);
	CHECK_EQ(count, 1);
	CHECK_EQ(values[0], 1);
}

TEST(errors)
{
	siginfo_t info = { .si_code = SI_QUEUE };
	union sigval v = { 0 };

	CHECK_ERRNO(sigqueue(getpid(), 65, v), EINVAL);
	CHECK_ERRNO(sigqueue(0x3fffffff, 0, v), ESRCH);
	OK(sigqueue(getpid(), 0, v));
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, SIGUSR1, &info), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0x3fffffff, SIGUSR1, &info), ESRCH);
}

TEST(codes_cannot_be_forged_for_others)
{
	siginfo_t info = { .si_code = SI_USER };
	pid_t parent = getppid();

	/* To oneself any code may be sent; to others none that the kernel uses. */
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, parent, 0, &info), EPERM);
	info.si_code = SI_TKILL;
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, parent, 0, &info), EPERM);
	info.si_code = 1;
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, parent, 0, &info), EPERM);
	on_siginfo(SIGUSR1, record, 0);
	info.si_code = SI_USER;
	OK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info));
	CHECK_EQ(count, 1);
}

TEST(to_a_thread)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	info.si_value.sival_int = 31;
	on_siginfo(SIGUSR2, record, 0);
	OK(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR2, &info));
	CHECK_EQ(count, 1);
	CHECK_EQ(values[0], 31);
}

TEST(limit_of_pending_signals)
{
	struct rlimit lim = { 5, 5 };
	pid_t pid;

	/* The limit counts by user: one that nobody else here is. */
	need_root();
	CHILD (pid) {
		int sent = 0;

		OK(setresuid(54321, 54321, 54321));
		OK(setrlimit(RLIMIT_SIGPENDING, &lim));
		on_siginfo(SIGRTMIN, record, 0);
		on_siginfo(SIGUSR1, record, 0);
		block(SIGRTMIN);
		while (sent < 20 && !sigqueue(getpid(), SIGRTMIN, (union sigval){ 0 }))
			sent++;
		CHECK_EQ(errno, EAGAIN);
		CHECK_EQ(sent, 5);
		/* A standard signal is delivered all the same. */
		OK(kill(getpid(), SIGUSR1));
		CHECK_EQ(count, 1);
		unblock(SIGRTMIN);
		CHECK_EQ(count, 6);
	}
	wait_ok(pid);
}

TEST(numbers_then_order_of_sending)
{
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGRTMIN + 1);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	send_value(SIGRTMIN + 1, 1);
	send_value(SIGRTMIN, 2);
	send_value(SIGRTMIN + 1, 3);
	send_value(SIGRTMIN, 4);
	CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
	CHECK_EQ(info.si_value.sival_int, 2);
	CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
	CHECK_EQ(info.si_value.sival_int, 4);
	CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN + 1);
	CHECK_EQ(info.si_value.sival_int, 1);
	CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN + 1);
	CHECK_EQ(info.si_value.sival_int, 3);
}

TEST(from_many_processes_all_arrive)
{
	sigset_t set;
	siginfo_t info;
	pid_t pids[4], self = getpid();
	int next[4] = { 0 };

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	for (int i = 0; i < 4; i++) {
		CHILD (pids[i]) {
			for (int n = 0; n < 100; n++)
				OK(sigqueue(self, SIGRTMIN,
					    (union sigval){ .sival_int = i * 1000 + n }));
		}
	}
	for (int n = 0; n < 400; n++) {
		CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
		int i = info.si_value.sival_int / 1000;

		CHECK(i >= 0 && i < 4);
		CHECK_EQ(info.si_value.sival_int % 1000, next[i]);
		CHECK_EQ(info.si_pid, pids[i]);
		next[i]++;
	}
	for (int i = 0; i < 4; i++)
		wait_ok(pids[i]);
}
