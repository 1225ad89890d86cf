/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/sigstop.c - job control: group stops and SIGCONT.
 *
 * A stopping signal that a thread takes makes every thread of the group take part; the last one
 * to stop tells the parent. SIGCONT ends that where it is sent.
 */
#include "sentry/task/internal.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/sigqueue.h"

static void stop_complete(struct thread_group *tg)
{
	tg->stopped = true;
	tg->stop_reported = false;
	tg->continued_pending = false;
	parent_notify_stop(tg, CLD_STOPPED);
}

static void stop_count_down(struct task *t)
{
	struct thread_group *tg = t->tg;

	if (!t->stop_pending)
		return;
	t->stop_pending = false;
	if (tg->stop_count && --tg->stop_count == 0 && !tg->stopped)
		stop_complete(tg);
}

void signal_stop_start(struct task *t, int sig)
{
	struct thread_group *tg = t->tg;
	struct task *other;

	if (tg->group_exit)
		return;
	if (!tg->stop_count) {
		tg->stop_signal = sig;
		list_for_each(other, &tg->tasks, tg_node)
		{
			if (other->exiting || other->state >= TASK_STOPPED || !other->fiber)
				continue;
			other->stop_pending = true;
			tg->stop_count++;
			if (other != t)
				task_kick(other);
		}
	}
	signal_stop_wait(t);
}

void signal_stop_wait(struct task *t)
{
	struct thread_group *tg = t->tg;

	if (t->ptrace) {
		stop_count_down(t);
		ptrace_group_stop(t);
		return;
	}
	t->state = TASK_STOPPED;
	stop_count_down(t);
	while ((tg->stopped || tg->stop_count) && !signal_fatal_pending(t) && !t->ptrace) {
		fiber_clear_interrupt(t->fiber);
		(void)fiber_park(NSEC_NEVER, true);
	}
	t->state = TASK_RUNNING;
	signal_recalc(t);
	/* A tracer came while it was stopped: the stop is its business now. */
	if (t->ptrace && tg->stopped && !signal_fatal_pending(t))
		ptrace_group_stop(t);
}

void signal_continue(struct thread_group *tg)
{
	const bool was_stopped = tg->stopped, was_stopping = tg->stop_count != 0;
	struct task *t;

	tg->stopped = false;
	tg->stop_count = 0;
	list_for_each(t, &tg->tasks, tg_node)
	{
		t->stop_pending = false;
		if (t->state == TASK_STOPPED)
			task_kick(t);
		ptrace_continued(t);
	}
	if (!was_stopped && !was_stopping)
		return;
	tg->continued_pending = was_stopped;
	parent_notify_stop(tg, was_stopped ? CLD_CONTINUED : CLD_STOPPED);
}

void signal_stop_forget(struct task *t)
{
	stop_count_down(t);
}
