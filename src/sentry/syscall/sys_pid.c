/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_pid.c - numbers of tasks, process groups and sessions. */
#include "sentry/syscall/syscall.h"

sysret_t sys_getpid(struct task *t, const struct syscall_args *a)
{
	return task_tgid(t, task_pid_ns(t));
}

sysret_t sys_gettid(struct task *t, const struct syscall_args *a)
{
	return task_tid(t, task_pid_ns(t));
}

sysret_t sys_getppid(struct task *t, const struct syscall_args *a)
{
	const struct thread_group *parent = t->tg->parent;

	return parent ? pid_nr(parent->pid, task_pid_ns(t)) : 0;
}

sysret_t sys_set_tid_address(struct task *t, const struct syscall_args *a)
{
	t->clear_child_tid = arg_uaddr(a, 0);
	return task_tid(t, task_pid_ns(t));
}

/* The process of getpgid(2) and getsid(2): 0 is the caller's. */
static struct thread_group *group_of(struct task *t, int nr)
{
	struct pid *pid;

	if (!nr)
		return t->tg;
	pid = pid_find(task_pid_ns(t), nr);
	return pid ? pid->tg : NULL;
}

sysret_t sys_getpgid(struct task *t, const struct syscall_args *a)
{
	const struct thread_group *tg = group_of(t, arg_int(a, 0));

	return tg ? pid_nr(tg->pgrp->pid, task_pid_ns(t)) : -ESRCH;
}

sysret_t sys_getpgrp(struct task *t, const struct syscall_args *a)
{
	return pid_nr(t->tg->pgrp->pid, task_pid_ns(t));
}

sysret_t sys_getsid(struct task *t, const struct syscall_args *a)
{
	const struct thread_group *tg = group_of(t, arg_int(a, 0));

	return tg ? pid_nr(tg->session->pid, task_pid_ns(t)) : -ESRCH;
}

sysret_t sys_setpgid(struct task *t, const struct syscall_args *a)
{
	return task_setpgid(t, arg_int(a, 0), arg_int(a, 1));
}

sysret_t sys_setsid(struct task *t, const struct syscall_args *a)
{
	const int r = task_setsid(t);

	return r < 0 ? r : pid_nr(t->tg->pid, task_pid_ns(t));
}
