/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/ptrace_access.c - see ptrace_access.h. */
#include "sentry/task/ptrace_access.h"

#include <linux/capability.h>

bool ptrace_may_access(const struct task *t, const struct task *target, enum ptrace_access access)
{
	const struct cred *a = t->cred, *b = target->cred;
	const uint32_t uid = access == PTRACE_ACCESS_READ ? a->fsuid : a->uid;
	const uint32_t gid = access == PTRACE_ACCESS_READ ? a->fsgid : a->gid;
	bool same;

	if (t->tg == target->tg)
		return true;
	same = uid == b->euid && uid == b->suid && uid == b->uid && gid == b->egid &&
	       gid == b->sgid && gid == b->gid;
	if (!same && !task_ns_capable(t, b->user_ns, CAP_SYS_PTRACE))
		return false;
	if (target->mm && !target->mm->dumpable && !task_ns_capable(t, b->user_ns, CAP_SYS_PTRACE))
		return false;
	/* Nobody gains what the caller does not have. */
	return (a->user_ns == b->user_ns && !(b->cap_permitted & ~a->cap_permitted)) ||
	       task_ns_capable(t, b->user_ns, CAP_SYS_PTRACE);
}
