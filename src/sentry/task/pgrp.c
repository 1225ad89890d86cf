/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/pgrp.c - process groups and sessions (setpgid(2), setsid(2), credentials(7)).
 */
#include <stdlib.h>

#include "sentry/task/internal.h"
#include "sentry/task/tty_hooks.h"

int session_new(struct pid *pid, struct session **ret)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->refs = 1;
	s->pid = pid_ref(pid);
	pid->session = s;
	*ret = s;
	return 0;
}

struct session *session_ref(struct session *session)
{
	session->refs++;
	return session;
}

void session_unref(struct session *session)
{
	if (!session || --session->refs)
		return;
	process_group_unref(session->foreground);
	if (session->pid->session == session) {
		session->pid->session = NULL;
		pid_release(session->pid);
	}
	pid_unref(session->pid);
	free(session);
}

int process_group_new(struct pid *pid, struct session *session, struct process_group **ret)
{
	struct process_group *pgrp = calloc(1, sizeof(*pgrp));

	if (!pgrp)
		return -ENOMEM;
	pgrp->refs = 1;
	pgrp->pid = pid_ref(pid);
	pgrp->session = session_ref(session);
	list_init(&pgrp->members);
	pid->pgrp = pgrp;
	*ret = pgrp;
	return 0;
}

struct process_group *process_group_ref(struct process_group *pgrp)
{
	pgrp->refs++;
	return pgrp;
}

static void forget_number(struct process_group *pgrp)
{
	if (pgrp->pid->pgrp != pgrp)
		return;
	pgrp->pid->pgrp = NULL;
	pid_release(pgrp->pid);
}

void process_group_unref(struct process_group *pgrp)
{
	if (!pgrp || --pgrp->refs)
		return;
	forget_number(pgrp);
	session_unref(pgrp->session);
	pid_unref(pgrp->pid);
	free(pgrp);
}

static void session_forget_number(struct session *s)
{
	if (s->members || s->pid->session != s)
		return;
	s->pid->session = NULL;
	pid_release(s->pid);
}

void process_group_join(struct thread_group *tg, struct process_group *pgrp)
{
	struct process_group *old = tg->pgrp;
	struct session *old_session = tg->session;

	process_group_ref(pgrp);
	session_ref(pgrp->session)->members++;
	list_del(&tg->pgrp_node);
	list_add_tail(&tg->pgrp_node, &pgrp->members);
	tg->pgrp = pgrp;
	tg->session = pgrp->session;
	if (old && list_empty(&old->members))
		forget_number(old);
	process_group_unref(old);
	if (old_session) {
		old_session->members--;
		session_forget_number(old_session);
	}
	session_unref(old_session);
}

void process_group_leave(struct thread_group *tg)
{
	if (list_empty(&tg->pgrp_node))
		return;
	list_del(&tg->pgrp_node);
	if (list_empty(&tg->pgrp->members))
		forget_number(tg->pgrp);
	tg->session->members--;
	session_forget_number(tg->session);
}

/* Does this member tie its group to the rest of the session? */
static bool links(const struct thread_group *tg, const struct thread_group *parent)
{
	return !tg->zombie && parent && parent->pgrp != tg->pgrp && parent->session == tg->session;
}

static bool orphaned_without(const struct process_group *pgrp, const struct thread_group *without)
{
	const struct thread_group *tg;

	list_for_each(tg, &pgrp->members,
		      pgrp_node) if (tg != without && links(tg, tg->parent)) return false;
	return true;
}

bool process_group_orphaned(const struct process_group *pgrp)
{
	return orphaned_without(pgrp, NULL);
}

static bool any_stopped(const struct process_group *pgrp)
{
	const struct thread_group *tg;

	list_for_each(tg, &pgrp->members, pgrp_node) if (tg->stopped) return true;
	return false;
}

void process_group_check_orphans(struct thread_group *tg, struct thread_group *parent,
				 const struct thread_group *without)
{
	struct process_group *pgrp = tg->pgrp;
	const bool linked = parent && parent->pgrp != pgrp && parent->session == tg->session;

	if (!linked || !orphaned_without(pgrp, without) || !any_stopped(pgrp))
		return;
	process_group_ref(pgrp);
	(void)signal_send_pgrp(pgrp, SIGHUP, NULL);
	(void)signal_send_pgrp(pgrp, SIGCONT, NULL);
	process_group_unref(pgrp);
}

static struct process_group *pgrp_in_session(struct session *session, struct pid *pid)
{
	struct process_group *pgrp = pid->pgrp;

	return pgrp && pgrp->session == session ? pgrp : NULL;
}

int task_setpgid(struct task *t, int nr, int pgid)
{
	struct pid_ns *ns = task_pid_ns(t);
	struct pid *pid = nr ? pid_find(ns, nr) : t->tg->pid, *group_pid;
	struct thread_group *tg = pid ? pid->tg : NULL;
	struct process_group *pgrp;
	int r;

	if (pgid < 0)
		return -EINVAL;
	if (!tg || (tg != t->tg && tg->parent != t->tg))
		return -ESRCH;
	if (tg != t->tg && tg->session != t->tg->session)
		return -EPERM;
	if (tg != t->tg && tg->did_exec)
		return -EACCES;
	if (tg->session->pid == tg->pid)
		return -EPERM;
	group_pid = pgid ? pid_find(ns, pgid) : tg->pid;
	if (!group_pid)
		return -EPERM;
	pgrp = pgrp_in_session(t->tg->session, group_pid);
	if (!pgrp && group_pid != tg->pid)
		return -EPERM;
	if (tg->pgrp->pid == group_pid)
		return 0;
	if (pgrp) {
		process_group_join(tg, pgrp);
		return 0;
	}
	r = process_group_new(group_pid, tg->session, &pgrp);
	if (r < 0)
		return r;
	process_group_join(tg, pgrp);
	process_group_unref(pgrp);
	return 0;
}

int task_setsid(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct session *session;
	struct process_group *pgrp;
	int r;

	if (tg->pid->pgrp || tg->session->pid == tg->pid)
		return -EPERM;
	r = session_new(tg->pid, &session);
	if (r < 0)
		return r;
	r = process_group_new(tg->pid, session, &pgrp);
	if (r == 0) {
		session->leader = tg;
		tg->tty_left = false;
		process_group_join(tg, pgrp);
		process_group_unref(pgrp);
	}
	session_unref(session);
	return r;
}
