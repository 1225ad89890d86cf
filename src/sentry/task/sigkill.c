/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/sigkill.c - signals between processes with permission (kill(2), rt_sigqueueinfo(2)),
 * and waiting for one (sigtimedwait(2)).
 */
#include "sentry/task/sigqueue.h"
#include "sentry/task/task.h"

/* Is the sender in a namespace above the receiver's: init's protection does not hold. */
static bool from_above(const struct task *from, const struct thread_group *to)
{
	return !pid_nr(from->tg->pid, pid_ns_of(to->pid));
}

int signal_kill_group(struct task *from, struct thread_group *to, int sig, const siginfo_t *info)
{
	if (!signal_may_send(from, to, sig))
		return -EPERM;
	if (!sig || to->zombie)
		return 0;
	return signal_send(to->leader, SIGNAL_TO_GROUP, sig, info, from_above(from, to));
}

int signal_kill_task(struct task *from, struct task *to, int sig, const siginfo_t *info)
{
	if (!signal_may_send(from, to->tg, sig))
		return -EPERM;
	if (!sig || to->state >= TASK_ZOMBIE)
		return 0;
	return signal_send(to, SIGNAL_TO_TASK, sig, info, from_above(from, to->tg));
}

/* The result of sending to many: 0 when one got it. */
static int many(int so_far, int r)
{
	return so_far == 0 || r == 0 ? 0 : r;
}

int signal_kill_pgrp(struct task *from, struct process_group *pgrp, int sig)
{
	struct thread_group *tg, *next;
	int r = -ESRCH;

	process_group_ref(pgrp);
	list_for_each_safe(tg, next, &pgrp->members, pgrp_node)
	{
		const siginfo_t info = signal_info_user(from, tg, sig, SI_USER);

		r = many(r, signal_kill_group(from, tg, sig, &info));
	}
	process_group_unref(pgrp);
	return r;
}

int signal_kill_all(struct task *from, int sig)
{
	struct pid_ns *ns = task_pid_ns(from);
	struct thread_group *tg;
	int nr = 2, r = -ESRCH;

	for (; (tg = thread_group_next(ns, nr, &nr)); nr++) {
		if (tg != from->tg) {
			const siginfo_t info = signal_info_user(from, tg, sig, SI_USER);

			/* As Linux: the last error, but EPERM does not count. */
			const int sent = signal_kill_group(from, tg, sig, &info);

			r = sent == -EPERM && r == 0 ? 0 : many(r, sent);
		}
		thread_group_unref(tg);
	}
	return r;
}

int signal_wait(struct task *t, kernel_sigset_t mask, nsec_t deadline, siginfo_t *ret)
{
	int sig, r;

	mask &= ~SIG_UNBLOCKABLE;
	sig = signal_dequeue(t, mask, ret);
	if (sig || deadline == 0)
		return sig ? sig : -EAGAIN;
	t->sig.real_blocked = t->sig.blocked;
	signal_set_blocked(t, t->sig.blocked & ~mask);
	r = fiber_park(deadline, true);
	while (r == 0 && !signal_pending(t))
		r = fiber_park(deadline, true);
	signal_set_blocked(t, t->sig.real_blocked);
	t->sig.real_blocked = 0;
	sig = signal_dequeue(t, mask, ret);
	if (sig)
		return sig;
	return r == -ETIMEDOUT ? -EAGAIN : -EINTR;
}
