/* SPDX-License-Identifier: Apache-2.0 */
/* sigaltstack(2) and SA_ONSTACK. */
#include <pthread.h>
#include <setjmp.h>
#include <ucontext.h>

#include "harness.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

enum { SIZE = 65536 };
static char *stack;
static volatile uintptr_t handler_sp;
static volatile int flags_inside, change_errno;

static void look(int sig)
{
	stack_t ss;
	char here;

	handler_sp = (uintptr_t)&here;
	sigaltstack(NULL, &ss);
	flags_inside = ss.ss_flags;
	ss.ss_flags = SS_DISABLE;
	change_errno = sigaltstack(&ss, NULL) ? errno : 0;
}

static void install(int flags)
{
	stack_t ss = { .ss_size = SIZE, .ss_flags = flags };

	stack = OK(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	ss.ss_sp = stack;
	OK(sigaltstack(&ss, NULL));
}

static bool on_stack(uintptr_t sp)
{
	return sp >= (uintptr_t)stack && sp < (uintptr_t)stack + SIZE;
}

TEST(none_at_first)
{
	stack_t ss;

	memset(&ss, 0xff, sizeof(ss));
	OK(sigaltstack(NULL, &ss));
	CHECK_EQ(ss.ss_flags, SS_DISABLE);
	CHECK_EQ(ss.ss_size, 0);
}

TEST(set_and_read_back)
{
	stack_t ss;

	install(0);
	OK(sigaltstack(NULL, &ss));
	CHECK(ss.ss_sp == stack);
	CHECK_EQ(ss.ss_size, SIZE);
	CHECK_EQ(ss.ss_flags, 0);
	ss.ss_flags = SS_DISABLE;
	OK(sigaltstack(&ss, NULL));
	OK(sigaltstack(NULL, &ss));
	CHECK_EQ(ss.ss_flags, SS_DISABLE);
}

TEST(errors)
{
	char small[512];
	stack_t ss = { .ss_sp = small, .ss_size = sizeof(small) };

	CHECK_ERRNO(sigaltstack(&ss, NULL), ENOMEM);
	ss.ss_size = SIZE;
	ss.ss_flags = 77;
	CHECK_ERRNO(sigaltstack(&ss, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_sigaltstack, BAD_PTR, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_sigaltstack, NULL, BAD_PTR), EFAULT);
	ss.ss_flags = SS_ONSTACK;
	/* Accepted, and means nothing. */
	OK(sigaltstack(&ss, NULL));
	OK(sigaltstack(NULL, &ss));
	CHECK_EQ(ss.ss_flags & ~SS_ONSTACK, 0);
}

TEST(used_only_with_sa_onstack)
{
	install(0);
	on_signal(SIGUSR1, look, 0);
	OK(raise(SIGUSR1));
	CHECK(!on_stack(handler_sp));
	CHECK_EQ(flags_inside, 0);
	install(0);
	on_signal(SIGUSR1, look, SA_ONSTACK);
	OK(raise(SIGUSR1));
	CHECK(on_stack(handler_sp));
	CHECK_EQ(flags_inside, SS_ONSTACK);
	/* It cannot be changed while it is in use. */
	CHECK_EQ(change_errno, EPERM);
}

TEST(red_zone_and_alignment)
{
	install(0);
	on_signal(SIGUSR1, look, SA_ONSTACK);
	for (int i = 0; i < 16; i++) {
		OK(raise(SIGUSR1));
		CHECK(on_stack(handler_sp));
	}
}

static volatile uintptr_t inner_sp;

static void inner(int sig)
{
	char here;

	inner_sp = (uintptr_t)&here;
}

static void outer(int sig)
{
	look(sig);
	raise(SIGUSR2);
}

TEST(nested_handler_goes_on_below)
{
	install(0);
	on_signal(SIGUSR1, outer, SA_ONSTACK);
	on_signal(SIGUSR2, inner, SA_ONSTACK);
	OK(raise(SIGUSR1));
	CHECK(on_stack(handler_sp) && on_stack(inner_sp));
	CHECK(inner_sp < handler_sp);
}

static sigjmp_buf jump;

static void leave(int sig)
{
	look(sig);
	siglongjmp(jump, 1);
}

static int __attribute__((noinline)) recurse(int n)
{
	volatile char frame[4096];

	frame[0] = (char)n;
	return n < 0 ? 0 : recurse(n + 1) + frame[0];
}

TEST(overflow_of_the_stack_is_handled)
{
	install(0);
	on_signal(SIGSEGV, leave, SA_ONSTACK);
	if (!sigsetjmp(jump, 1))
		recurse(0);
	CHECK(on_stack(handler_sp));
}

TEST(overflow_without_a_stack_kills)
{
	pid_t pid;

	CHILD (pid) {
		on_signal(SIGSEGV, leave, 0);
		recurse(0);
	}
	wait_signal(pid, SIGSEGV);
}

TEST(inherited_by_fork_not_by_threads)
{
	pid_t pid;
	stack_t ss;

	install(0);
	CHILD (pid) {
		OK(sigaltstack(NULL, &ss));
		CHECK(ss.ss_sp == stack && ss.ss_flags == 0);
	}
	wait_ok(pid);
}

static void *thread_without(void *arg)
{
	stack_t ss;

	OK(sigaltstack(NULL, &ss));
	CHECK_EQ(ss.ss_flags, SS_DISABLE);
	return arg;
}

TEST(threads_start_without)
{
	pthread_t t;

	install(0);
	CHECK_EQ(pthread_create(&t, NULL, thread_without, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

TEST(autodisarm)
{
	stack_t ss;

	install((int)SS_AUTODISARM);
	on_signal(SIGUSR1, look, SA_ONSTACK);
	OK(raise(SIGUSR1));
	CHECK(on_stack(handler_sp));
	/* Inside it is off, and may be set anew; afterwards it is back. */
	CHECK_EQ(flags_inside, SS_DISABLE);
	CHECK_EQ(change_errno, 0);
	OK(sigaltstack(NULL, &ss));
	CHECK(ss.ss_sp == stack);
	CHECK_EQ(ss.ss_flags, (int)SS_AUTODISARM);
}

static void frame_says(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	if (uc->uc_stack.ss_sp == stack && uc->uc_stack.ss_size == SIZE)
		signals_seen = 1;
}

TEST(frame_carries_the_stack)
{
	install(0);
	on_siginfo(SIGUSR1, frame_says, SA_ONSTACK);
	OK(raise(SIGUSR1));
	CHECK_EQ(signals_seen, 1);
}

TEST(unmapped_stack_kills)
{
	pid_t pid;

	CHILD (pid) {
		install(0);
		OK(munmap(stack, SIZE));
		on_signal(SIGUSR1, look, SA_ONSTACK);
		raise(SIGUSR1);
	}
	wait_signal(pid, SIGSEGV);
}
