/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames that no kernel made, given to the host's rt_sigreturn(2) by the stub's own instruction:
 * with every signal blocked, other segments, single steps, bad FPU states, stacks from nowhere.
 * Whatever becomes of the thread, its process must be able to be killed, to be stopped, to execute
 * and to end.
 */
#include "guest.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define SETTLE_US 30000
#define END_NS	  60000000000ull

static uint64_t sigreturn_at;
static size_t kind_now;

static _Noreturn void spin(void)
{
	for (;;)
		__asm__ volatile("pause");
}

static void mask_all(ucontext_t *uc)
{
	memset(&uc->uc_sigmask, 0xff, 8);
}

static void other_segment(ucontext_t *uc)
{
	uint16_t cs = 0x23;

	memcpy(&uc->uc_mcontext.gregs[REG_CSGSFS], &cs, sizeof(cs));
}

static void single_steps(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_EFL] |= 0x100;
}

static void single_steps_deaf(ucontext_t *uc)
{
	single_steps(uc);
	mask_all(uc);
}

static void bad_state(ucontext_t *uc)
{
	if (uc->uc_mcontext.fpregs)
		memset((uint8_t *)uc->uc_mcontext.fpregs + 464, 0xff, 112);
	mask_all(uc);
}

static void state_elsewhere(ucontext_t *uc)
{
	uc->uc_mcontext.fpregs = (void *)(guest_stub_text() + GUEST_STUB_TEXT_LEN - 64);
}

static void huge_stack(ucontext_t *uc)
{
	uc->uc_stack = (stack_t){ .ss_sp = (void *)0x1000, .ss_size = SIZE_MAX / 2 };
}

static void huge_stack_deaf(ucontext_t *uc)
{
	huge_stack(uc);
	mask_all(uc);
}

static void no_address(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)0x8000000000000000;
}

static void into_the_stub(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(guest_stub_text() + 0x123);
	uc->uc_mcontext.gregs[REG_RSP] = 0;
}

static void all_flags(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_EFL] = -1;
}

/* Deaf, and in a futex of its own for ever, by a call that the filter lets pass. */
static void asleep(ucontext_t *uc)
{
	static uint32_t word;
	greg_t *r = uc->uc_mcontext.gregs;

	mask_all(uc);
	r[REG_RIP] = (greg_t)sigreturn_at;
	r[REG_RAX] = SYS_futex;
	r[REG_RDI] = (greg_t)(uintptr_t)&word;
	r[REG_RSI] = r[REG_RDX] = r[REG_R10] = 0;
}

static const struct {
	const char *name;
	void (*spoil)(ucontext_t *uc);
} kinds[] = {
	{ "asleep", asleep },
	{ "mask", mask_all },
	{ "segment", other_segment },
	{ "steps", single_steps },
	{ "steps-deaf", single_steps_deaf },
	{ "state", bad_state },
	{ "state-elsewhere", state_elsewhere },
	{ "stack", huge_stack },
	{ "stack-deaf", huge_stack_deaf },
	{ "no-address", no_address },
	{ "stub", into_the_stub },
	{ "flags", all_flags },
};

static const char *const ends[] = { "kill", "stop", "exec", "exit" };
#define ENDS (sizeof(ends) / sizeof(ends[0]))

static void on_signal(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)spin;
	kinds[kind_now].spoil(uc);
	__asm__ volatile("mov %0, %%rsp\n\tjmp *%1"
			 :
			 : "r"(uc), "r"(sigreturn_at), "a"(SYS_rt_sigreturn)
			 : "memory");
}

static volatile int *order; /* shared: what the sibling is to do */

static void *sibling(void *arg)
{
	static char name[] = "guest", sub[] = "nothing";
	char *const argv[] = { name, sub, NULL };

	while (*order == 0)
		(void)usleep(1000);
	if (strcmp(ends[*order - 1], "exec") == 0)
		(void)execv("/proc/self/exe", argv);
	_exit(64);
	return arg;
}

/* Whatever a frame leads to leads to the next one. */
static _Noreturn void victim(void)
{
	static const int signals[] = { SIGUSR1, SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	static char stack[65536];
	const stack_t other = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction act = { .sa_sigaction = on_signal,
				 .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };
	pthread_t t;

	(void)sigaltstack(&other, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaction(signals[i], &act, NULL);
	(void)pthread_create(&t, NULL, sibling, NULL);
	(void)raise(SIGUSR1);
	_exit(65);
}

static int await_end(pid_t pid, int *status)
{
	const uint64_t until = guest_now_ns() + END_NS;

	while (guest_now_ns() < until) {
		if (waitpid(pid, status, WUNTRACED | WNOHANG) == pid)
			return 0;
		(void)usleep(200);
	}
	return -1;
}

static int end_one(size_t end)
{
	const pid_t pid = fork();
	uint64_t began;
	int r = 0, status = 0;
	bool dead;

	*order = 0;
	if (pid == 0)
		victim();
	(void)usleep(SETTLE_US);
	dead = waitpid(pid, NULL, WNOHANG) == pid;
	began = guest_now_ns();
	if (dead)
		(void)dprintf(STDOUT_FILENO, "%s %s 0 ms: had ended\n", kinds[kind_now].name,
			      ends[end]);
	if (dead)
		return 0;
	if (strcmp(ends[end], "kill") == 0)
		(void)kill(pid, SIGKILL);
	else if (strcmp(ends[end], "stop") == 0)
		(void)kill(pid, SIGSTOP);
	else
		*order = (int)end + 1;
	r = await_end(pid, &status);
	(void)dprintf(STDOUT_FILENO, "%s %s %llu ms: %#x%s\n", kinds[kind_now].name, ends[end],
		      (unsigned long long)(guest_now_ns() - began) / 1000000, (unsigned int)status,
		      r < 0 ? " never" : "");
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	/* A thread that is deaf keeps no other from executing. */
	if (strcmp(ends[end], "exec") == 0 && status != 0)
		r = -1;
	return r;
}

/* Its own handlers, and its parent's memory. */
static int deaf_with_our_memory(void *arg)
{
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	(void)arg;
	(void)sigaction(SIGUSR1, &act, NULL);
	*order = (int)syscall(SYS_getpid);
	(void)syscall(SYS_kill, *order, SIGUSR1);
	_exit(66);
}

/* Who is deaf takes the memory along that it shares, and who sleeps with that ends as well. */
static int end_with_another(void)
{
	static char stack[65536];
	const pid_t pid = fork();
	int r, status = 0;

	*order = 0;
	if (pid == 0) {
		(void)clone(deaf_with_our_memory, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
		for (;;)
			(void)pause();
	}
	while (*order == 0)
		(void)usleep(1000);
	(void)usleep(SETTLE_US);
	(void)kill(*order, SIGKILL);
	r = await_end(pid, &status);
	(void)dprintf(STDOUT_FILENO, "%s together 0 ms: %#x%s\n", kinds[kind_now].name,
		      (unsigned int)status, r < 0 ? " never" : "");
	(void)kill(pid, SIGKILL);
	return r < 0 || status != SIGKILL ? -1 : 0;
}

int guest_deaf(int argc, char **argv)
{
	static const uint8_t code[] = { 0xb8, 15, 0, 0, 0, 0x0f, 0x05 };
	const uint8_t *text = (const uint8_t *)guest_stub_text();
	int wrong = 0;

	(void)argc;
	(void)argv;
	for (unsigned int i = 0; i + sizeof(code) < GUEST_STUB_TEXT_LEN && !sigreturn_at; i++) {
		if (memcmp(text + i, code, sizeof(code)) == 0)
			sigreturn_at = guest_stub_text() + i + 5;
	}
	order = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!sigreturn_at || order == MAP_FAILED)
		return 3;
	for (kind_now = 0; kind_now < sizeof(kinds) / sizeof(kinds[0]); kind_now++) {
		for (size_t end = 0; end < ENDS; end++) {
			/* It might wait for a slow volume: the stop waits, and so would we. */
			if (kinds[kind_now].spoil != asleep || strcmp(ends[end], "stop") != 0)
				wrong |= end_one(end) < 0;
		}
		if (kinds[kind_now].spoil == mask_all)
			wrong |= end_with_another() < 0;
	}
	return wrong;
}
