/* SPDX-License-Identifier: Apache-2.0 */
/* arch_prctl(2): FS and GS base, CPUID faulting; time-stamp counter; the vsyscall page; int 0x80.
 */
#include <asm/prctl.h>
#include <cpuid.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/time.h>

#include "harness.h"

static long arch(int what, unsigned long addr)
{
	return syscall(SYS_arch_prctl, what, addr);
}

TEST(base_of_fs)
{
	unsigned long base = 0, self;

	OK(arch(ARCH_GET_FS, (unsigned long)&base));
	__asm__ volatile("mov %%fs:0, %0" : "=r"(self));
	CHECK_EQ(base, self);
}

TEST(base_of_gs)
{
	static unsigned long word = 0x1234567890;
	unsigned long base = 77, got = 0;

	OK(arch(ARCH_GET_GS, (unsigned long)&base));
	CHECK_EQ(base, 0);
	OK(arch(ARCH_SET_GS, (unsigned long)&word));
	__asm__ volatile("mov %%gs:0, %0" : "=r"(got));
	CHECK_EQ(got, word);
	OK(arch(ARCH_GET_GS, (unsigned long)&base));
	CHECK_EQ(base, (unsigned long)&word);
}

TEST(gs_survives_calls_signals_and_is_inherited)
{
	static unsigned long word = 42;
	unsigned long got = 0;
	pid_t pid;

	OK(arch(ARCH_SET_GS, (unsigned long)&word));
	on_signal(SIGUSR1, count_signal, 0);
	OK(raise(SIGUSR1));
	sched_yield();
	__asm__ volatile("mov %%gs:0, %0" : "=r"(got));
	CHECK_EQ(got, 42);
	CHILD (pid) {
		__asm__ volatile("mov %%gs:0, %0" : "=r"(got));
		CHECK_EQ(got, 42);
	}
	wait_ok(pid);
}

static unsigned long gs_word(void)
{
	unsigned long got;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(got));
	return got;
}

TEST(gs_and_calls_that_are_made_often)
{
	static unsigned long words[2] = { 5, 6 };
	const pid_t parent = getppid();

	for (int i = 0; i < 100; i++)
		CHECK_EQ(syscall(SYS_getpgid, 0), getpgrp());
	for (int i = 0; i < 400; i++) {
		OK(arch(ARCH_SET_GS, (unsigned long)&words[i / 100 % 2]));
		CHECK_EQ(syscall(SYS_getpgid, 0), getpgrp());
		CHECK_EQ(getppid(), parent);
		CHECK_EQ(gs_word(), words[i / 100 % 2]);
	}
	OK(arch(ARCH_SET_GS, 0));
	for (int i = 0; i < 100; i++)
		CHECK_EQ(syscall(SYS_getpgid, 0), getpgrp());
	CHECK_EQ(words[0], 5);
	CHECK_EQ(words[1], 6);
}

/* Which has a base of its own unless its number is 0. */
static void *calls_with_gs(void *arg)
{
	static unsigned long words[4] = { 0, 101, 102, 103 };
	const long n = (long)arg;
	unsigned long base = 0;

	if (n)
		OK(arch(ARCH_SET_GS, (unsigned long)&words[n]));
	for (int i = 0; i < 2000; i++) {
		CHECK_EQ(syscall(SYS_getpgid, 0), getpgrp());
		CHECK(!n || gs_word() == words[n]);
	}
	OK(arch(ARCH_GET_GS, (unsigned long)&base));
	CHECK_EQ(base, n ? (unsigned long)&words[n] : 0);
	return NULL;
}

TEST(gs_of_threads)
{
	static unsigned long word = 7;
	pthread_t t[4];

	for (long i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, calls_with_gs, (void *)i), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	/* A thread begins with its maker's. */
	OK(arch(ARCH_SET_GS, (unsigned long)&word));
	CHECK_EQ(pthread_create(&t[0], NULL, (void *(*)(void *))(void (*)(void))gs_word, NULL), 0);
	CHECK_EQ(pthread_join(t[0], (void **)&t[1]), 0);
	CHECK_EQ(t[1], 7);
	CHECK_EQ(gs_word(), 7);
}

static volatile unsigned long gs_in_handler;

static void read_gs(int sig)
{
	(void)sig;
	gs_in_handler = gs_word();
}

TEST(gs_written_by_an_instruction)
{
	static unsigned long word = 42;
	unsigned long old, base = 0;
	pid_t pid;

	if (!(getauxval(AT_HWCAP2) & 2))
		SKIP("no wrgsbase");
	__asm__ volatile("rdgsbase %0" : "=r"(old));
	for (int i = 0; i < 100; i++)
		CHECK_EQ(syscall(SYS_getpgid, 0), getpgrp());
	__asm__ volatile("wrgsbase %0" : : "r"(&word));
	for (int i = 0; i < 100; i++)
		CHECK_EQ(syscall(SYS_getpgid, 0), getpgrp());
	OK(arch(ARCH_GET_GS, (unsigned long)&base));
	CHECK_EQ(base, (unsigned long)&word);
	on_signal(SIGUSR1, read_gs, 0);
	OK(raise(SIGUSR1));
	CHECK_EQ(gs_in_handler, 42);
	CHILD (pid)
		CHECK_EQ(gs_word(), 42);
	wait_ok(pid);
	CHECK_EQ(gs_word(), 42);
	__asm__ volatile("wrgsbase %0" : : "r"(old));
	for (int i = 0; i < 100; i++)
		CHECK_EQ(syscall(SYS_getpgid, 0), getpgrp());
	OK(arch(ARCH_GET_GS, (unsigned long)&base));
	CHECK_EQ(base, 0);
	CHECK_EQ(word, 42);
}

static void *thread_base(void *arg)
{
	unsigned long base = 0, self;

	OK(arch(ARCH_GET_FS, (unsigned long)&base));
	__asm__ volatile("mov %%fs:0, %0" : "=r"(self));
	CHECK_EQ(base, self);
	return (void *)base;
}

TEST(threads_have_their_own)
{
	unsigned long mine = 0;
	pthread_t t;
	void *theirs;

	OK(arch(ARCH_GET_FS, (unsigned long)&mine));
	CHECK_EQ(pthread_create(&t, NULL, thread_base, NULL), 0);
	CHECK_EQ(pthread_join(t, &theirs), 0);
	CHECK((unsigned long)theirs != mine);
}

TEST(errors)
{
	CHECK_ERRNO(arch(0x9999, 0), EINVAL);
	CHECK_ERRNO(arch(ARCH_SET_GS, 0xffff800000000000), EPERM);
	CHECK_ERRNO(arch(ARCH_SET_FS, 0x8000000000000000), EPERM);
	CHECK_ERRNO(arch(ARCH_GET_FS, (unsigned long)BAD_PTR), EFAULT);
}

TEST(cpuid_works)
{
	unsigned int a, b, c, d;

	CHECK(__get_cpuid(0, &a, &b, &c, &d));
	CHECK(a >= 1);
	CHECK(__get_cpuid(1, &a, &b, &c, &d));
	CHECK(d & bit_SSE2);
	/* ARCH_GET_CPUID: on, or the machine cannot fault. */
	CHECK_EQ(arch(0x1011, 0), 1);
}

TEST(cpuid_faulting)
{
	unsigned int a, b, c, d;
	pid_t pid;

	/* ARCH_SET_CPUID */
	if (arch(0x1012, 0) < 0) {
		CHECK_EQ(errno, ENODEV);
		CHECK_ERRNO(arch(0x1012, 1), ENODEV);
		CHECK_EQ(arch(0x1011, 0), 1);
		return;
	}
	CHECK_EQ(arch(0x1011, 0), 0);
	CHILD (pid)
		__cpuid(0, a, b, c, d);
	wait_signal(pid, SIGSEGV);
	OK(arch(0x1012, 1));
	__cpuid(0, a, b, c, d);
	CHECK(a >= 1);
}

TEST(timestamp_counter)
{
	unsigned long long a = __builtin_ia32_rdtsc(), b = __builtin_ia32_rdtsc();

	CHECK(b >= a);
}

TEST(vsyscall_page)
{
	long (*old_time)(long *) = (long (*)(long *))0xffffffffff600400UL;
	int (*old_gettimeofday)(struct timeval *, void *) =
		(int (*)(struct timeval *, void *))0xffffffffff600000UL;
	struct timeval tv = { 0, 0 };
	pid_t pid;
	int status;

	/* Emulated, or it faults: then this is a kernel without the page. */
	CHILD (pid)
		old_time(NULL);
	status = wait_status(pid);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)
		SKIP("no vsyscall page");
	CHECK(llabs(old_time(NULL) - time(NULL)) <= 1);
	CHECK_EQ(old_gettimeofday(&tv, NULL), 0);
	CHECK(llabs(tv.tv_sec - time(NULL)) <= 1);
	/* Nothing but its entries is executable. */
	CHILD (pid)
		((void (*)(void))0xffffffffff600001UL)();
	wait_signal(pid, SIGSEGV);
}

TEST(int80_is_a_call_or_a_fault)
{
	pid_t pid;
	int status;

	/* The 32-bit gate: getpid is 20 there. Refused with a signal or ENOSYS, or answered
	 * rightly. */
	CHILD (pid) {
		int ret;

		__asm__ volatile("int $0x80"
				 : "=a"(ret)
				 : "a"(20)
				 : "memory", "r8", "r9", "r10", "r11");
		_exit(ret == getpid() ? 1 : ret == -ENOSYS ? 2 : 3);
	}
	status = wait_status(pid);
	if (WIFSIGNALED(status))
		CHECK(WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGSYS);
	else
		CHECK(WEXITSTATUS(status) == 1 || WEXITSTATUS(status) == 2);
}

TEST(sysenter_does_no_harm)
{
	pid_t pid;
	int status;

	CHILD (pid) {
		__asm__ volatile("xor %%ebp, %%ebp\n\tmov $20, %%eax\n\tsysenter"
				 :
				 :
				 : "rax", "memory");
		_exit(0);
	}
	status = wait_status(pid);
	CHECK(WIFSIGNALED(status));
}

TEST(modify_ldt)
{
	char buf[64];
	long r = syscall(SYS_modify_ldt, 0, buf, sizeof(buf));

	if (r == -1) {
		CHECK(errno == ENOSYS || errno == EPERM);
		SKIP("no modify_ldt");
	}
	CHECK_EQ(r, 0);
}

TEST(io_ports_are_closed)
{
	pid_t pid;

	need_root();
	become_nobody();
	CHECK(syscall(SYS_iopl, 3) == -1 && (errno == EPERM || errno == ENOSYS));
	CHECK(syscall(SYS_ioperm, 0x80, 1, 1) == -1 && (errno == EPERM || errno == ENOSYS));
	CHILD (pid)
		__asm__ volatile("out %%al, $0x80" : : "a"(0));
	wait_signal(pid, SIGSEGV);
}

TEST(upper_vector_state)
{
	unsigned int a, b, c, d;
	static unsigned char in[32], out[32];
	long ret;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_AVX))
		SKIP("no AVX");
	memset(in, 0xa5, sizeof(in));
	on_signal(SIGUSR1, count_signal, 0);
	__asm__ volatile("vmovdqu (%4), %%ymm13\n\tsyscall\n\tvmovdqu %%ymm13, (%5)"
			 : "=a"(ret)
			 : "a"((long)SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1), "r"(in),
			   "r"(out)
			 : "rcx", "r11", "xmm13", "memory");
	CHECK_EQ(ret, 0);
	CHECK_EQ(signals_seen, 1);
	CHECK(!memcmp(in, out, 32));
}
