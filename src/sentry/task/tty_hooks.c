/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/tty_hooks.c - see tty_hooks.h. */
#include "sentry/task/tty_hooks.h"

#include "sentry/task/sigqueue.h"

static const struct tty_hooks *hooks;

void tty_hooks_set(const struct tty_hooks *h)
{
	hooks = h;
}

void session_set_foreground(struct session *session, struct process_group *pgrp)
{
	struct process_group *old = session->foreground;

	session->foreground = pgrp ? process_group_ref(pgrp) : NULL;
	process_group_unref(old);
}

void session_set_tty(struct session *session, struct tty *tty)
{
	session->tty = tty;
	session_set_foreground(session, tty && session->leader ? session->leader->pgrp : NULL);
}

bool task_is_session_leader(const struct task *t)
{
	return t->tg->session->leader == t->tg;
}

bool task_ignores_signal(const struct task *t, int sig)
{
	return (t->sig.blocked & SIG_BIT(sig)) || signal_is_ignored(t, sig);
}

void session_leader_ended(struct session *session)
{
	session->leader = NULL;
	if (!session->tty)
		return;
	if (session->foreground) {
		(void)signal_send_pgrp(session->foreground, SIGHUP, NULL);
		(void)signal_send_pgrp(session->foreground, SIGCONT, NULL);
	}
	if (hooks && hooks->session_ended)
		hooks->session_ended(session);
	session->tty = NULL;
	session_set_foreground(session, NULL);
}
