/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devpts/job.c - controlling terminals and job control (credentials(7), termios(3)).
 *
 * A session with a controlling terminal holds one reference on it (session->tty); tty->session
 * points back. Both go together in tty_disassociate() and when the session's leader ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>

#include "sentry/fs/devpts/internal.h"
#include "sentry/task/tty_hooks.h"

struct tty *tty_of_current(void)
{
	const struct task *t = task_current();

	return t && !t->tg->tty_left ? t->tg->session->tty : NULL;
}

int tty_check_change(struct tty *t, int sig)
{
	struct task *task = task_current();
	const struct process_group *foreground;

	if (!task || tty_of_current() != t)
		return 0;
	foreground = task->tg->session->foreground;
	if (!foreground || foreground == task->tg->pgrp)
		return 0;
	if (task_ignores_signal(task, sig))
		return sig == SIGTTIN ? -EIO : 0;
	if (process_group_orphaned(task->tg->pgrp))
		return -EIO;
	(void)signal_send_pgrp(task->tg->pgrp, sig, NULL);
	return -ERESTARTSYS;
}

void tty_signal(struct tty *t, int sig)
{
	if (t->session && t->session->foreground)
		(void)signal_send_pgrp(t->session->foreground, sig, NULL);
}

static void associate(struct tty *t, struct session *session)
{
	t->session = session;
	session_set_tty(session, tty_ref(t));
}

void tty_disassociate(struct tty *t)
{
	struct session *session = t->session;

	if (!session)
		return;
	t->session = NULL;
	session_set_tty(session, NULL);
	tty_unref(t);
}

void tty_opened_by(struct tty *t, uint32_t flags)
{
	const struct task *task = task_current();

	if (!task || flags & O_NOCTTY || (flags & O_ACCMODE) == O_WRONLY)
		return;
	if (!task_is_session_leader(task) || task->tg->session->tty || t->session)
		return;
	associate(t, task->tg->session);
}

int tty_set_controlling(struct tty *t, struct file *f, uint64_t arg)
{
	const struct task *task = task_current();
	struct session *session;
	bool admin;

	if (!task)
		return -EPERM;
	session = task->tg->session;
	admin = task_capable(task, CAP_SYS_ADMIN);
	if (task_is_session_leader(task) && t->session == session)
		return 0;
	if (!task_is_session_leader(task) || session->tty)
		return -EPERM;
	if (t->session) {
		if (arg != 1 || !admin)
			return -EPERM;
		tty_disassociate(t);
	}
	if (!(f->mode & FMODE_READ) && !admin)
		return -EPERM;
	associate(t, session);
	return 0;
}

void tty_file_set_session(struct file *slave, struct session *session)
{
	struct tty_file *tf = tty_file_check(slave);

	if (tf && !session->tty && !tf->tty->session)
		associate(tf->tty, session);
}

/* A session's terminal is its leader's to give up; another process lets go of it for itself. */
int tty_give_up(struct tty *t)
{
	const struct task *task = task_current();
	struct process_group *foreground;

	if (!task || tty_of_current() != t)
		return -ENOTTY;
	if (!task_is_session_leader(task)) {
		task->tg->tty_left = true;
		return 0;
	}
	foreground = task->tg->session->foreground;
	if (foreground) {
		process_group_ref(foreground);
		(void)signal_send_pgrp(foreground, SIGHUP, NULL);
		(void)signal_send_pgrp(foreground, SIGCONT, NULL);
		process_group_unref(foreground);
	}
	tty_disassociate(t);
	return 0;
}

int tty_get_pgrp(struct tty *t, bool master, int *ret)
{
	const struct task *task = task_current();
	const struct process_group *pgrp = t->session ? t->session->foreground : NULL;

	if (!task || (!master && tty_of_current() != t))
		return -ENOTTY;
	*ret = pgrp ? pid_nr(pgrp->pid, task_pid_ns(task)) : 0;
	return 0;
}

int tty_set_pgrp(struct tty *t, int nr)
{
	const struct task *task = task_current();
	struct process_group *pgrp;
	int r = tty_check_change(t, SIGTTOU);

	if (r == -EIO)
		return -ENOTTY;
	if (r < 0)
		return r;
	if (!task || tty_of_current() != t || t->session != task->tg->session)
		return -ENOTTY;
	if (nr < 0)
		return -EINVAL;
	pgrp = process_group_find(task_pid_ns(task), nr);
	if (!pgrp)
		return -ESRCH;
	if (pgrp->session == task->tg->session)
		session_set_foreground(task->tg->session, pgrp);
	else
		r = -EPERM;
	process_group_unref(pgrp);
	return r;
}

int tty_get_session(struct tty *t, bool master, int *ret)
{
	const struct task *task = task_current();

	if (!task || (!master && tty_of_current() != t) || !t->session)
		return -ENOTTY;
	*ret = pid_nr(t->session->pid, task_pid_ns(task));
	return 0;
}

/* The leader ends: the others of the session lose the terminal too. */
static void session_ended(struct session *session)
{
	struct tty *t = session->tty;

	t->session = NULL;
	tty_hangup(t);
	tty_unref(t);
}

void job_register(void)
{
	static const struct tty_hooks hooks = { .session_ended = session_ended };

	tty_hooks_set(&hooks);
}
