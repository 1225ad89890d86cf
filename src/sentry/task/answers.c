/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/task/answers.h"

#include <sys/syscall.h>

#include "base/str.h"
#include "sentry/core/cred.h"
#include "sentry/task/seccomp.h"

static const uint16_t answered[] = { SYS_getpid,  SYS_gettid, SYS_getppid, SYS_getuid,
				     SYS_geteuid, SYS_getgid, SYS_getegid };
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
	if (off || t->exiting || t->ptrace ||
	    !seccomp_allows_always(t, answered, ARRAY_LEN(answered))) {
		platform->thread_answers(t->thread, NULL);
		return;
	}
	ns = task_pid_ns(t);
	a = (struct platform_answers){
		.tgid = (uint32_t)task_tgid(t, ns),
		.tid = (uint32_t)task_tid(t, ns),
		.ppid = t->tg->parent ? (uint32_t)pid_nr(t->tg->parent->pid, ns) : 0,
		.uid = task_uid_out(t, t->cred->uid),
		.euid = task_uid_out(t, t->cred->euid),
		.gid = task_gid_out(t, t->cred->gid),
		.egid = task_gid_out(t, t->cred->egid),
	};
	platform->thread_answers(t->thread, &a);
}

void task_answers_mapped(const struct user_ns *ns)
{
	struct pid_ns *all = task_pid_ns(task_current());
	struct thread_group *tg;
	int pid = 0;

	while (pid_ns_parent(all))
		all = pid_ns_parent(all);
	while ((tg = thread_group_next(all, pid + 1, &pid)) != NULL) {
		struct task *t;

		list_for_each(t, &tg->tasks, tg_node)
		{
			if (t->cred->user_ns == ns)
				task_answers_update(t);
		}
		thread_group_unref(tg);
	}
}
