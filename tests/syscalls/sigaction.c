/* SPDX-License-Identifier: Apache-2.0 */
/* rt_sigaction(2), kill(2), tgkill(2), tkill(2): dispositions, flags, delivery, errors. */
#include <pthread.h>
#include <ucontext.h>

#include "harness.h"

static volatile sig_atomic_t order[16], count;

static void record(int sig)
{
	order[count++ & 15] = sig;
}

TEST(old_action_is_returned)
{
	struct sigaction sa, old;

	OK(sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_handler == SIG_DFL);
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = record;
	sa.sa_flags = SA_RESTART | SA_NODEFER;
	sigaddset(&sa.sa_mask, SIGUSR2);
	OK(sigaction(SIGUSR1, &sa, NULL));
	OK(sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_handler == record);
	CHECK_EQ(old.sa_flags & (SA_RESTART | SA_NODEFER | SA_SIGINFO | SA_RESETHAND),
		 SA_RESTART | SA_NODEFER);
	CHECK_EQ(sigismember(&old.sa_mask, SIGUSR2), 1);
	CHECK_EQ(sigismember(&old.sa_mask, SIGHUP), 0);
}

TEST(errors)
{
	char buf[64] = "";

	CHECK_ERRNO(syscall(SYS_rt_sigaction, 0, NULL, buf, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, 65, NULL, buf, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGKILL, buf, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGSTOP, buf, NULL, 8), EINVAL);
	OK(syscall(SYS_rt_sigaction, SIGKILL, NULL, buf, 8));
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, buf, 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, BAD_PTR, NULL, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, BAD_PTR, 8), EFAULT);
	OK(syscall(SYS_rt_sigaction, 64, NULL, buf, 8));
}

TEST(kill_errors)
{
	CHECK_ERRNO(kill(getpid(), 65), EINVAL);
	CHECK_ERRNO(kill(getpid(), -1), EINVAL);
	CHECK_ERRNO(kill(0x3fffffff, 0), ESRCH);
	CHECK_ERRNO(kill(INT_MIN, 0), ESRCH);
	CHECK_ERRNO(kill(-0x3fffffff, 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tgkill, -1, getpid(), 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0x3fffffff, 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tgkill, 1, getpid(), 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tkill, 0x3fffffff, 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tkill, 0, 0), EINVAL);
	OK(kill(getpid(), 0));
	OK(kill(0, 0));
	OK(syscall(SYS_tkill, gettid(), 0));
}

TEST(handler_runs_before_kill_returns)
{
	on_signal(SIGUSR1, record, 0);
	OK(kill(getpid(), SIGUSR1));
	CHECK_EQ(count, 1);
	OK(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1));
	CHECK_EQ(count, 2);
	OK(raise(SIGUSR1));
	CHECK_EQ(count, 3);
}

TEST(ignored)
{
	on_signal(SIGTERM, SIG_IGN, 0);
	OK(raise(SIGTERM));
	/* These do nothing by default. */
	OK(raise(SIGCHLD));
	OK(raise(SIGURG));
	OK(raise(SIGWINCH));
	OK(raise(SIGCONT));
}

TEST(default_actions_end)
{
	const int deadly[] = { SIGHUP,	SIGINT,	   SIGQUIT, SIGILL,  SIGTRAP,	SIGABRT, SIGBUS,
			       SIGFPE,	SIGKILL,   SIGUSR1, SIGSEGV, SIGUSR2,	SIGPIPE, SIGALRM,
			       SIGTERM, SIGSTKFLT, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO,
			       SIGPWR,	SIGSYS,	   34,	    64 };
	pid_t pid;

	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
		CHILD (pid)
			kill(getpid(), deadly[i]);
		wait_signal(pid, deadly[i]);
	}
}

static volatile sig_atomic_t depth, deepest;

static void nests(int sig)
{
	if (++depth > deepest)
		deepest = depth;
	if (count++ < 3)
		raise(sig);
	depth--;
}

TEST(own_signal_is_blocked_in_the_handler)
{
	on_signal(SIGUSR1, nests, 0);
	OK(raise(SIGUSR1));
	CHECK_EQ(deepest, 1);
	CHECK_EQ(count, 4);
}

TEST(nodefer_nests)
{
	on_signal(SIGUSR1, nests, SA_NODEFER);
	OK(raise(SIGUSR1));
	CHECK_EQ(deepest, 4);
}

TEST(resethand)
{
	struct sigaction sa;
	pid_t pid;

	CHILD (pid) {
		on_signal(SIGUSR1, record, SA_RESETHAND);
		OK(raise(SIGUSR1));
		CHECK_EQ(count, 1);
		OK(sigaction(SIGUSR1, NULL, &sa));
		CHECK(sa.sa_handler == SIG_DFL);
		raise(SIGUSR1);
	}
	wait_signal(pid, SIGUSR1);
}

static void raises_other(int sig)
{
	raise(SIGUSR2);
	record(sig);
}

TEST(mask_of_the_handler)
{
	struct sigaction sa = { .sa_handler = raises_other };

	sigaddset(&sa.sa_mask, SIGUSR2);
	OK(sigaction(SIGUSR1, &sa, NULL));
	on_signal(SIGUSR2, record, 0);
	OK(raise(SIGUSR1));
	/* The other one waited until the handler had returned. */
	CHECK_EQ(order[0], SIGUSR1);
	CHECK_EQ(order[1], SIGUSR2);
	sa.sa_mask = (sigset_t){ 0 };
	OK(sigaction(SIGUSR1, &sa, NULL));
	count = 0;
	OK(raise(SIGUSR1));
	CHECK_EQ(order[0], SIGUSR2);
	CHECK_EQ(order[1], SIGUSR1);
}

static void changes_mask(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	/* What is in the frame is taken over at the return. */
	sigaddset(&uc->uc_sigmask, SIGHUP);
	record(sig);
}

TEST(mask_in_the_frame_is_restored)
{
	sigset_t set;

	on_siginfo(SIGUSR1, changes_mask, 0);
	OK(raise(SIGUSR1));
	OK(sigprocmask(0, NULL, &set));
	CHECK_EQ(sigismember(&set, SIGHUP), 1);
	CHECK_EQ(sigismember(&set, SIGUSR1), 0);
}

static void changes_registers(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	uc->uc_mcontext.gregs[REG_RIP] += 2;
	uc->uc_mcontext.gregs[REG_RAX] = 1234;
}

TEST(registers_in_the_frame_are_restored)
{
	long rax = 0, rbx = 77;

	on_siginfo(SIGILL, changes_registers, 0);
	__asm__ volatile("ud2" : "+a"(rax), "+b"(rbx) : : "memory");
	CHECK_EQ(rax, 1234);
	CHECK_EQ(rbx, 77);
}

static void clobbers_vectors(int sig)
{
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n\tpcmpeqd %%xmm9, %%xmm9" : : : "xmm0", "xmm9");
	record(sig);
}

TEST(vector_registers_survive_a_handler)
{
	unsigned long a = 0x1122334455667788, b = 0;
	pid_t self = getpid();

	on_signal(SIGUSR1, clobbers_vectors, 0);
	__asm__ volatile("movq %2, %%xmm9\n\tsyscall\n\tmovq %%xmm9, %0"
			 : "=r"(b)
			 : "a"((long)SYS_kill), "r"(a), "D"((long)self), "S"((long)SIGUSR1)
			 : "rcx", "r11", "xmm9", "memory");
	CHECK_EQ(count, 1);
	CHECK_EQ(b, a);
}

TEST(flags_register_and_direction)
{
	unsigned long flags;

	on_signal(SIGUSR1, record, 0);
	/* Handlers start with a clear direction flag, whatever it was; it is back afterwards. */
	__asm__ volatile("std\n\tsyscall\n\tpushf\n\tpop %0\n\tcld"
			 : "=r"(flags)
			 : "a"((long)SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1)
			 : "rcx", "r11", "memory", "cc");
	CHECK(flags & 0x400);
	CHECK_EQ(count, 1);
}

TEST(stop_signals_stop_and_cont_discards_them)
{
	pid_t pid;
	int status;

	CHILD (pid) {
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGTSTP);
		OK(sigprocmask(SIG_BLOCK, &set, NULL));
		OK(raise(SIGTSTP));
		OK(raise(SIGCONT));
		OK(sigpending(&set));
		CHECK_EQ(sigismember(&set, SIGTSTP), 0);
		raise(SIGSTOP);
	}
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	OK(kill(pid, SIGCONT));
	wait_ok(pid);
}

TEST(handler_of_sigcont_runs)
{
	pid_t pid;
	int status;

	CHILD (pid) {
		on_signal(SIGCONT, record, 0);
		raise(SIGSTOP);
		CHECK_EQ(count, 1);
	}
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	OK(kill(pid, SIGCONT));
	wait_ok(pid);
}

TEST(signal_to_a_stopped_process_waits)
{
	pid_t pid;
	int status;

	CHILD (pid) {
		on_signal(SIGUSR1, record, 0);
		raise(SIGSTOP);
		CHECK_EQ(count, 1);
	}
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	OK(kill(pid, SIGUSR1));
	settle(pid);
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	OK(kill(pid, SIGCONT));
	wait_ok(pid);
}

TEST(permission)
{
	pid_t pid, parent = getpid();
	struct gate g = gate_new();

	need_root();
	CHILD (pid) {
		become_nobody();
		CHECK_ERRNO(kill(parent, 0), EPERM);
		CHECK_ERRNO(kill(parent, SIGTERM), EPERM);
		CHECK_ERRNO(syscall(SYS_tgkill, parent, parent, SIGTERM), EPERM);
		/* SIGCONT within the session needs no right. */
		OK(kill(parent, SIGCONT));
		OK(kill(getpid(), 0));
		gate_open(&g);
		for (;;)
			pause();
	}
	gate_pass(&g);
	OK(kill(pid, SIGTERM));
	wait_signal(pid, SIGTERM);
}

TEST(group)
{
	struct gate ready = gate_new();
	pid_t a, b, group;

	a = group = OK(fork());
	if (!a) {
		OK(setpgid(0, 0));
		gate_open(&ready);
		for (;;)
			pause();
	}
	setpgid(a, a);
	gate_pass(&ready);
	b = OK(fork());
	if (!b) {
		OK(setpgid(0, group));
		gate_open(&ready);
		for (;;)
			pause();
	}
	gate_pass(&ready);
	OK(kill(-group, SIGUSR2));
	wait_signal(a, SIGUSR2);
	wait_signal(b, SIGUSR2);
	CHECK_ERRNO(kill(-group, 0), ESRCH);
}

TEST(fault_while_blocked_kills)
{
	sigset_t set;
	pid_t pid;

	CHILD (pid) {
		on_signal(SIGSEGV, record, 0);
		sigemptyset(&set);
		sigaddset(&set, SIGSEGV);
		OK(sigprocmask(SIG_BLOCK, &set, NULL));
		*(volatile char *)BAD_PTR = 1;
	}
	wait_signal(pid, SIGSEGV);
	CHILD (pid) {
		on_signal(SIGSEGV, SIG_IGN, 0);
		*(volatile char *)BAD_PTR = 1;
	}
	wait_signal(pid, SIGSEGV);
}

TEST(ignoring_discards_what_is_pending)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(raise(SIGUSR1));
	on_signal(SIGUSR1, SIG_IGN, 0);
	on_signal(SIGUSR1, record, 0);
	OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
	CHECK_EQ(count, 0);
}

TEST(storm_of_signals_loses_nothing_else)
{
	struct gate g = gate_new();
	long sum = 0;
	char c;
	pid_t pid, self = getpid();

	on_signal(SIGUSR1, count_signal, 0);
	CHILD (pid) {
		for (int i = 0; i < 2000; i++)
			OK(kill(self, SIGUSR1));
		gate_open(&g);
	}
	OK(fcntl(g.fd[0], F_SETFL, O_NONBLOCK));
	do {
		/* A computation that every wrong restore of registers would spoil. */
		long s = 0;

		for (long i = 0; i < 1000; i++)
			s += i;
		if (s != 499500)
			FAIL("sum is %ld", s);
		sum++;
	} while (read(g.fd[0], &c, 1) != 1);
	CHECK(sum > 0);
	CHECK(signals_seen > 0);
	wait_ok(pid);
}
