/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/ptrace.c - see ptrace.h: links, stops and events. */
#include "sentry/task/ptrace.h"

#include <linux/capability.h>
#include <linux/ptrace.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/task/answers.h"
#include "sentry/task/internal.h"
#include "sentry/task/ptrace_link.h"
#include "sentry/task/run.h"
#include "sentry/task/sigqueue.h"

#define EFLAGS_TRAP 0x100ull

static bool option(const struct task *t, uint32_t bit)
{
	return t->ptrace && (t->ptrace->options & bit);
}

bool ptrace_wants_stop(const struct task *t)
{
	return t->ptrace && t->ptrace->trap_pending;
}

bool ptrace_hinders_setid(const struct task *t)
{
	return t->ptrace &&
	       !cred_ns_capable(t->ptrace->tracer->cred, t->cred->user_ns, CAP_SYS_PTRACE);
}

struct task *ptrace_tracer(const struct task *t)
{
	return t->ptrace ? t->ptrace->tracer : NULL;
}

int ptrace_link_new(struct task *tracee, struct task *tracer, bool seized, uint32_t options)
{
	struct ptrace_link *l;

	if (tracee->ptrace)
		return -EPERM;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->tracer = tracer;
	l->seized = seized;
	l->options = options;
	tracee->ptrace = l;
	task_answers_update(tracee);
	list_add_tail(&tracee->tracer_node, &tracer->tracees);
	return 0;
}

static void unlink_tracee(struct task *tracee)
{
	struct ptrace_link *l = tracee->ptrace;

	tracee->ptrace = NULL;
	task_answers_update(tracee);
	list_del(&tracee->tracer_node);
	free(l);
}

void ptrace_link_free(struct task *tracee, int sig)
{
	if (tracee->ptrace->stepping && tracee->regs_valid) {
		tracee->regs.r.eflags &= ~EFLAGS_TRAP;
		tracee->regs_dirty = true;
	}
	tracee->ptrace_signal = sig;
	unlink_tracee(tracee);
	task_kick(tracee);
}

void ptrace_go_on(struct task *tracee, int sig, enum ptrace_resume how)
{
	struct ptrace_link *l = tracee->ptrace;

	l->resume = how;
	l->stopped = false;
	l->listening = false;
	l->code = 0;
	tracee->ptrace_signal = sig;
	if (tracee->regs_valid && (how == RESUME_STEP || l->stepping)) {
		tracee->regs.r.eflags &= ~EFLAGS_TRAP;
		if (how == RESUME_STEP)
			tracee->regs.r.eflags |= EFLAGS_TRAP;
		tracee->regs_dirty = true;
	}
	l->stepping = how == RESUME_STEP;
	task_kick(tracee);
}

void ptrace_use(struct task *tracee)
{
	tracee->users++;
}

void ptrace_unuse(struct task *tracee)
{
	if (--tracee->users == 0 && tracee->fiber)
		fiber_wake(tracee->fiber);
}

/* Tell the tracer: its wait, and SIGCHLD. */
static void tell_tracer(struct task *t, int code, int status)
{
	struct task *tracer = t->ptrace->tracer;
	const struct kernel_sigaction *action = &tracer->tg->sighand->action[SIGCHLD - 1];
	siginfo_t info;

	waitq_wake(&tracer->tg->wait_child, POLLIN);
	if (action->handler == (uint64_t)(uintptr_t)SIG_IGN ||
	    (code == CLD_TRAPPED && (action->flags & SA_NOCLDSTOP)))
		return;
	memset(&info, 0, sizeof(info));
	info.si_signo = SIGCHLD;
	info.si_code = code;
	info.si_pid = pid_nr(t->pid, pid_ns_of(tracer->pid));
	info.si_uid = task_uid_out(tracer, t->cred->uid);
	info.si_status = status;
	(void)signal_send_group(tracer->tg, SIGCHLD, &info);
}

static siginfo_t trap_info(const struct task *t, int code)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = code & 0x7f;
	info.si_code = code;
	info.si_pid = task_tid(t, task_pid_ns(t));
	info.si_uid = task_uid_out(t, t->cred->uid);
	return info;
}

/* No stop may last. A task that ends by itself may stop once more (PTRACE_EVENT_EXIT). */
static bool must_end(const struct task *t)
{
	return t->exiting ? (t->sig.pending.set & SIG_BIT(SIGKILL)) != 0 : signal_fatal_pending(t);
}

/*
 * Stop until the tracer lets go, is gone, or the task must end. The signal that the tracer wants
 * to be delivered.
 */
static int stop(struct task *t, int code, const siginfo_t *info)
{
	struct ptrace_link *l = t->ptrace;

	(void)task_regs(t);
	if (must_end(t))
		return 0;
	l->code = code;
	l->info = *info;
	l->stopped = true;
	l->reported = false;
	l->listening = false;
	l->trap_pending = false;
	t->ptrace_signal = 0;
	t->state = TASK_TRACED;
	tell_tracer(t, CLD_TRAPPED, code & 0x7f);
	while (t->ptrace == l && l->stopped && !must_end(t)) {
		fiber_clear_interrupt(t->fiber);
		(void)fiber_park(NSEC_NEVER, true);
	}
	while (t->users > 0)
		(void)fiber_park(NSEC_NEVER, false);
	t->state = TASK_RUNNING;
	if (t->ptrace == l) {
		l->stopped = false;
		l->call = CALL_NONE;
	}
	signal_recalc(t);
	return t->ptrace_signal;
}

static void event_stop(struct task *t, int event, uint64_t message)
{
	const int code = SIGTRAP | event << 8;
	const siginfo_t info = trap_info(t, code);

	t->ptrace->message = message;
	(void)stop(t, code, &info);
}

void ptrace_stop_now(struct task *t)
{
	event_stop(t, PTRACE_EVENT_STOP, 0);
}

void ptrace_continued(struct task *t)
{
	struct ptrace_link *l = t->ptrace;

	if (!l || !l->seized || !l->stopped || l->code >> 8 != PTRACE_EVENT_STOP)
		return;
	if (l->listening)
		ptrace_go_on(t, 0, RESUME_RUN);
	l->trap_pending = true;
}

/* The group stops, or is stopped: what an untraced thread does in signal_stop_wait(). */
void ptrace_group_stop(struct task *t)
{
	const int sig = t->tg->stop_signal ? t->tg->stop_signal : SIGSTOP;
	const int code = t->ptrace->seized ? sig | PTRACE_EVENT_STOP << 8 : sig;
	const siginfo_t info = trap_info(t, code);

	(void)stop(t, code, &info);
}

/* A signal is about to be delivered: the tracer may take it, or give another one. */
int ptrace_signal_stop(struct task *t, int sig, siginfo_t *info)
{
	struct ptrace_link *l = t->ptrace;
	struct task *tracer = l->tracer;
	int given;

	l->signal_stop = true;
	given = stop(t, sig, info);
	if (t->ptrace == l) {
		l->signal_stop = false;
		*info = l->info; /* PTRACE_SETSIGINFO */
		tracer = l->tracer;
	}
	if (!given || given == sig)
		return given;
	*info = t->ptrace == l ? signal_info_user(tracer, t->tg, given, SI_USER)
			       : (siginfo_t){ .si_signo = given };
	if (t->sig.blocked & SIG_BIT(given)) {
		(void)signal_send_task(t, given, info);
		return 0;
	}
	return given;
}

/* A single step ends where the handler begins. */
void ptrace_handler_entered(struct task *t)
{
	siginfo_t info;

	if (!t->ptrace || !t->ptrace->stepping)
		return;
	info = trap_info(t, SIGTRAP);
	(void)stop(t, SIGTRAP, &info);
}

static int clone_event(const struct task *t, const struct task *child, uint64_t flags)
{
	if (flags & CLONE_UNTRACED)
		return 0;
	if ((flags & CLONE_VFORK) && option(t, PTRACE_O_TRACEVFORK))
		return PTRACE_EVENT_VFORK;
	if (!(flags & CLONE_VFORK) && child->tg != t->tg && child->tg->exit_signal == SIGCHLD &&
	    option(t, PTRACE_O_TRACEFORK))
		return PTRACE_EVENT_FORK;
	if (!(flags & CLONE_VFORK) && (child->tg == t->tg || child->tg->exit_signal != SIGCHLD) &&
	    option(t, PTRACE_O_TRACECLONE))
		return PTRACE_EVENT_CLONE;
	return 0;
}

void ptrace_child_born(struct task *t, struct task *child, uint64_t clone_flags)
{
	const struct ptrace_link *l = t->ptrace;

	if (!l || (!clone_event(t, child, clone_flags) && !(clone_flags & CLONE_PTRACE)))
		return;
	if (ptrace_link_new(child, l->tracer, l->seized, l->options) < 0)
		return;
	if (l->seized) {
		child->ptrace->trap_pending = true;
		task_kick(child);
	} else {
		child->sig.pending.set |= SIG_BIT(SIGSTOP);
		task_kick(child);
	}
}

void ptrace_child_reported(struct task *t, struct task *child, uint64_t clone_flags)
{
	const int event = t->ptrace ? clone_event(t, child, clone_flags) : 0;

	if (event)
		event_stop(t, event,
			   (uint64_t)pid_nr(child->pid, pid_ns_of(t->ptrace->tracer->pid)));
}

void ptrace_vfork_done(struct task *t, int child_nr)
{
	if (option(t, PTRACE_O_TRACEVFORKDONE))
		event_stop(t, PTRACE_EVENT_VFORK_DONE, (uint64_t)child_nr);
}

void ptrace_exec(struct task *t, int old_tid)
{
	siginfo_t info;

	if (!t->ptrace)
		return;
	if (option(t, PTRACE_O_TRACEEXEC)) {
		event_stop(t, PTRACE_EVENT_EXEC, (uint64_t)old_tid);
	} else if (!t->ptrace->seized) {
		info = signal_info_user(t, t->tg, SIGTRAP, SI_USER);
		(void)signal_send_task(t, SIGTRAP, &info);
	}
}

void ptrace_event_exit(struct task *t)
{
	if (!option(t, PTRACE_O_TRACEEXIT) || !t->thread || t->exec_kill || t->exit_code == SIGKILL)
		return;
	t->exiting = true;
	t->sig.pending.set &= ~SIG_BIT(SIGKILL); /* the end of the group, which has come */
	event_stop(t, PTRACE_EVENT_EXIT, (uint64_t)t->exit_code);
}

bool ptrace_seccomp(struct task *t, unsigned int data)
{
	if (!option(t, PTRACE_O_TRACESECCOMP))
		return false;
	t->ptrace->call = CALL_SECCOMP;
	event_stop(t, PTRACE_EVENT_SECCOMP, data);
	return !signal_fatal_pending(t);
}

static void call_stop(struct task *t, int which)
{
	const int code = SIGTRAP | (option(t, PTRACE_O_TRACESYSGOOD) ? 0x80 : 0);
	const siginfo_t info = trap_info(t, code);
	int sig;

	t->ptrace->call = which;
	sig = stop(t, code, &info);
	if (sig)
		(void)signal_send_task(t, sig, NULL);
}

bool ptrace_syscall_enter(struct task *t, uint64_t *nr, struct syscall_args *a, int64_t *ret_result)
{
	const struct arch_regs *regs;

	if (!t->ptrace || t->ptrace->resume != RESUME_SYSCALL)
		return true;
	call_stop(t, CALL_ENTER);
	*ret_result = -ENOSYS;
	regs = task_regs(t);
	if (!regs || signal_fatal_pending(t))
		return false;
	*nr = regs->r.orig_rax;
	*a = (struct syscall_args){ { regs->r.rdi, regs->r.rsi, regs->r.rdx, regs->r.r10,
				      regs->r.r8, regs->r.r9 } };
	t->syscall_nr = *nr;
	if ((int64_t)*nr != -1)
		return true;
	*ret_result = (int64_t)regs->r.rax;
	return false;
}

int64_t ptrace_syscall_exit(struct task *t, int64_t result)
{
	struct arch_regs *regs;

	if (!t->ptrace || t->ptrace->resume != RESUME_SYSCALL || t->exiting)
		return result;
	regs = task_regs(t);
	if (!regs)
		return result;
	if (!t->regs_replaced)
		regs->r.rax = (uint64_t)result;
	call_stop(t, CALL_EXIT);
	return t->regs_valid && !t->regs_replaced ? (int64_t)t->regs.r.rax : result;
}

bool ptrace_is_tracer(const struct task *t, const struct task *tracee)
{
	return tracee->ptrace && tracee->ptrace->tracer->tg == t->tg;
}

/* Traced by somebody who is not the process that waits for it anyway? */
static bool foreign(const struct task *t)
{
	return t->ptrace && t->ptrace->tracer->tg != t->tg->parent;
}

bool ptrace_holds(const struct task *t)
{
	return t == t->tg->leader ? foreign(t) : t->ptrace != NULL;
}

bool ptrace_exited(struct task *t)
{
	if (t->state == TASK_DEAD || !ptrace_holds(t))
		return false;
	if (t == t->tg->leader && !thread_group_reapable(t->tg))
		return true;
	tell_tracer(t, CLD_EXITED, t->exit_code);
	return true;
}

void ptrace_reap(struct task *t)
{
	struct thread_group *tg = t->tg;
	const bool was_foreign = foreign(t);

	unlink_tracee(t);
	if (t != tg->leader) {
		thread_group_ref(tg);
		task_release(t);
		thread_group_ended(tg);
		thread_group_unref(tg);
	} else if (!was_foreign) {
		thread_group_release(tg);
	} else {
		thread_group_ended(tg);
	}
}

void ptrace_forget(struct task *t)
{
	if (t->ptrace)
		unlink_tracee(t);
}

void ptrace_detach_all(struct task *t)
{
	while (!list_empty(&t->tracees)) {
		struct task *tracee = list_first(&t->tracees, struct task, tracer_node);

		if (tracee->state == TASK_ZOMBIE) {
			if (tracee != tracee->tg->leader) {
				ptrace_reap(tracee);
			} else {
				unlink_tracee(tracee);
				thread_group_ended(tracee->tg);
			}
			continue;
		}
		if (tracee->ptrace->options & PTRACE_O_EXITKILL)
			thread_group_exit(tracee->tg, SIGKILL);
		ptrace_link_free(tracee, 0);
	}
}

bool ptrace_stop_status(struct task *t, int *ret_status, bool keep)
{
	struct ptrace_link *l = t->ptrace;

	if (!l || !l->stopped || l->reported || l->listening)
		return false;
	*ret_status = l->code << 8 | 0x7f;
	l->reported = !keep;
	return true;
}
