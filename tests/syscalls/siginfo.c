/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler is told: siginfo fields of every sender, the fault's registers. */
#include <pthread.h>
#include <setjmp.h>
#include <sys/time.h>
#include <ucontext.h>

#include "harness.h"

static siginfo_t seen;
static volatile long trapno, errcode, cr2;
static sigjmp_buf jump;

static void keep(int sig, siginfo_t *info, void *context)
{
	seen = *info;
	signals_seen = signals_seen + 1;
}

static void keep_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	seen = *info;
	trapno = uc->uc_mcontext.gregs[REG_TRAPNO];
	errcode = uc->uc_mcontext.gregs[REG_ERR];
	cr2 = uc->uc_mcontext.gregs[REG_CR2];
	siglongjmp(jump, 1);
}

TEST(from_kill)
{
	on_siginfo(SIGUSR1, keep, 0);
	OK(kill(getpid(), SIGUSR1));
	CHECK_EQ(seen.si_signo, SIGUSR1);
	CHECK_EQ(seen.si_code, SI_USER);
	CHECK_EQ(seen.si_errno, 0);
	CHECK_EQ(seen.si_pid, getpid());
	CHECK_EQ(seen.si_uid, getuid());
}

TEST(from_another_process)
{
	pid_t pid, self = getpid();

	on_siginfo(SIGUSR1, keep, 0);
	CHILD (pid)
		OK(kill(self, SIGUSR1));
	wait_ok(pid);
	CHECK_EQ(seen.si_pid, pid);
	CHECK_EQ(seen.si_code, SI_USER);
}

TEST(uid_of_the_sender)
{
	struct gate g = gate_new();
	pid_t pid;
	siginfo_t info;
	sigset_t set;

	need_root();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	CHILD (pid) {
		OK(setresuid(1234, 1234, 1234));
		gate_open(&g);
	}
	gate_pass(&g);
	CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
	CHECK_EQ(info.si_uid, 1234);
	wait_ok(pid);
}

TEST(from_tgkill)
{
	on_siginfo(SIGUSR1, keep, 0);
	OK(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1));
	CHECK_EQ(seen.si_code, SI_TKILL);
	CHECK_EQ(seen.si_pid, getpid());
}

TEST(from_sigqueue)
{
	union sigval value = { .sival_ptr = (void *)0x1234567890ab };

	on_siginfo(SIGRTMIN, keep, 0);
	OK(sigqueue(getpid(), SIGRTMIN, value));
	CHECK_EQ(seen.si_code, SI_QUEUE);
	CHECK(seen.si_value.sival_ptr == value.sival_ptr);
	CHECK_EQ(seen.si_pid, getpid());
}

TEST(unmapped_address)
{
	on_siginfo(SIGSEGV, keep_fault, 0);
	if (!sigsetjmp(jump, 1))
		*(volatile char *)0x1230 = 1;
	CHECK_EQ(seen.si_signo, SIGSEGV);
	CHECK_EQ(seen.si_code, SEGV_MAPERR);
	CHECK(seen.si_addr == (void *)0x1230);
	CHECK_EQ(trapno, 14);
	CHECK_EQ(cr2, 0x1230);
	/* user, write, not present */
	CHECK_EQ(errcode & 7, 6);
}

TEST(read_fault)
{
	on_siginfo(SIGSEGV, keep_fault, 0);
	if (!sigsetjmp(jump, 1))
		(void)*(volatile char *)0x4560;
	CHECK_EQ(errcode & 7, 4);
	CHECK(seen.si_addr == (void *)0x4560);
}

TEST(protection)
{
	char *p = OK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	on_siginfo(SIGSEGV, keep_fault, 0);
	(void)*(volatile char *)p;
	if (!sigsetjmp(jump, 1))
		p[77] = 1;
	CHECK_EQ(seen.si_code, SEGV_ACCERR);
	CHECK(seen.si_addr == p + 77);
	CHECK_EQ(errcode & 7, 7);
}

TEST(noncanonical_address)
{
	on_siginfo(SIGSEGV, keep_fault, 0);
	if (!sigsetjmp(jump, 1))
		(void)*(volatile char *)0x1234567812345678;
	CHECK_EQ(seen.si_code, SI_KERNEL);
	CHECK(seen.si_addr == NULL);
	CHECK_EQ(trapno, 13);
}

TEST(kernel_address)
{
	on_siginfo(SIGSEGV, keep_fault, 0);
	if (!sigsetjmp(jump, 1))
		(void)*(volatile char *)0xffffffff80000000;
	CHECK_EQ(seen.si_code, SEGV_MAPERR);
	CHECK(seen.si_addr == (void *)0xffffffff80000000);
}

TEST(execution_fault)
{
	on_siginfo(SIGSEGV, keep_fault, 0);
	if (!sigsetjmp(jump, 1))
		((void (*)(void))0x5670)();
	CHECK_EQ(seen.si_code, SEGV_MAPERR);
	CHECK(seen.si_addr == (void *)0x5670);
}

TEST(divide)
{
	volatile int zero = 0;

	on_siginfo(SIGFPE, keep_fault, 0);
	if (!sigsetjmp(jump, 1))
		__asm__ volatile("idivl %0" : : "m"(zero), "a"(1), "d"(0));
	CHECK_EQ(seen.si_signo, SIGFPE);
	CHECK_EQ(seen.si_code, FPE_INTDIV);
	CHECK(seen.si_addr != NULL);
	CHECK_EQ(trapno, 0);
}

TEST(breakpoint_and_single_step)
{
	on_siginfo(SIGTRAP, keep_fault, 0);
	if (!sigsetjmp(jump, 1))
		__asm__ volatile("int3");
	CHECK_EQ(seen.si_signo, SIGTRAP);
	CHECK_EQ(seen.si_code, SI_KERNEL);
	CHECK_EQ(trapno, 3);
	if (!sigsetjmp(jump, 1))
		__asm__ volatile("pushfq\n\torq $0x100, (%rsp)\n\tpopfq\n\tnop\n\tnop");
	CHECK_EQ(seen.si_code, TRAP_TRACE);
	CHECK_EQ(trapno, 1);
}

TEST(illegal_instruction)
{
	on_siginfo(SIGILL, keep_fault, 0);
	if (!sigsetjmp(jump, 1))
		__asm__ volatile("ud2");
	CHECK_EQ(seen.si_code, ILL_ILLOPN);
	CHECK(seen.si_addr != NULL);
	CHECK_EQ(trapno, 6);
}

TEST(privileged_instruction)
{
	on_siginfo(SIGSEGV, keep_fault, 0);
	if (!sigsetjmp(jump, 1))
		__asm__ volatile("hlt");
	CHECK_EQ(seen.si_code, SI_KERNEL);
	CHECK_EQ(trapno, 13);
	if (!sigsetjmp(jump, 1))
		__asm__ volatile("cli");
	CHECK_EQ(trapno, 13);
	if (!sigsetjmp(jump, 1))
		__asm__ volatile("out %%al, $0x80" : : "a"(0));
	CHECK_EQ(trapno, 13);
}

TEST(bus_error)
{
	int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
	char *p = OK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));

	on_siginfo(SIGBUS, keep_fault, 0);
	if (!sigsetjmp(jump, 1))
		(void)*(volatile char *)(p + 9);
	CHECK_EQ(seen.si_signo, SIGBUS);
	CHECK_EQ(seen.si_code, BUS_ADRERR);
	CHECK(seen.si_addr == p + 9);
}

TEST(interval_timer_is_from_the_kernel)
{
	struct itimerval it = { { 0, 0 }, { 0, 1000 } };

	on_siginfo(SIGALRM, keep, 0);
	OK(setitimer(ITIMER_REAL, &it, NULL));
	while (!signals_seen)
		pause();
	CHECK_EQ(seen.si_code, SI_KERNEL);
	CHECK_EQ(seen.si_pid, 0);
}

TEST(posix_timer)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
			       .sigev_signo = SIGRTMIN,
			       .sigev_value.sival_int = 4711 };
	struct itimerspec it = { { 0, 0 }, { 0, 1000000 } };
	timer_t timer;

	on_siginfo(SIGRTMIN, keep, 0);
	OK(timer_create(CLOCK_MONOTONIC, &ev, &timer));
	OK(timer_settime(timer, 0, &it, NULL));
	while (!signals_seen)
		sleep_ms(1);
	CHECK_EQ(seen.si_code, SI_TIMER);
	CHECK_EQ(seen.si_value.sival_int, 4711);
	CHECK_EQ(seen.si_overrun, 0);
}

TEST(pipe_signal_is_from_the_thread)
{
	int fds[2];

	OK(pipe(fds));
	OK(close(fds[0]));
	on_siginfo(SIGPIPE, keep, 0);
	CHECK_ERRNO(write(fds[1], "x", 1), EPIPE);
	CHECK_EQ(seen.si_code, SI_USER);
	CHECK_EQ(seen.si_pid, getpid());
}
