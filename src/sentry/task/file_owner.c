/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/file_owner.c - who is told of a descriptor by a signal: see file_owner.h. */
#include "sentry/task/file_owner.h"

#include <errno.h>
#include <linux/capability.h>

#include "sentry/task/signal.h"
#include "sentry/task/task.h"

static void deliver(const struct file *f, int sig, const siginfo_t *info)
{
	struct pid_ns *ns = f->owner_ns;

	if (!ns || !f->owner_id)
		return;
	if (f->owner_type == FILE_OWNER_THREAD) {
		struct task *who = task_find(ns, f->owner_id);

		if (who)
			(void)signal_send_task(who, sig, info);
		task_unref(who);
	} else if (f->owner_type == FILE_OWNER_PROCESS) {
		struct thread_group *who = thread_group_find(ns, f->owner_id);

		if (who)
			(void)signal_send_group(who, sig, info);
		thread_group_unref(who);
	} else {
		struct process_group *who = process_group_find(ns, f->owner_id);

		if (who)
			(void)signal_send_pgrp(who, sig, info);
		process_group_unref(who);
	}
}

/* The signal of F_SETSIG, which tells what happened, or a plain SIGIO: send_sigio() of Linux. */
void file_owner_tell(const struct file *f, int code, uint32_t band)
{
	const int sig = f->owner_signal ? f->owner_signal : SIGIO;
	siginfo_t info = { .si_signo = sig, .si_code = f->owner_signal ? code : SI_KERNEL };

	if (f->owner_signal) {
		info.si_band = band;
		info.si_fd = f->owner_fd;
	}
	deliver(f, sig, &info);
}

void file_owner_ready(struct wait_entry *entry, uint32_t events)
{
	const struct file *f = container_of(entry, struct file, async);

	if (events & POLLIN)
		file_owner_tell(f, POLL_IN, POLLIN | POLLRDNORM);
	else if (events & POLLOUT)
		file_owner_tell(f, POLL_OUT, POLLOUT | POLLWRNORM | POLLWRBAND);
	else if (events & POLLPRI)
		file_owner_tell(f, POLL_PRI, POLLPRI | POLLRDBAND);
	else
		file_owner_tell(f, POLL_HUP, POLLHUP | POLLERR);
}

void file_owner_urgent(const struct file *f)
{
	const siginfo_t info = { .si_signo = SIGURG, .si_code = SI_KERNEL };

	deliver(f, SIGURG, &info);
}

static void owner_done(struct file *f)
{
	if (f->owner_ns)
		pid_ns_unref(f->owner_ns);
	f->owner_ns = NULL;
}

int file_owner_set(struct task *t, struct file *f, int type, int id)
{
	struct pid_ns *ns = task_pid_ns(t);
	bool there = true, may = false;

	if (id && type == FILE_OWNER_THREAD) {
		struct task *who = task_find(ns, id);

		there = who != NULL;
		may = who && signal_may_send(t, who->tg, SIGIO);
		task_unref(who);
	} else if (id && type == FILE_OWNER_PROCESS) {
		struct thread_group *who = thread_group_find(ns, id);

		there = who != NULL;
		may = who && signal_may_send(t, who, SIGIO);
		thread_group_unref(who);
	} else if (id) {
		struct process_group *who = process_group_find(ns, id);

		there = who != NULL;
		may = who && (who->session == t->tg->session || task_capable(t, CAP_KILL));
		process_group_unref(who);
	}
	if (!there)
		return -ESRCH;
	f->owner_type = type;
	f->owner_id = id;
	owner_done(f);
	f->owner_ns = may ? pid_ns_ref(ns) : NULL;
	f->owner_done = owner_done;
	return 0;
}
