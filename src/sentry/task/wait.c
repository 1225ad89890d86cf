/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/wait.c - see wait.h. */
#include "sentry/task/wait.h"

#include <string.h>
#include <sys/wait.h>

#include "sentry/task/account.h"
#include "sentry/task/internal.h"
#include "sentry/task/ptrace.h"

static struct timeval ns_to_timeval(uint64_t ns)
{
	return (struct timeval){ .tv_sec = (time_t)(ns / NSEC_PER_SEC),
				 .tv_usec = (suseconds_t)(ns % NSEC_PER_SEC / 1000) };
}

static const struct mm *living_memory(const struct thread_group *tg)
{
	return tg->zombie ? NULL : tg->leader->mm;
}

void thread_group_faults(const struct thread_group *tg, uint64_t *ret_min, uint64_t *ret_maj)
{
	const struct mm *mm = tg->mm_borrowed ? NULL : living_memory(tg);

	*ret_min = tg->min_flt + (mm ? mm->usage.min_flt : 0);
	*ret_maj = tg->maj_flt + (mm ? mm->usage.maj_flt : 0);
}

void thread_group_memory_ends(struct thread_group *tg, struct mm *mm)
{
	if (!tg->mm_borrowed) {
		const struct platform_usage *last = mm_usage(mm);

		if (mm_peak(mm) > tg->max_rss)
			tg->max_rss = mm_peak(mm);
		tg->min_flt += last->min_flt;
		tg->maj_flt += last->maj_flt;
	}
	tg->mm_borrowed = false;
}

void thread_group_rusage(const struct thread_group *tg, struct rusage *ret)
{
	const struct mm *mm = living_memory(tg);
	uint64_t min_flt, maj_flt, max_rss = tg->max_rss;
	uint64_t user, sys;
	struct switches switched;

	memset(ret, 0, sizeof(*ret));
	thread_group_cpu_ns(tg, &user, &sys);
	ret->ru_utime = ns_to_timeval(user);
	ret->ru_stime = ns_to_timeval(sys);
	thread_group_faults(tg, &min_flt, &maj_flt);
	if (mm && mm_peak(mm) > max_rss)
		max_rss = mm_peak(mm);
	ret->ru_minflt = (long)min_flt;
	ret->ru_majflt = (long)maj_flt;
	switched = thread_group_switches(tg);
	ret->ru_nvcsw = (long)switched.voluntary;
	ret->ru_nivcsw = (long)switched.involuntary;
	ret->ru_maxrss = (long)(max_rss / 1024);
}

void thread_group_rusage_children(const struct thread_group *tg, struct rusage *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->ru_utime = ns_to_timeval(tg->cutime_ns);
	ret->ru_stime = ns_to_timeval(tg->cstime_ns);
	ret->ru_minflt = (long)tg->cmin_flt;
	ret->ru_majflt = (long)tg->cmaj_flt;
	ret->ru_nvcsw = (long)tg->cnvcsw;
	ret->ru_nivcsw = (long)tg->cnivcsw;
	ret->ru_maxrss = (long)(tg->cmax_rss / 1024);
}

static bool right_one(const struct wait_request *req, const struct task *child)
{
	switch (req->who) {
	case WAIT_FOR_PID:
		return child->pid == req->pid;
	case WAIT_FOR_PGRP:
		return child->tg->pgrp->pid == req->pid;
	default:
		return true;
	}
}

/* __WCLONE and __WALL: a "clone" child is one that tells its end with another signal. */
static bool right_kind(const struct wait_request *req, const struct thread_group *child)
{
	const bool clone = child->exit_signal != SIGCHLD;

	return (req->options & __WALL) || clone == !!(req->options & __WCLONE);
}

static void fill(struct task *t, const struct task *child, int code, int status,
		 struct wait_result *ret)
{
	ret->pid = task_tid(child, task_pid_ns(t));
	ret->uid = child->cred->uid;
	ret->code = code;
	ret->status = status;
	thread_group_rusage(child->tg, &ret->usage);
}

static int exit_code_of(int status)
{
	return !(status & 0x7f) ? CLD_EXITED : (status & 0x80) ? CLD_DUMPED : CLD_KILLED;
}

/* A child of ours: 1 when it has something to say. */
static int look_at_child(struct task *t, const struct wait_request *req, struct thread_group *child,
			 struct wait_result *ret)
{
	const bool keep = req->options & WNOWAIT;

	if (child->zombie) {
		if (!(req->options & WEXITED) || ptrace_holds(child->leader) ||
		    !thread_group_reapable(child))
			return 0;
		fill(t, child->leader, exit_code_of(child->exit_status), child->exit_status, ret);
		if (!keep)
			thread_group_release(child);
		return 1;
	}
	if ((req->options & WSTOPPED) && child->stopped && !child->stop_reported &&
	    !child->leader->ptrace) {
		fill(t, child->leader, CLD_STOPPED, child->stop_signal << 8 | 0x7f, ret);
		child->stop_reported = !keep;
		return 1;
	}
	if ((req->options & WCONTINUED) && child->continued_pending) {
		fill(t, child->leader, CLD_CONTINUED, 0xffff, ret);
		child->continued_pending = keep;
		return 1;
	}
	return 0;
}

/* A tracee of ours. */
static int look_at_tracee(struct task *t, const struct wait_request *req, struct task *tracee,
			  struct wait_result *ret)
{
	int status;

	if (tracee->state == TASK_ZOMBIE) {
		const bool whole = tracee == tracee->tg->leader;

		if (!(req->options & WEXITED) || (whole && !thread_group_reapable(tracee->tg)))
			return 0;
		status = whole ? tracee->tg->exit_status : tracee->exit_code;
		fill(t, tracee, exit_code_of(status), status, ret);
		if (!(req->options & WNOWAIT))
			ptrace_reap(tracee);
		return 1;
	}
	if (!ptrace_stop_status(tracee, &status, req->options & WNOWAIT))
		return 0;
	fill(t, tracee, CLD_TRAPPED, status, ret);
	return 1;
}

/* 1: found; 0: candidates, none ready; -ECHILD. */
static int scan(struct task *t, const struct wait_request *req, struct wait_result *ret)
{
	struct thread_group *child, *next;
	struct task *by, *tracee, *tracee_next;
	bool any = false;

	list_for_each(by, &t->tg->tasks, tg_node)
	{
		if ((req->options & __WNOTHREAD) && by != t)
			continue;
		list_for_each_safe(tracee, tracee_next, &by->tracees, tracer_node)
		{
			if (!right_one(req, tracee))
				continue;
			any = true;
			if (look_at_tracee(t, req, tracee, ret))
				return 1;
		}
	}
	list_for_each_safe(child, next, &t->tg->children, sibling)
	{
		if (!right_one(req, child->leader) || !right_kind(req, child))
			continue;
		if ((req->options & __WNOTHREAD) && child->parent_thread != t)
			continue;
		if (child->leader->ptrace && ptrace_is_tracer(t, child->leader))
			continue; /* counted above */
		any = true;
		if (look_at_child(t, req, child, ret))
			return 1;
	}
	return any ? 0 : -ECHILD;
}

int task_wait(struct task *t, const struct wait_request *req, struct wait_result *ret)
{
	int found, r;

	r = WAIT_EVENT(&t->tg->wait_child,
		       (found = scan(t, req, ret)) != 0 || (req->options & WNOHANG));
	return r < 0 ? r : found;
}
