/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ptrace platform: simple, slow and obvious; the oracle of systrap and the fallback for hosts
 * without seccomp traps. Guest code runs under PTRACE_SYSEMU; stops are collected when SIGCHLD
 * arrives at a signalfd in the loop.
 */
#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sentry/arch/fpu.h"
#include "sentry/core/kloop.h"
#include "sentry/platform/ptrace/ptrace_internal.h"

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code of SIGSYS */
#endif

#define HASH_SIZE 256

static struct list_head threads[HASH_SIZE];
static struct platform_thread *seed;
static struct kloop_fd sigchld;
static cpu_set_t all_cpus;

static struct list_head *bucket(pid_t tid)
{
	return &threads[(unsigned int)tid % HASH_SIZE];
}

struct platform_thread *ptrace_thread_new(struct platform_space *space, pid_t tid)
{
	struct platform_thread *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->space = space;
	t->tid = tid;
	waitq_init(&t->wait);
	list_add_tail(&t->hash_node, bucket(tid));
	return t;
}

struct platform_thread *ptrace_thread_stopped(const struct platform_space *s)
{
	struct platform_thread *t;

	for (unsigned int i = 0; i < HASH_SIZE; i++) {
		list_for_each(t, &threads[i], hash_node)
		{
			if (t->space == s && !t->running && !t->dead)
				return t;
		}
	}
	return NULL;
}

void ptrace_thread_forget(struct platform_thread *t)
{
	list_del(&t->hash_node);
	free(t);
}

static void tell_end(const struct platform_space *s)
{
	struct platform_thread *t;

	for (unsigned int i = 0; i < HASH_SIZE; i++) {
		list_for_each(t, &threads[i], hash_node)
		{
			if (t->space == s && t->on_end)
				t->on_end(t->on_end_arg);
		}
	}
}

static void on_stop(pid_t tid, int status)
{
	struct platform_thread *t;

	list_for_each(t, bucket(tid), hash_node)
	{
		if (t->tid != tid)
			continue;
		if (!WIFSTOPPED(status)) {
			t->dead = true;
			if (t == t->space->leader)
				t->space->dead = true;
		}
		t->status = status;
		t->stopped = true;
		waitq_wake(&t->wait, WAIT_ALL);
		if (t->dead && t == t->space->leader)
			tell_end(t->space);
		return;
	}
}

static void on_sigchld(struct kloop_fd *source, uint32_t events)
{
	struct signalfd_siginfo info[16];
	int status;
	pid_t tid;

	(void)!read(source->host_fd, info, sizeof(info));
	while ((tid = waitpid(-1, &status, WNOHANG | __WALL)) > 0)
		on_stop(tid, status);
}

static int ptrace_init(void)
{
	sigset_t set;
	int r = fpu_init();

	if (r < 0)
		return r;
	for (size_t i = 0; i < HASH_SIZE; i++)
		list_init(&threads[i]);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	sigchld.host_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sigchld.host_fd < 0)
		return -errno;
	sigchld.fn = on_sigchld;
	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus) < 0)
		return -errno;
	r = ptrace_seed_start(&seed);
	return r < 0 ? r : kloop_add(&sigchld, EPOLLIN);
}

static struct platform_space *space_of(struct platform_thread *t)
{
	return t->space;
}

static void space_ref(struct platform_space *s)
{
	s->refs++;
}

static void space_unref(struct platform_space *s)
{
	if (--s->refs == 0)
		free(s);
}

static bool space_dead(const struct platform_space *s)
{
	return s->dead;
}

/* A process: the record of a space with one thread for a fork of `from`. */
static int new_process(struct platform_thread *from, struct platform_thread **ret)
{
	struct platform_space *space = calloc(1, sizeof(*space));
	struct platform_thread *t;
	pid_t pid;
	int r;

	if (!space)
		return -ENOMEM;
	r = ptrace_inject_clone(from, SIGCHLD, &pid);
	if (r < 0) {
		free(space);
		return r;
	}
	t = ptrace_thread_new(space, pid);
	if (!t) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, __WALL);
		free(space);
		return -ENOMEM;
	}
	space->refs = 1;
	space->pid = pid;
	space->threads = 1;
	space->leader = t;
	*ret = t;
	return 0;
}

static int space_new(struct platform_nursery *from, struct platform_thread **ret)
{
	(void)from;
	return new_process(seed, ret);
}

/* The registers of a child are those of its parent after the event. */
static void inherit_regs(const struct platform_thread *parent, struct platform_thread *child)
{
	child->regs = parent->regs;
	child->regs_valid = true;
	child->regs_dirty = true;
}

static int thread_fork(struct platform_thread *t, struct platform_thread **ret)
{
	int r = ptrace_load_regs(t);

	if (r == 0)
		r = new_process(t, ret);
	if (r == 0)
		inherit_regs(t, *ret);
	return r;
}

static int thread_clone(struct platform_thread *t, struct platform_thread **ret)
{
	const uint64_t flags =
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	struct platform_thread *child;
	pid_t tid;
	int r = ptrace_load_regs(t);

	if (r == 0)
		r = ptrace_inject_clone(t, flags, &tid);
	if (r < 0)
		return r;
	child = ptrace_thread_new(t->space, tid);
	if (!child) {
		t->space->dead = true;
		(void)kill(t->space->pid, SIGKILL);
		return -ENOMEM;
	}
	t->space->threads++;
	space_ref(t->space);
	inherit_regs(t, child);
	*ret = child;
	return 0;
}

/* The last thread has left: the process ends. */
static void end_process(struct platform_space *s)
{
	s->dead = true;
	(void)kill(s->pid, SIGKILL);
	if (!s->leader->dead) {
		while (waitpid(s->pid, NULL, __WALL) < 0 && errno == EINTR)
			;
	}
	ptrace_thread_forget(s->leader);
	s->leader = NULL;
	space_unref(s);
}

static void thread_free(struct platform_thread *t)
{
	struct platform_space *s = t->space;

	t->on_end = NULL; /* a leader's record stays */
	s->threads--;
	if (t != s->leader) {
		const uint64_t args[6] = { 0 };

		/* exit(2) never stops at the breakpoint: the injection sees the end. */
		if (!t->dead)
			(void)ptrace_inject(t, SYS_exit, args);
		ptrace_thread_forget(t);
		if (s->threads == 0)
			end_process(s);
		space_unref(s);
		return;
	}
	/* The leader's host thread stays, stopped, while others live: its pid names the memory. */
	s->leader_freed = true;
	if (s->threads == 0)
		end_process(s);
}

/* The exception behind a signal (Intel SDM vol. 3, 6.15), where the frame did not tell it. */
static uint64_t trap_of(const siginfo_t *info)
{
	switch (info->si_signo) {
	case SIGSEGV:
		return info->si_code == SI_KERNEL ? 13 : 14;
	case SIGILL:
		return 6;
	case SIGTRAP:
		return info->si_code == TRAP_TRACE ? 1 : 3;
	case SIGBUS:
		return info->si_code == BUS_ADRALN ? 17 : 14;
	default:
		return 0;
	}
}

static void fault_event(struct platform_thread *t, struct platform_event *ret)
{
	ret->kind = PLATFORM_FAULT;
	if (ptrace(PTRACE_GETSIGINFO, t->tid, 0, &ret->info) < 0)
		ret->info.si_signo = WSTOPSIG(t->status);
	if (!ptrace_read_trap(t, ret->info.si_signo, &ret->trap_no, &ret->error_code))
		ret->trap_no = trap_of(&ret->info);
}

static void syscall_event(struct platform_thread *t, struct platform_event *ret)
{
	struct __ptrace_syscall_info info;
	const struct user_regs_struct *r = &t->regs.r;

	if (ptrace_load_regs(t) < 0) {
		ret->kind = PLATFORM_DEAD;
		return;
	}
	ret->kind = PLATFORM_SYSCALL;
	ret->nr = r->orig_rax;
	ret->args = (struct syscall_args){ .v = { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 } };
	/* int 0x80 and sysenter: a call that does not exist. */
	if (ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof(info), &info) > 0 &&
	    info.arch != 0xc000003e /* AUDIT_ARCH_X86_64 */)
		ret->nr = UINT64_MAX;
}

/* A call of the vsyscall page, which the filter has trapped; the host has returned from it. */
static bool vsyscall_event(struct platform_thread *t, struct platform_event *ret)
{
	siginfo_t info;

	if (ptrace(PTRACE_GETSIGINFO, t->tid, 0, &info) < 0 || info.si_code != SYS_SECCOMP)
		return false;
	syscall_event(t, ret);
	if (ret->kind == PLATFORM_SYSCALL)
		ret->nr = t->regs.r.orig_rax = (uint64_t)(unsigned int)info.si_syscall;
	return true;
}

static bool is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGTRAP;
}

/* What a stop means; false: nothing, the guest goes on. */
static bool interpret(struct platform_thread *t, struct platform_event *ret)
{
	const int status = t->status, sig = WSTOPSIG(status);

	t->regs_valid = false;
	t->regs_dirty = false;
	if (t->dead || !WIFSTOPPED(status)) {
		ret->kind = PLATFORM_DEAD;
	} else if (sig == (SIGTRAP | 0x80)) {
		syscall_event(t, ret);
	} else if (status >> 16 == PTRACE_EVENT_STOP) {
		if (!t->interrupted)
			return false;
		t->interrupted = false;
		ret->kind = PLATFORM_INTERRUPT;
	} else if (is_fault(sig) && status >> 16 == 0) {
		fault_event(t, ret);
	} else {
		return sig == SIGSYS && status >> 16 == 0 && vsyscall_event(t, ret);
	}
	return true;
}

static bool resume(struct platform_thread *t)
{
	if (t->dead)
		return false;
	if (t->regs_dirty) {
		t->regs.r.orig_rax = (uint64_t)-1;
		if (ptrace(PTRACE_SETREGS, t->tid, 0, &t->regs.r) < 0)
			return false;
		t->regs_dirty = false;
	}
	t->regs_valid = false;
	t->stopped = false;
	t->running = true;
	return ptrace(PTRACE_SYSEMU, t->tid, 0, 0) == 0;
}

static void thread_run(struct platform_thread *t, struct platform_event *ret)
{
	*ret = (struct platform_event){ .kind = PLATFORM_DEAD };
	if (t->interrupted) {
		t->interrupted = false;
		ret->kind = PLATFORM_INTERRUPT;
		return;
	}
	do {
		if (!resume(t)) {
			t->running = false;
			return;
		}
		WAIT_EVENT_ALWAYS(&t->wait, t->stopped);
		t->running = false;
	} while (!interpret(t, ret));
}

static void thread_interrupt(struct platform_thread *t)
{
	t->interrupted = true;
	if (t->running && !t->dead)
		(void)ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
}

static void thread_on_end(struct platform_thread *t, void (*fn)(void *arg), void *arg)
{
	t->on_end = fn;
	t->on_end_arg = arg;
}

static void thread_set_result(struct platform_thread *t, uint64_t value)
{
	if (ptrace_load_regs(t) < 0)
		return;
	t->regs.r.rax = value;
	t->regs_dirty = true;
}

static int thread_get_regs(struct platform_thread *t, struct arch_regs *ret)
{
	const int r = ptrace_load_regs(t);

	if (r == 0)
		*ret = t->regs;
	return r;
}

static int thread_set_regs(struct platform_thread *t, const struct arch_regs *regs)
{
	const int r = ptrace_load_regs(t);
	const struct user_regs_struct old = t->regs.r;

	if (r < 0)
		return r;
	t->regs = *regs;
	/* The selectors are the host's business; a guest names none. */
	t->regs.r.cs = old.cs;
	t->regs.r.ss = old.ss;
	t->regs.r.ds = old.ds;
	t->regs.r.es = old.es;
	t->regs.r.fs = old.fs;
	t->regs.r.gs = old.gs;
	t->regs_dirty = true;
	return 0;
}

static int thread_get_fpu(struct platform_thread *t, void *ret, size_t len)
{
	struct iovec iov = { ret, len };

	memset(ret, 0, len);
	return ptrace(PTRACE_GETREGSET, t->tid, NT_X86_XSTATE, &iov) < 0 ? -ESRCH : 0;
}

static int thread_set_fpu(struct platform_thread *t, const void *image, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)image, len };

	return ptrace(PTRACE_SETREGSET, t->tid, NT_X86_XSTATE, &iov) < 0 ? -EINVAL : 0;
}

/* clock_getcpuclockid(3): the clock of a whole process. */
static uint64_t thread_cpu_ns(struct platform_thread *t)
{
	const clockid_t clock = (clockid_t)((~(unsigned int)t->space->pid) << 3 | 2);
	struct timespec ts;

	if (clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void thread_affinity(struct platform_thread *t, const uint64_t mask[PLATFORM_CPU_WORDS])
{
	unsigned int nth = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all_cpus))
			continue;
		if (mask[nth / 64] >> nth % 64 & 1)
			CPU_SET(cpu, &set);
		nth++;
	}
	(void)sched_setaffinity(t->tid, sizeof(set), &set);
}

const struct platform_ops platform_ptrace = {
	.name = "ptrace",
	.init = ptrace_init,
	.space_new = space_new,
	.thread_fork = thread_fork,
	.thread_clone = thread_clone,
	.thread_free = thread_free,
	.thread_run = thread_run,
	.thread_interrupt = thread_interrupt,
	.thread_end = thread_interrupt,
	.thread_on_end = thread_on_end,
	.thread_set_result = thread_set_result,
	.thread_get_regs = thread_get_regs,
	.thread_set_regs = thread_set_regs,
	.thread_get_fpu = thread_get_fpu,
	.thread_set_fpu = thread_set_fpu,
	.map = ptrace_map,
	.unmap = ptrace_unmap,
	.protect = ptrace_protect,
	.advise = ptrace_advise,
	.move = ptrace_move,
	.read = ptrace_read,
	.write = ptrace_write,
	.thread_space = space_of,
	.space_ref = space_ref,
	.space_unref = space_unref,
	.space_dead = space_dead,
	.thread_cpu_ns = thread_cpu_ns,
	.thread_affinity = thread_affinity,
	.space_resident = ptrace_resident,
	.space_usage = ptrace_usage,
	.thread_usage = ptrace_thread_usage,
};
