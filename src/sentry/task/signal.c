/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/signal.c - sending signals: what is ignored, who gets it, what begins the end.
 *
 * A fatal signal ends the group when it is sent, not when it is taken; one that a tracer may want
 * to see, or that stops, is taken by signal_deliver() (sigdeliver.c).
 */
#include "sentry/task/signal.h"

#include <linux/capability.h>
#include <string.h>

#include "sentry/task/ptrace.h"
#include "sentry/task/sigqueue.h"
#include "sentry/task/task.h"
#include "sentry/task/user_usage.h"

/* UAPI_SA_FLAGS of Linux 5.11 and newer, SA_EXPOSE_TAGBITS and SA_RESTORER among them. */
#define KERNEL_SA_KNOWN                                                                    \
	(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | \
	 SA_RESETHAND | 0x800ull | 0x04000000ull)

#define SIG_IGNORE_MASK (SIG_BIT(SIGCHLD) | SIG_BIT(SIGCONT) | SIG_BIT(SIGURG) | SIG_BIT(SIGWINCH))

void task_kick(struct task *t)
{
	if (!t->fiber)
		return;
	fiber_interrupt(t->fiber);
	if (!t->in_guest)
		return;
	if (signal_fatal_pending(t))
		platform->thread_end(t->thread);
	else
		platform->thread_interrupt(t->thread);
}

static const struct kernel_sigaction *action_of(const struct task *t, int sig)
{
	return &t->tg->sighand->action[sig - 1];
}

static bool default_is_fatal(int sig)
{
	return !(SIG_BIT(sig) & (SIG_IGNORE_MASK | SIG_STOP_MASK));
}

bool signal_is_ignored(const struct task *t, int sig)
{
	const uint64_t handler = action_of(t, sig)->handler;

	if (handler == (uint64_t)(uintptr_t)SIG_IGN)
		return true;
	return handler == (uint64_t)(uintptr_t)SIG_DFL && (SIG_BIT(sig) & SIG_IGNORE_MASK);
}

/* May the signal vanish now? One that is blocked may get a handler before it is taken. */
static bool vanishes(const struct task *t, int sig, bool from_outside)
{
	const bool protected_init = t->tg->keep_init &&
				    action_of(t, sig)->handler == (uint64_t)(uintptr_t)SIG_DFL &&
				    !(from_outside && (SIG_BIT(sig) & SIG_UNBLOCKABLE));

	if (t->ptrace && sig != SIGKILL)
		return false;
	if ((t->sig.blocked | t->sig.real_blocked) & SIG_BIT(sig))
		return false;
	return protected_init || signal_is_ignored(t, sig);
}

static void flush_everywhere(struct thread_group *tg, kernel_sigset_t mask)
{
	struct task *t;

	sig_queue_flush(&tg->shared_pending, mask);
	list_for_each(t, &tg->tasks, tg_node) sig_queue_flush(&t->sig.pending, mask);
}

/* SIGCONT and the stopping signals cancel each other, whatever becomes of them. */
static void prepare(struct thread_group *tg, int sig)
{
	if (SIG_BIT(sig) & SIG_STOP_MASK) {
		flush_everywhere(tg, SIG_BIT(SIGCONT));
	} else if (sig == SIGCONT) {
		flush_everywhere(tg, SIG_STOP_MASK);
		signal_continue(tg);
	}
}

static bool wants(const struct task *t, int sig)
{
	if (t->exiting || t->state >= TASK_ZOMBIE)
		return false;
	if (sig == SIGKILL)
		return true;
	return !(t->sig.blocked & SIG_BIT(sig)) && t->state != TASK_STOPPED &&
	       t->state != TASK_TRACED;
}

static struct task *choose(struct task *t, enum signal_target to, int sig)
{
	struct task *other;

	if (wants(t, sig))
		return t;
	if (to == SIGNAL_TO_TASK)
		return NULL;
	list_for_each(other, &t->tg->tasks, tg_node) if (wants(other, sig)) return other;
	return NULL;
}

/* A signal has been queued: wake who will take it, or begin the end. */
static void announce(struct task *t, enum signal_target to, int sig)
{
	struct task *target = choose(t, to, sig);

	waitq_wake(&t->tg->sighand->watch->wq, POLLIN);
	if (!target)
		return;
	if (action_of(target, sig)->handler == (uint64_t)(uintptr_t)SIG_DFL &&
	    default_is_fatal(sig) && !(target->sig.real_blocked & SIG_BIT(sig)) &&
	    (sig == SIGKILL || !target->ptrace) && !(target->tg->keep_init && sig != SIGKILL)) {
		thread_group_exit(target->tg, sig);
		return;
	}
	task_kick(target);
}

static struct sig_queue *queue_of(struct task *t, enum signal_target to)
{
	return to == SIGNAL_TO_TASK ? &t->sig.pending : &t->tg->shared_pending;
}

int signal_send(struct task *t, enum signal_target to, int sig, const siginfo_t *info,
		bool from_outside)
{
	int r;

	if (t->tg->zombie || t->state == TASK_DEAD)
		return 0;
	prepare(t->tg, sig);
	if (vanishes(t, sig, from_outside))
		return 0;
	r = sig_queue_put(queue_of(t, to), sig, info, t->usage,
			  t->tg->limits[RLIMIT_SIGPENDING].rlim_cur);
	if (r == 0)
		announce(t, to, sig);
	return r;
}

/* 1: queued; 0: it is ignored. */
int signal_send_timer(struct task *t, enum signal_target to, struct queued_signal *s)
{
	if (t->tg->zombie || t->state == TASK_DEAD)
		return 0;
	prepare(t->tg, s->sig);
	if (vanishes(t, s->sig, true))
		return 0;
	sig_queue_put_timer(queue_of(t, to), s);
	announce(t, to, s->sig);
	return 1;
}

static bool info_is_from_outside(const siginfo_t *info)
{
	return !info || info->si_code > 0 || (info->si_code == SI_USER && info->si_pid == 0);
}

int signal_send_task(struct task *t, int sig, const siginfo_t *info)
{
	return signal_send(t, SIGNAL_TO_TASK, sig, info, info_is_from_outside(info));
}

int signal_send_group(struct thread_group *tg, int sig, const siginfo_t *info)
{
	return signal_send(tg->leader, SIGNAL_TO_GROUP, sig, info, info_is_from_outside(info));
}

int signal_send_pgrp(struct process_group *pgrp, int sig, const siginfo_t *info)
{
	struct thread_group *tg, *next;
	int r = -ESRCH;

	list_for_each_safe(tg, next, &pgrp->members, pgrp_node)
	{
		const int sent = signal_send_group(tg, sig, info);

		if (r != 0)
			r = sent;
	}
	return r;
}

void signal_send_self(struct task *t, int sig)
{
	const siginfo_t info = signal_info_user(t, t->tg, sig, SI_USER);

	(void)signal_send(t, SIGNAL_TO_TASK, sig, &info, false);
}

void signal_force(struct task *t, int sig, const siginfo_t *info)
{
	struct kernel_sigaction *action = &t->tg->sighand->action[sig - 1];
	const bool blocked = t->sig.blocked & SIG_BIT(sig);

	if (blocked || action->handler == (uint64_t)(uintptr_t)SIG_IGN) {
		action->handler = (uint64_t)(uintptr_t)SIG_DFL;
		signal_set_blocked(t, t->sig.blocked & ~SIG_BIT(sig));
	}
	if (action->handler == (uint64_t)(uintptr_t)SIG_DFL && !t->ptrace)
		t->tg->keep_init = false;
	(void)signal_send(t, SIGNAL_TO_TASK, sig, info, true);
}

bool signal_may_send(const struct task *from, const struct thread_group *to, int sig)
{
	const struct cred *a = from->cred, *b = to->leader->cred;

	if (from->tg == to || cred_ns_capable(a, b->user_ns, CAP_KILL))
		return true;
	if (a->euid == b->suid || a->euid == b->uid || a->uid == b->suid || a->uid == b->uid)
		return true;
	return sig == SIGCONT && from->tg->session == to->session;
}

siginfo_t signal_info_user(const struct task *from, const struct thread_group *to, int sig,
			   int code)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code;
	info.si_pid = pid_nr(from->tg->pid, pid_ns_of(to->pid));
	info.si_uid = task_uid_out(to->leader, from->cred->uid);
	return info;
}

kernel_sigset_t signal_pending_set(const struct task *t)
{
	return t->sig.pending.set | t->tg->shared_pending.set;
}

bool signal_pending(const struct task *t)
{
	return (signal_pending_set(t) & ~t->sig.blocked) || t->stop_pending || t->exec_kill ||
	       ptrace_wants_stop(t);
}

bool signal_fatal_pending(const struct task *t)
{
	return (t->sig.pending.set & SIG_BIT(SIGKILL)) || t->tg->group_exit || t->exec_kill;
}

void signal_recalc(struct task *t)
{
	if (!t->fiber)
		return;
	if (signal_pending(t) || signal_fatal_pending(t))
		fiber_interrupt(t->fiber);
	else
		fiber_clear_interrupt(t->fiber);
}

void signal_recalc_group(struct thread_group *tg)
{
	struct task *t;

	list_for_each(t, &tg->tasks, tg_node) if (signal_pending(t)) task_kick(t);
}

/* Group signals that only this thread could have taken: the others look again. */
static void retarget(struct task *t, kernel_sigset_t newly_blocked)
{
	struct task *other;

	if (!(t->tg->shared_pending.set & newly_blocked) || t->tg->live <= 1)
		return;
	list_for_each(other, &t->tg->tasks, tg_node) if (other != t && signal_pending(other))
		task_kick(other);
}

void signal_set_blocked(struct task *t, kernel_sigset_t blocked)
{
	const kernel_sigset_t old = t->sig.blocked;

	t->sig.blocked = blocked & ~SIG_UNBLOCKABLE;
	retarget(t, t->sig.blocked & ~old);
	signal_recalc(t);
}

void signal_set_temporary_mask(struct task *t, kernel_sigset_t blocked)
{
	t->sig.saved_blocked = t->sig.blocked;
	t->sig.restore_blocked = true;
	signal_set_blocked(t, blocked);
}

void signal_restore_mask(struct task *t)
{
	if (!t->sig.restore_blocked)
		return;
	t->sig.restore_blocked = false;
	signal_set_blocked(t, t->sig.saved_blocked);
}

int signal_dequeue(struct task *t, kernel_sigset_t mask, siginfo_t *ret)
{
	const kernel_sigset_t own = t->sig.pending.set & mask;
	int sig = sig_queue_take(&t->sig.pending, own, ret);

	if (!sig)
		sig = sig_queue_take(&t->tg->shared_pending, mask, ret);
	if (sig)
		signal_recalc(t);
	return sig;
}

void signal_set_action(struct task *t, int sig, const struct kernel_sigaction *action,
		       struct kernel_sigaction *ret_old)
{
	struct kernel_sigaction *slot = &t->tg->sighand->action[sig - 1];

	if (ret_old)
		*ret_old = *slot;
	if (!action)
		return;
	*slot = *action;
	slot->mask &= ~SIG_UNBLOCKABLE;
	/* Programs find out by what stays which flags are known (SA_UNSUPPORTED). */
	slot->flags &= KERNEL_SA_KNOWN;
	if (signal_is_ignored(t, sig)) {
		flush_everywhere(t->tg, SIG_BIT(sig));
		signal_recalc(t);
	}
}
