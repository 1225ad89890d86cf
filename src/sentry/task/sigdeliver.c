/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/sigdeliver.c - what happens before guest code runs again: stops, handlers, restarts
 * of system calls, the end.
 */
#include <string.h>

#include "sentry/task/internal.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/run.h"
#include "sentry/task/sigframe_user.h"
#include "sentry/task/sigqueue.h"

#define NR_RESTART_SYSCALL 219
#define SYSCALL_INSN_LEN   2

static bool is_restart(int64_t result)
{
	return result == -ERESTARTSYS || result == -ERESTARTNOINTR || result == -ERESTARTNOHAND ||
	       result == -ERESTART_RESTARTBLOCK;
}

/* The result that asks for a restart, or 0: the task came from a call and may run it again. */
static int64_t restart_wanted(struct task *t)
{
	const int64_t result = t->call_result;

	if (!t->in_syscall || t->no_restart || !is_restart(result))
		return 0;
	return result;
}

static void run_again(struct task *t, uint64_t nr)
{
	struct arch_regs *regs = task_regs_change(t);

	if (!regs)
		return;
	regs->r.rax = nr;
	regs->r.rip -= SYSCALL_INSN_LEN;
}

/* A handler will run: does the call begin again after it? */
static void restart_with_handler(struct task *t, const struct kernel_sigaction *action)
{
	const int64_t why = restart_wanted(t);

	if (!why)
		return;
	if (why == -ERESTARTNOINTR || (why == -ERESTARTSYS && (action->flags & SA_RESTART))) {
		run_again(t, t->syscall_nr);
	} else {
		struct arch_regs *regs = task_regs_change(t);

		if (regs)
			regs->r.rax = (uint64_t)-EINTR;
	}
	t->no_restart = true;
}

static void restart_without_handler(struct task *t)
{
	const int64_t why = restart_wanted(t);

	if (!why)
		return;
	run_again(t, why == -ERESTART_RESTARTBLOCK ? NR_RESTART_SYSCALL : t->syscall_nr);
	t->no_restart = true;
}

static void handle(struct task *t, int sig, const siginfo_t *info)
{
	struct kernel_sigaction *slot = &t->tg->sighand->action[sig - 1];
	const struct kernel_sigaction action = *slot;
	kernel_sigset_t blocked = t->sig.blocked | action.mask;
	kernel_sigset_t old;
	int r;

	restart_with_handler(t, &action);
	old = t->sig.restore_blocked ? t->sig.saved_blocked : t->sig.blocked;
	if (action.flags & SA_RESETHAND)
		slot->handler = (uint64_t)(uintptr_t)SIG_DFL;
	r = sigframe_push(t, sig, info, &action, old);
	if (r < 0) {
		/* No room for the frame: a second fault of SIGSEGV kills. */
		if (sig == SIGSEGV)
			slot->handler = (uint64_t)(uintptr_t)SIG_DFL;
		signal_force(t, SIGSEGV, NULL);
		return;
	}
	t->sig.restore_blocked = false;
	if (!(action.flags & SA_NODEFER))
		blocked |= SIG_BIT(sig);
	signal_set_blocked(t, blocked);
	ptrace_handler_entered(t);
}

/* The default action. */
static void default_action(struct task *t, int sig)
{
	if (signal_is_ignored(t, sig))
		return;
	if (t->tg->keep_init && !(SIG_BIT(sig) & SIG_UNBLOCKABLE))
		return;
	if (SIG_BIT(sig) & SIG_STOP_MASK) {
		if (sig == SIGSTOP || !process_group_orphaned(t->tg->pgrp))
			signal_stop_start(t, sig);
		return;
	}
	thread_group_exit(t->tg, sig);
}

static void leave(struct task *t)
{
	t->exit_code = t->tg->group_exit ? t->tg->exit_status : SIGKILL;
	t->exiting = true;
}

/* True: there was a stop, or a signal was taken. */
static bool deliver_one(struct task *t)
{
	siginfo_t info;
	int sig;

	if (t->stop_pending) {
		signal_stop_wait(t);
		return true;
	}
	if (ptrace_wants_stop(t)) {
		ptrace_stop_now(t);
		return true;
	}
	if (!(signal_pending_set(t) & ~t->sig.blocked))
		return false;
	sig = signal_dequeue(t, ~t->sig.blocked, &info);
	if (sig && t->ptrace && sig != SIGKILL)
		sig = ptrace_signal_stop(t, sig, &info);
	if (!sig || signal_fatal_pending(t))
		return true;
	switch (t->tg->sighand->action[sig - 1].handler) {
	case (uint64_t)(uintptr_t)SIG_IGN:
		break;
	case (uint64_t)(uintptr_t)SIG_DFL:
		default_action(t, sig);
		break;
	default:
		handle(t, sig, &info);
	}
	return true;
}

void signal_deliver(struct task *t)
{
	do {
		do {
			if (signal_fatal_pending(t)) {
				leave(t);
				return;
			}
			fiber_clear_interrupt(t->fiber);
		} while (deliver_one(t));
		restart_without_handler(t);
		signal_restore_mask(t); /* what was blocked meanwhile may be due now */
	} while (signal_pending(t));
}
