/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/run.c - see run.h. */
#include "sentry/task/run.h"

#include <assert.h>
#include <string.h>

#include "sentry/core/klog.h"
#include "sentry/task/account.h"
#include "sentry/task/answers.h"
#include "sentry/task/freeze.h"
#include "sentry/task/internal.h"
#include "sentry/task/sigqueue.h"

static task_syscall_fn *syscall_entry;
static uint64_t faults;

uint64_t task_fault_count(void)
{
	return faults;
}

void task_set_syscall_entry(task_syscall_fn *entry)
{
	syscall_entry = entry;
}

/* Who executes leaves the old program anyway: its threads do not take it along. */
static void stub_died(struct task *t)
{
	klog(platform, "the stub of %d is gone", task_tid(t, task_pid_ns(t)));
	if (!t->exec_kill)
		thread_group_exit(t->tg, SIGKILL);
}

/*
 * A task that sleeps would not be told otherwise. Who executes will have another stub, and what it
 * ends the other threads with may be what this one has died of; if it stays it finds out.
 */
static void on_stub_end(void *task)
{
	struct task *t = task;

	if (!t->tg->group_exit && !t->tg->execs)
		stub_died(t);
}

/* It goes on in another thread than it ran in before. */
static void thread_changed(struct task *t)
{
	t->last_thread = t->thread;
	platform->thread_on_end(t->thread, on_stub_end, t);
	task_answers_update(t);
}

struct arch_regs *task_regs(struct task *t)
{
	if (t->regs_valid)
		return &t->regs;
	if (platform->thread_get_regs(t->thread, &t->regs) < 0) {
		stub_died(t);
		return NULL;
	}
	t->regs_valid = true;
	if (t->in_syscall)
		t->regs.r.rax = t->call_done ? (uint64_t)t->call_result : (uint64_t)-ENOSYS;
	return &t->regs;
}

struct arch_regs *task_regs_change(struct task *t)
{
	struct arch_regs *regs = task_regs(t);

	if (regs)
		t->regs_dirty = true;
	return regs;
}

void task_regs_replaced(struct task *t)
{
	t->no_restart = true;
	t->regs_replaced = true;
	t->regs_valid = true;
	t->regs_dirty = true;
}

/* The call's result and changed registers go to the platform. */
static int registers_flush(struct task *t)
{
	int r = 0;

	if (t->regs_dirty)
		r = platform->thread_set_regs(t->thread, &t->regs);
	else if (t->in_syscall)
		platform->thread_set_result(t->thread, (uint64_t)t->call_result);
	t->regs_valid = false;
	t->regs_dirty = false;
	return r;
}

static void serve_syscall(struct task *t, const struct platform_event *ev)
{
	t->in_syscall = true;
	t->call_done = false;
	t->syscall_nr = (uint32_t)ev->nr; /* Linux looks at eax only */
	t->call_result = syscall_entry(t, t->syscall_nr, &ev->args);
	t->call_done = true;
	if (t->regs_valid && !t->regs_replaced) {
		t->regs.r.rax = (uint64_t)t->call_result;
		t->regs_dirty = true;
	}
}

static void serve_fault(struct task *t, struct platform_event *ev)
{
	siginfo_t info = ev->info;
	const int code = info.si_code;

	faults++;
	klog(task, "%d faults: signal %d code %d at %#llx", task_tid(t, task_pid_ns(t)),
	     info.si_signo, code, (unsigned long long)(uintptr_t)info.si_addr);
	if (info.si_signo < 1 || info.si_signo > KNSIG)
		info.si_signo = SIGSEGV;
	t->trap_no = ev->trap_no;
	t->trap_error = ev->error_code;
	t->trap_addr = (uint64_t)(uintptr_t)info.si_addr;
	if (info.si_signo == SIGSEGV && (code == SEGV_MAPERR || code == SEGV_ACCERR)) {
		const struct mm_limits limits = task_mm_limits(t);

		if (mm_grow_down(t->mm, t->thread, &limits, t->trap_addr))
			return;
		info.si_code = mm_fault_code(t->mm, t->trap_addr);
	}
	signal_force(t, info.si_signo, &info);
}

static void serve(struct task *t, struct platform_event *ev)
{
	t->in_syscall = false;
	t->no_restart = false;
	t->regs_replaced = false;
	switch (ev->kind) {
	case PLATFORM_SYSCALL:
		serve_syscall(t, ev);
		break;
	case PLATFORM_FAULT:
		serve_fault(t, ev);
		break;
	case PLATFORM_INTERRUPT:
		break;
	case PLATFORM_DEAD:
		stub_died(t);
		break;
	}
}

static void left_guest(struct task *t)
{
	t->in_guest = false;
	account_left_guest(t);
	if (t->tg->frozen || t->container->frozen)
		freeze_left_guest(t);
}

static bool must_deliver(const struct task *t)
{
	if (fiber_interrupted(t->fiber) || t->sig.restore_blocked)
		return true;
	return t->in_syscall && !t->no_restart && t->call_result <= -ERESTARTSYS &&
	       t->call_result >= -ERESTART_RESTARTBLOCK;
}

/* Everything that comes before guest code; false: the task ends. */
static bool may_run(struct task *t)
{
	for (;;) {
		if (!t->exiting && must_deliver(t))
			signal_deliver(t);
		if (t->exiting)
			return false;
		if (!t->tg->frozen && !t->container->frozen)
			break;
		freeze_gate(t);
	}
	account_enter_guest(t);
	/* From here on it counts as running: an interrupt ends thread_run() at once. */
	t->in_guest = true;
	if (registers_flush(t) == 0) {
		if (t->last_thread != t->thread)
			thread_changed(t);
		return true;
	}
	left_guest(t);
	stub_died(t);
	signal_deliver(t);
	return false;
}

void task_main(void *arg)
{
	struct task *t = arg;

	while (may_run(t)) {
		struct platform_event ev;

		platform->thread_run(t->thread, &ev);
		left_guest(t);
		serve(t, &ev);
	}
	task_exit(t);
}

int task_start_fiber(struct task *t)
{
	int r = fiber_spawn("task", task_main, t, &t->fiber);

	if (r < 0)
		return r;
	fiber_set_owner(t->fiber, t);
	signal_recalc(t);
	return 0;
}

bool task_began(const struct task *t)
{
	return t->fiber || t->exiting || t->state >= TASK_ZOMBIE;
}

int task_start(struct task *t)
{
	int r = task_began(t) ? 0 : task_start_fiber(t);

	if (r < 0) {
		t->exit_code = SIGKILL;
		t->exiting = true;
		task_exit(t);
	}
	return r;
}
