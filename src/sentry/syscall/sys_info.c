/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_info.c - sysinfo(2), kcmp(2), membarrier(2), syslog(2). */
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <linux/membarrier.h>
#include <linux/sysinfo.h>
#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/fs/proc/sysinfo.h"
#include "sentry/syscall/syscall.h"
#include "sentry/task/account.h"
#include "sentry/task/ptrace_access.h"

sysret_t sys_sysinfo(struct task *t, const struct syscall_args *a)
{
	const struct sandbox_info *machine = sysinfo_get();
	struct sandbox_usage usage;
	struct sysinfo info;
	uint64_t loads[3];

	memset(&info, 0, sizeof(info));
	sysinfo_usage(&usage);
	info.uptime = (long)((kclock_monotonic() - machine->boot_monotonic) / NSEC_PER_SEC);
	load_averages(loads);
	for (int i = 0; i < 3; i++)
		info.loads[i] = loads[i] * ((1u << SI_LOAD_SHIFT) / LOAD_ONE);
	info.totalram = machine->memory_limit;
	info.freeram = machine->memory_limit - usage.memory;
	info.sharedram = usage.shmem;
	info.totalswap = info.freeswap = machine->swap_limit;
	info.procs =
		(uint16_t)(t->container->tasks < UINT16_MAX ? t->container->tasks : UINT16_MAX);
	info.mem_unit = 1;
	return user_copy_out(task_um(t), arg_uaddr(a, 0), &info, sizeof(info));
}

/* 0: the same; 1, 2: an order that holds while both live (kcmp(2)). */
static sysret_t compare(const void *x, const void *y)
{
	return x == y ? 0 : (uintptr_t)x < (uintptr_t)y ? 1 : 2;
}

static sysret_t compare_files(const struct task *x, const struct task *y,
			      const struct syscall_args *a)
{
	AUTO_FILE struct file *f = x->files ? fd_get_any(x->files, arg_int(a, 3)) : NULL;
	AUTO_FILE struct file *g = y->files ? fd_get_any(y->files, arg_int(a, 4)) : NULL;

	return f && g ? compare(f, g) : -EBADF;
}

static sysret_t compare_tasks(const struct task *x, const struct task *y,
			      const struct syscall_args *a)
{
	switch (arg_int(a, 2)) {
	case KCMP_FILE:
		return compare_files(x, y, a);
	case KCMP_VM:
		return compare(x->mm, y->mm);
	case KCMP_FILES:
		return compare(x->files, y->files);
	case KCMP_FS:
		return compare(x->fs, y->fs);
	case KCMP_SIGHAND:
		return compare(x->tg->sighand, y->tg->sighand);
	case KCMP_IO:
		return 0;
	case KCMP_SYSVSEM:
		return compare(x->tg->sem_undo, y->tg->sem_undo);
	default:
		return -EINVAL;
	}
}

sysret_t sys_kcmp(struct task *t, const struct syscall_args *a)
{
	struct task *x = task_find(task_pid_ns(t), arg_int(a, 0));
	struct task *y = task_find(task_pid_ns(t), arg_int(a, 1));
	sysret_t r = -ESRCH;

	if (x && y)
		r = ptrace_may_access(t, x, PTRACE_ACCESS_READ_REAL) &&
				    ptrace_may_access(t, y, PTRACE_ACCESS_READ_REAL)
			    ? compare_tasks(x, y, a)
			    : -EPERM;
	task_unref(x);
	task_unref(y);
	return r;
}

#define MEMBARRIER_KNOWN                                                               \
	(MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |                     \
	 MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED | \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)

/* Interrupt every other running thread of the space: leaving guest code is a full barrier. */
static void barrier(struct task *t)
{
	struct task *other;

	list_for_each(other, &t->tg->tasks, tg_node) if (other != t && other->in_guest)
		platform->thread_interrupt(other->thread);
}

sysret_t sys_membarrier(struct task *t, const struct syscall_args *a)
{
	if (arg_uint(a, 1))
		return -EINVAL;
	switch (arg_int(a, 0)) {
	case MEMBARRIER_CMD_QUERY:
		return MEMBARRIER_KNOWN;
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
		return 0;
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
		t->tg->membarrier_private = true;
		return 0;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
		if (!t->tg->membarrier_private)
			return -EPERM;
		barrier(t);
		return 0;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		barrier(t);
		return 0;
	default:
		return -EINVAL;
	}
}

/* The log of the sandbox's kernel is empty. */
enum syslog_action {
	SYSLOG_CLOSE,
	SYSLOG_OPEN,
	SYSLOG_READ,
	SYSLOG_READ_ALL,
	SYSLOG_READ_CLEAR,
	SYSLOG_CLEAR,
	SYSLOG_CONSOLE_OFF,
	SYSLOG_CONSOLE_ON,
	SYSLOG_CONSOLE_LEVEL,
	SYSLOG_SIZE_UNREAD,
	SYSLOG_SIZE_BUFFER,
};
#define SYSLOG_BUFFER 131072

sysret_t sys_syslog(struct task *t, const struct syscall_args *a)
{
	const int action = arg_int(a, 0);

	if (action < SYSLOG_CLOSE || action > SYSLOG_SIZE_BUFFER)
		return -EINVAL;
	if (!task_capable(t, CAP_SYSLOG) && !task_capable(t, CAP_SYS_ADMIN))
		return -EPERM;
	switch (action) {
	case SYSLOG_READ:
	case SYSLOG_READ_ALL:
	case SYSLOG_READ_CLEAR:
		return arg_uaddr(a, 1) && arg_int(a, 2) >= 0 ? 0 : -EINVAL;
	case SYSLOG_SIZE_BUFFER:
		return SYSLOG_BUFFER;
	case SYSLOG_CONSOLE_LEVEL:
		return arg_int(a, 2) >= 1 && arg_int(a, 2) <= 8 ? 0 : -EINVAL;
	default:
		return 0;
	}
}
