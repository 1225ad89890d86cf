/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/tty_hooks.h - what a controlling terminal (fs/devpts) needs to hear from tasks.
 *
 * fs keeps session->tty and session->foreground; the functions below are for it.
 */
#pragma once

#include "sentry/task/task.h"

struct tty_hooks {
	/*
	 * The leader of a session with a controlling terminal ends: let go of session->tty. The
	 * foreground group has been sent SIGHUP and SIGCONT. Must not park.
	 */
	void (*session_ended)(struct session *session);
};
void tty_hooks_set(const struct tty_hooks *hooks); /* static; once, in boot */

/* A session becomes the terminal's: foreground is the leader's group (takes references). */
void session_set_tty(struct session *session, struct tty *tty);
void session_set_foreground(struct session *session, struct process_group *pgrp); /* NULL: none */

/* Has its leader, and is it the caller's? For TIOCSCTTY. */
bool task_is_session_leader(const struct task *t);
/* No process ties it to the rest of its session: SIGTTIN and SIGTTOU become EIO. */
bool process_group_orphaned(const struct process_group *pgrp);
/* SIGTTIN, SIGTTOU: 1 when the caller ignores or blocks the signal, 0 when it would stop. */
bool task_ignores_signal(const struct task *t, int sig);

/* exit.c's part: SIGHUP and SIGCONT to the foreground, then the hook. */
void session_leader_ended(struct session *session);
