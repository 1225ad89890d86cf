/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_rlimit.c - getrlimit(2), setrlimit(2), prlimit(2). */
#include <linux/capability.h>

#include "sentry/syscall/syscall.h"
#include "sentry/task/itimer.h"

static int set_limit(struct task *t, struct thread_group *tg, unsigned int resource,
		     const struct rlimit *limit)
{
	struct rlimit *slot = &tg->limits[resource];

	if (limit->rlim_cur > limit->rlim_max)
		return -EINVAL;
	if (resource == RLIMIT_NOFILE && limit->rlim_max > FD_TABLE_MAX)
		return -EPERM;
	if (limit->rlim_max > slot->rlim_max && !task_capable(t, CAP_SYS_RESOURCE))
		return -EPERM;
	*slot = *limit;
	return resource == RLIMIT_CPU ? rlimit_cpu_changed(tg) : 0;
}

sysret_t sys_getrlimit(struct task *t, const struct syscall_args *a)
{
	const unsigned int resource = arg_uint(a, 0);

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	return user_copy_out(task_um(t), arg_uaddr(a, 1), &t->tg->limits[resource],
			     sizeof(struct rlimit));
}

sysret_t sys_setrlimit(struct task *t, const struct syscall_args *a)
{
	const unsigned int resource = arg_uint(a, 0);
	struct rlimit limit;

	if (user_copy_in(task_um(t), &limit, arg_uaddr(a, 1), sizeof(limit)) < 0)
		return -EFAULT;
	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	return set_limit(t, t->tg, resource, &limit);
}

/* As check_prlimit_permission() of Linux: all ids are the caller's, or the capability. */
static bool may_limit(const struct task *t, const struct task *of)
{
	const struct cred *a = t->cred, *b = of->cred;

	if (t->tg == of->tg || task_ns_capable(t, b->user_ns, CAP_SYS_RESOURCE))
		return true;
	return a->uid == b->euid && a->uid == b->suid && a->uid == b->uid && a->gid == b->egid &&
	       a->gid == b->sgid && a->gid == b->gid;
}

sysret_t sys_prlimit64(struct task *t, const struct syscall_args *a)
{
	const int nr = arg_int(a, 0);
	const unsigned int resource = arg_uint(a, 1);
	const uaddr_t from = arg_uaddr(a, 2), to = arg_uaddr(a, 3);
	struct rlimit limit, old;
	struct task *of;
	int r = 0;

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	if (from && user_copy_in(task_um(t), &limit, from, sizeof(limit)) < 0)
		return -EFAULT;
	of = nr ? task_find(task_pid_ns(t), nr) : task_ref(t);
	if (!of)
		return -ESRCH;
	if (!may_limit(t, of))
		r = -EPERM;
	old = of->tg->limits[resource];
	if (r == 0 && from)
		r = set_limit(t, of->tg, resource, &limit);
	task_unref(of);
	if (r == 0 && to)
		r = user_copy_out(task_um(t), to, &old, sizeof(old));
	return r;
}
