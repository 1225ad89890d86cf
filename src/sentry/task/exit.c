/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/exit.c - the end of threads and processes, new parents for the children, SIGCHLD.
 */
#include <string.h>

#include "base/cleanup.h"
#include "sentry/mm/sem.h"
#include "sentry/core/klog.h"
#include "sentry/task/account.h"
#include "sentry/task/answers.h"
#include "sentry/task/futex.h"
#include "sentry/task/hooks.h"
#include "sentry/task/internal.h"
#include "sentry/task/itimer.h"
#include "sentry/task/posix_timers.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/run.h"
#include "sentry/task/sigqueue.h"
#include "sentry/task/tty_hooks.h"
#include "sentry/task/wait.h"

void thread_group_exit(struct thread_group *tg, int wait_status)
{
	struct task *t;

	if (tg->zombie || (tg->group_exit && wait_status != SIGKILL))
		return;
	if (!tg->group_exit)
		tg->exit_status = wait_status;
	tg->group_exit = true;
	tg->stopped = false;
	tg->stop_count = 0;
	list_for_each(t, &tg->tasks, tg_node)
	{
		t->stop_pending = false;
		t->sig.pending.set |= SIG_BIT(SIGKILL);
		task_kick(t);
		/* One that waits for its start dies on the way to its first instruction. */
		if (!task_began(t))
			(void)task_start_fiber(t);
	}
}

void vfork_release(struct task *t)
{
	if (t->vfork_done)
		return;
	t->vfork_done = true;
	waitq_wake(&t->vfork_wait, POLLIN);
}

static siginfo_t child_info(const struct thread_group *tg, const struct thread_group *parent,
			    int sig, int code)
{
	siginfo_t info;
	uint64_t user, sys;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code;
	info.si_pid = pid_nr(tg->pid, pid_ns_of(parent->pid));
	info.si_uid = task_uid_out(parent->leader, tg->leader->cred->uid);
	thread_group_cpu_ns(tg, &user, &sys);
	info.si_utime = (clock_t)(user / (NSEC_PER_SEC / 100));
	info.si_stime = (clock_t)(sys / (NSEC_PER_SEC / 100));
	return info;
}

void parent_notify_stop(struct thread_group *tg, int code)
{
	struct thread_group *parent = tg->parent;
	siginfo_t info;

	if (!parent)
		return;
	waitq_wake(&parent->wait_child, POLLIN);
	if (parent->sighand->action[SIGCHLD - 1].flags & SA_NOCLDSTOP)
		return;
	if (parent->sighand->action[SIGCHLD - 1].handler == (uint64_t)(uintptr_t)SIG_IGN)
		return;
	info = child_info(tg, parent, SIGCHLD, code);
	info.si_status = code == CLD_CONTINUED ? SIGCONT : tg->stop_signal;
	(void)signal_send_group(parent, SIGCHLD, &info);
}

bool parent_notify_exit(struct thread_group *tg)
{
	struct thread_group *parent = tg->parent;
	const struct kernel_sigaction *action;
	bool reap = false;
	siginfo_t info;

	if (!parent)
		return true;
	action = &parent->sighand->action[SIGCHLD - 1];
	if (tg->exit_signal == SIGCHLD &&
	    (action->handler == (uint64_t)(uintptr_t)SIG_IGN || (action->flags & SA_NOCLDWAIT)))
		reap = true;
	if (tg->exit_signal && !(reap && action->handler == (uint64_t)(uintptr_t)SIG_IGN)) {
		const int status = tg->exit_status;
		const int code = !(status & 0x7f)  ? CLD_EXITED
				 : (status & 0x80) ? CLD_DUMPED
						   : CLD_KILLED;

		info = child_info(tg, parent, tg->exit_signal, code);
		info.si_status = code == CLD_EXITED ? status >> 8 : status & 0x7f;
		(void)signal_send_group(parent, tg->exit_signal, &info);
	}
	waitq_wake(&parent->wait_child, POLLIN);
	return reap;
}

/* What an ended child gives its parent's "children" counts. */
static void add_up(struct thread_group *parent, const struct thread_group *tg)
{
	parent->cutime_ns += tg->utime_ns + tg->cutime_ns;
	parent->cstime_ns += tg->stime_ns + tg->cstime_ns;
	parent->cmin_flt += tg->min_flt + tg->cmin_flt;
	parent->cmaj_flt += tg->maj_flt + tg->cmaj_flt;
	parent->cnvcsw += tg->nvcsw + tg->cnvcsw;
	parent->cnivcsw += tg->nivcsw + tg->cnivcsw;
	io_account_add(&parent->io, &tg->io);
	if (tg->max_rss > parent->cmax_rss)
		parent->cmax_rss = tg->max_rss;
	if (tg->cmax_rss > parent->cmax_rss)
		parent->cmax_rss = tg->cmax_rss;
}

void thread_group_release(struct thread_group *tg)
{
	struct pid_ns *ns;

	if (tg->released)
		return;
	tg->released = true;
	if (tg->parent)
		add_up(tg->parent, tg);
	thread_group_ref(tg);
	ns = pid_ns_ref(pid_ns_of(tg->pid));
	list_del(&tg->sibling);
	tg->parent = NULL;
	process_group_leave(tg);
	tg->pid->tg = NULL;
	if (pid_ns_init(ns) == tg)
		pid_ns_set_init(ns, NULL);
	ptrace_forget(tg->leader);
	task_release(tg->leader);
	thread_group_unref(tg);
	pid_ns_unref(ns);
}

bool thread_group_reapable(const struct thread_group *tg)
{
	return tg->zombie && !tg->released && tg->leader->state == TASK_ZOMBIE &&
	       tg->tasks.next == tg->tasks.prev;
}

void thread_group_ended(struct thread_group *tg)
{
	if (thread_group_reapable(tg) && !ptrace_exited(tg->leader) && parent_notify_exit(tg))
		thread_group_release(tg);
}

/* Who adopts: the nearest subreaper among the ancestors, else pid 1 of the namespace, or NULL. */
static struct thread_group *find_reaper(const struct thread_group *tg)
{
	struct thread_group *init = pid_ns_init(pid_ns_of(tg->pid)), *at;

	for (at = tg->parent; at && at != init; at = at->parent)
		if (at->subreaper && at->live && pid_ns_of(at->pid) == pid_ns_of(tg->pid))
			return at;
	return init != tg && init && init->live ? init : NULL;
}

static void pdeath(const struct thread_group *tg, struct task *dead)
{
	struct task *t;

	list_for_each(t, &tg->tasks, tg_node)
	{
		siginfo_t info;

		if (!t->sig.pdeath_signal)
			continue;
		info = signal_info_user(dead, tg, t->sig.pdeath_signal, SI_USER);
		(void)signal_send_task(t, t->sig.pdeath_signal, &info);
	}
}

static struct task *live_thread(const struct thread_group *tg)
{
	struct task *t;

	list_for_each(t, &tg->tasks, tg_node) if (!t->exiting) return t;
	return NULL;
}

/* A thread ends, its process goes on: its children belong to another thread. */
static void hand_over_children(struct task *t)
{
	struct task *heir = live_thread(t->tg);
	struct thread_group *child;

	list_for_each(child, &t->tg->children, sibling)
	{
		if (child->parent_thread != t)
			continue;
		child->parent_thread = heir;
		if (!child->zombie)
			pdeath(child, t);
	}
}

static void reparent_one(struct task *t, struct thread_group *child, struct thread_group *reaper)
{
	struct task *member;

	child->parent = reaper;
	list_for_each(member, &child->tasks, tg_node) task_answers_update(member);
	child->parent_thread = reaper ? live_thread(reaper) : NULL;
	child->exit_signal = SIGCHLD;
	list_del(&child->sibling);
	if (reaper)
		list_add_tail(&child->sibling, &reaper->children);
	if (!child->zombie)
		pdeath(child, t);
	process_group_check_orphans(child, t->tg, NULL);
	if (!ptrace_holds(child->leader))
		thread_group_ended(child);
}

static void reparent_children(struct task *t)
{
	struct thread_group *reaper = find_reaper(t->tg), *child, *next;

	list_for_each_safe(child, next, &t->tg->children, sibling) reparent_one(t, child, reaper);
}

/* Pid 1 of a namespace ends: so does everything in it. */
static void zap_namespace(struct task *t)
{
	struct pid_ns *ns = pid_ns_of(t->tg->pid);
	struct thread_group *tg;
	int nr = 1;

	if (pid_ns_init(ns) != t->tg)
		return;
	pid_ns_close(ns);
	t->tg->sighand->action[SIGCHLD - 1].handler = (uint64_t)(uintptr_t)SIG_IGN;
	for (; (tg = thread_group_next(ns, nr, &nr)); nr++) {
		if (tg != t->tg)
			thread_group_exit(tg, SIGKILL);
		thread_group_unref(tg);
	}
	reparent_children(t);
	pid_ns_drain(ns, t->tg->leader == t ? 1 : 2);
}

static void exit_memory(struct task *t)
{
	const int zero = 0;

	futex_task_exit(t);
	if (t->clear_child_tid && t->mm->refs > 1 &&
	    user_copy_out(task_um(t), t->clear_child_tid, &zero, sizeof(zero)) == 0)
		(void)futex_wake_address(t, t->clear_child_tid, 1);
	t->utime_ns = platform->thread_cpu_ns(t->thread);
	if (t->tg->live == 1)
		thread_group_memory_ends(t->tg, t->mm);
	vfork_release(t);
}

/* The last thread of a process: what the process as a whole has. */
static void exit_process(struct task *t)
{
	struct thread_group *tg = t->tg;

	sem_undo_exit(TAKE_PTR(tg->sem_undo), pid_nr(tg->pid, pid_ns_of(tg->pid)));
	itimers_free(tg);
	posix_timers_free(tg);
	if (!tg->group_exit)
		tg->exit_status = t->exit_code; /* the last thread's, as Linux since 5.16 */
}

static void leave_process(struct task *t)
{
	struct thread_group *tg = t->tg;

	zap_namespace(t);
	reparent_children(t);
	process_group_check_orphans(tg, tg->parent, tg);
	if (tg->session->leader == tg)
		session_leader_ended(tg->session);
}

static void become_zombie(struct task *t, bool last)
{
	struct thread_group *tg = t->tg;
	const struct switches switched = task_switches(t);

	t->state = TASK_ZOMBIE;
	t->fiber = NULL;
	if (--t->container->live == 0)
		waitq_wake(&t->container->emptied, WAIT_ALL);
	t->nvcsw = switched.voluntary;
	t->nivcsw = switched.involuntary;
	tg->utime_ns += t->utime_ns;
	tg->stime_ns += t->stime_ns;
	tg->nvcsw += t->nvcsw;
	tg->nivcsw += t->nivcsw;
	io_account_add(&tg->io, &t->io);
	if (t != tg->leader && !ptrace_holds(t))
		task_release(t);
	if (!last) {
		if (t != tg->leader || !tg->zombie)
			ptrace_exited(t);
		/* The last one has overtaken this one, which parked on its way. */
		if (tg->zombie)
			thread_group_ended(tg);
		return;
	}
	tg->zombie = true;
	tg->pid->ended = true;
	waitq_wake(&tg->pid->exited, POLLIN);
	if (tg->on_exit)
		tg->on_exit(tg->on_exit_arg, tg, tg->exit_status);
	if (t != tg->leader)
		ptrace_exited(t);
	thread_group_ended(tg);
}

void task_exit(struct task *t)
{
	struct thread_group *tg = thread_group_ref(t->tg);
	bool last;

	task_ref(t);
	ptrace_event_exit(t);
	t->exiting = true;
	signal_stop_forget(t);
	if (t->thread)
		exit_memory(t);
	ptrace_detach_all(t);
	last = --tg->live == 0;
	if (last) {
		exit_process(t);
		klog(task, "process %d ends: wait status %#x", pid_nr(tg->pid, pid_ns_of(tg->pid)),
		     (unsigned int)tg->exit_status);
		if (task_hooks->ended)
			task_hooks->ended(t);
	}
	task_free_parts(t);
	if (last)
		leave_process(t);
	else
		hand_over_children(t);
	become_zombie(t, last);
	waitq_wake(&tg->exit_wait, POLLIN);
	task_unref(t);
	thread_group_unref(tg);
}
