/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/task/answers.h"

#include "sentry/core/cred.h"

static bool off;

void task_answers_off(void)
{
	off = true;
}

void task_answers_update(struct task *t)
{
	struct platform_answers a;
	const struct pid_ns *ns;

	if (!t->thread || !t->pid || !platform->thread_answers)
		return;
	t->published = t->thread;
	if (off || t->exiting || t->ptrace || t->seccomp || t->seccomp_strict) {
		platform->thread_answers(t->thread, NULL);
		return;
	}
	ns = task_pid_ns(t);
	a = (struct platform_answers){
		.tgid = (uint32_t)task_tgid(t, ns),
		.tid = (uint32_t)task_tid(t, ns),
		.ppid = t->tg->parent ? (uint32_t)pid_nr(t->tg->parent->pid, ns) : 0,
		.uid = t->cred->uid,
		.euid = t->cred->euid,
		.gid = t->cred->gid,
		.egid = t->cred->egid,
	};
	platform->thread_answers(t->thread, &a);
}
