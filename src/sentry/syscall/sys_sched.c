/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscall/sys_sched.c - scheduling calls. Guest threads are scheduled by the host with the
 * sandbox's share: policies and priorities are kept and told, and change nothing.
 */
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

#include "sentry/fs/proc/sysinfo.h"
#include "sentry/syscall/syscall.h"

#define POLICY_DEADLINE 6
#define RR_INTERVAL_NS	100000000l
#define NICE_MIN	(-20)
#define NICE_MAX	19
#define RESET_ON_FORK	0x40000000
#define SCHED_ATTR_V0	48u
#define SCHED_ATTR_MAX	4096u

static struct task *find(struct task *t, int nr)
{
	return nr ? task_find(task_pid_ns(t), nr) : task_ref(t);
}

static bool owns(const struct task *t, const struct task *of)
{
	return t->cred->euid == of->cred->euid || t->cred->euid == of->cred->uid ||
	       task_ns_capable(t, of->cred->user_ns, CAP_SYS_NICE);
}

static bool is_rt(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static int judge_policy(const struct task *t, const struct task *of, int policy, int priority)
{
	const bool normal = policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;

	if (!normal && !is_rt(policy))
		return -EINVAL;
	if (normal ? priority != 0 : priority < 1 || priority > 99)
		return -EINVAL;
	if (!owns(t, of))
		return -EPERM;
	if (is_rt(policy) && !task_capable(t, CAP_SYS_NICE) &&
	    (uint64_t)priority > task_rlimit(of, RLIMIT_RTPRIO) &&
	    (of->policy != policy || priority > of->rt_priority))
		return -EPERM;
	return 0;
}

/* policy -1: keep it. */
static sysret_t set_scheduler(struct task *t, int nr, int policy, uaddr_t param)
{
	struct task *of;
	int priority, r;

	if (nr < 0 || !param)
		return -EINVAL;
	if (user_copy_in(task_um(t), &priority, param, sizeof(priority)) < 0)
		return -EFAULT;
	of = find(t, nr);
	if (!of)
		return -ESRCH;
	if (policy < 0)
		policy = of->policy | (of->reset_on_fork ? RESET_ON_FORK : 0);
	r = judge_policy(t, of, policy & ~RESET_ON_FORK, priority);
	if (r == 0) {
		of->policy = policy & ~RESET_ON_FORK;
		of->reset_on_fork = policy & RESET_ON_FORK;
		of->rt_priority = priority;
	}
	task_unref(of);
	return r;
}

sysret_t sys_sched_setscheduler(struct task *t, const struct syscall_args *a)
{
	if (arg_int(a, 1) < 0)
		return -EINVAL;
	return set_scheduler(t, arg_int(a, 0), arg_int(a, 1), arg_uaddr(a, 2));
}

sysret_t sys_sched_setparam(struct task *t, const struct syscall_args *a)
{
	return set_scheduler(t, arg_int(a, 0), -1, arg_uaddr(a, 1));
}

sysret_t sys_sched_getscheduler(struct task *t, const struct syscall_args *a)
{
	struct task *of = arg_int(a, 0) >= 0 ? find(t, arg_int(a, 0)) : NULL;
	int policy;

	if (!of)
		return arg_int(a, 0) < 0 ? -EINVAL : -ESRCH;
	policy = of->policy | (of->reset_on_fork ? RESET_ON_FORK : 0);
	task_unref(of);
	return policy;
}

sysret_t sys_sched_getparam(struct task *t, const struct syscall_args *a)
{
	struct task *of;
	int priority;

	if (arg_int(a, 0) < 0 || !arg_uaddr(a, 1))
		return -EINVAL;
	of = find(t, arg_int(a, 0));
	if (!of)
		return -ESRCH;
	priority = of->rt_priority;
	task_unref(of);
	return user_copy_out(task_um(t), arg_uaddr(a, 1), &priority, sizeof(priority));
}

static sysret_t priority_bound(int policy, int rt)
{
	switch (policy) {
	case SCHED_FIFO:
	case SCHED_RR:
		return rt;
	case SCHED_OTHER:
	case SCHED_BATCH:
	case SCHED_IDLE:
	case POLICY_DEADLINE:
		return 0;
	default:
		return -EINVAL;
	}
}

sysret_t sys_sched_get_priority_max(struct task *t, const struct syscall_args *a)
{
	return priority_bound(arg_int(a, 0), 99);
}

sysret_t sys_sched_get_priority_min(struct task *t, const struct syscall_args *a)
{
	return priority_bound(arg_int(a, 0), 1);
}

sysret_t sys_sched_rr_get_interval(struct task *t, const struct syscall_args *a)
{
	struct timespec ts = { 0 };
	struct task *of;

	if (arg_int(a, 0) < 0)
		return -EINVAL;
	of = find(t, arg_int(a, 0));
	if (!of)
		return -ESRCH;
	if (of->policy == SCHED_RR)
		ts.tv_nsec = RR_INTERVAL_NS;
	else if (of->policy != SCHED_FIFO)
		ts.tv_nsec = 4000000;
	task_unref(of);
	return user_copy_out(task_um(t), arg_uaddr(a, 1), &ts, sizeof(ts));
}

sysret_t sys_sched_yield(struct task *t, const struct syscall_args *a)
{
	fiber_yield();
	return 0;
}

/* struct sched_attr of linux/sched/types.h, first version. */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};
_Static_assert(sizeof(struct attr) == SCHED_ATTR_V0, "sched_attr of Linux");

sysret_t sys_sched_setattr(struct task *t, const struct syscall_args *a)
{
	struct task *of;
	struct attr attr;
	int r;

	if (!arg_uaddr(a, 1) || arg_int(a, 0) < 0 || arg_uint(a, 2))
		return -EINVAL;
	if (user_copy_in(task_um(t), &attr, arg_uaddr(a, 1), sizeof(attr)) < 0)
		return -EFAULT;
	if (attr.flags & ~(uint64_t)SCHED_FLAG_RESET_ON_FORK)
		return -EINVAL;
	if (attr.size && (attr.size < SCHED_ATTR_V0 || attr.size > SCHED_ATTR_MAX))
		return -E2BIG;
	if (attr.nice < NICE_MIN)
		attr.nice = NICE_MIN;
	if (attr.nice > NICE_MAX)
		attr.nice = NICE_MAX;
	of = find(t, arg_int(a, 0));
	if (!of)
		return -ESRCH;
	r = judge_policy(t, of, (int)attr.policy, (int)attr.priority);
	if (r == 0) {
		of->policy = (int)attr.policy;
		of->reset_on_fork = attr.flags & SCHED_FLAG_RESET_ON_FORK;
		of->rt_priority = (int)attr.priority;
		if (!is_rt(of->policy))
			of->nice = attr.nice;
	}
	task_unref(of);
	return r;
}

sysret_t sys_sched_getattr(struct task *t, const struct syscall_args *a)
{
	const uint32_t size = arg_uint(a, 2);
	struct attr attr = { .size = SCHED_ATTR_V0 };
	struct task *of;

	if (!arg_uaddr(a, 1) || arg_int(a, 0) < 0 || size < SCHED_ATTR_V0 ||
	    size > SCHED_ATTR_MAX || arg_uint(a, 3))
		return -EINVAL;
	of = find(t, arg_int(a, 0));
	if (!of)
		return -ESRCH;
	attr.policy = (uint32_t)of->policy;
	attr.flags = of->reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0;
	attr.priority = (uint32_t)of->rt_priority;
	attr.nice = is_rt(of->policy) ? 0 : of->nice;
	task_unref(of);
	return user_copy_out(task_um(t), arg_uaddr(a, 1), &attr, sizeof(attr));
}

/* Bytes of the mask of all CPUs, whole words. */
static size_t mask_bytes(void)
{
	return (sysinfo_get()->cpus + 63) / 64 * 8;
}

static uint64_t online_word(unsigned int i)
{
	const unsigned int cpus = sysinfo_get()->cpus;

	if (cpus >= 64 * (i + 1))
		return ~0ull;
	return cpus > 64 * i ? (1ull << (cpus - 64 * i)) - 1 : 0;
}

sysret_t sys_sched_setaffinity(struct task *t, const struct syscall_args *a)
{
	uint64_t len = arg_uint(a, 1), mask[16] = { 0 }, any = 0;
	bool all = true;
	struct task *of;
	int r = 0;

	if (len > sizeof(mask))
		len = sizeof(mask);
	if (user_copy_in(task_um(t), mask, arg_uaddr(a, 2), len) < 0)
		return -EFAULT;
	of = find(t, arg_int(a, 0));
	if (!of)
		return -ESRCH;
	for (unsigned int i = 0; i < 16; i++) {
		mask[i] &= online_word(i);
		any |= mask[i];
		all = all && mask[i] == online_word(i);
	}
	if (all) /* of those that the sandbox is told of; the host's may be more */
		memset(mask, 0xff, sizeof(mask));
	if (!owns(t, of))
		r = -EPERM;
	else if (!any)
		r = -EINVAL;
	else
		task_set_affinity(of, mask);
	task_unref(of);
	return r;
}

sysret_t sys_sched_getaffinity(struct task *t, const struct syscall_args *a)
{
	const uint64_t len = arg_uint(a, 1);
	const size_t bytes = mask_bytes() < len ? mask_bytes() : len;
	uint64_t mask[16];
	struct task *of;

	if (len * 8 < sysinfo_get()->cpus || len % 8)
		return -EINVAL;
	of = find(t, arg_int(a, 0));
	if (!of)
		return -ESRCH;
	for (unsigned int i = 0; i < 16; i++)
		mask[i] = of->affinity[i] & online_word(i);
	task_unref(of);
	if (user_copy_out(task_um(t), arg_uaddr(a, 2), mask, bytes) < 0)
		return -EFAULT;
	return (sysret_t)bytes;
}

static unsigned int first_cpu(const struct task *t)
{
	for (unsigned int i = 0; i < 16; i++) {
		const uint64_t word = t->affinity[i] & online_word(i);

		if (word)
			return 64 * i + (unsigned int)__builtin_ctzll(word);
	}
	return 0;
}

sysret_t sys_getcpu(struct task *t, const struct syscall_args *a)
{
	const unsigned int node = 0, cpus = sysinfo_get()->cpus;
	unsigned int cpu = platform->thread_cpu ? platform->thread_cpu(t->thread) : UINT32_MAX;
	int r = 0;

	/* The host's CPUs may be more than the sandbox is told of. */
	if (cpu >= cpus || !(t->affinity[cpu / 64] >> cpu % 64 & 1))
		cpu = first_cpu(t);

	if (arg_uaddr(a, 0))
		r = user_copy_out(task_um(t), arg_uaddr(a, 0), &cpu, sizeof(cpu));
	if (r == 0 && arg_uaddr(a, 1))
		r = user_copy_out(task_um(t), arg_uaddr(a, 1), &node, sizeof(node));
	return r;
}

/* Is the process one of those that getpriority(2) and setpriority(2) speak of? */
static bool selected(const struct task *t, const struct thread_group *tg, int which, int who)
{
	struct pid_ns *ns = task_pid_ns(t);

	switch (which) {
	case PRIO_PROCESS:
		return who ? pid_nr(tg->pid, ns) == who : tg == t->tg;
	case PRIO_PGRP:
		return who ? pid_nr(tg->pgrp->pid, ns) == who : tg->pgrp == t->tg->pgrp;
	default:
		return tg->leader->cred->uid ==
		       (who ? user_ns_uid_in(t->cred->user_ns, (uint32_t)who) : t->cred->uid);
	}
}

static int set_nice(struct task *t, struct task *of, int nice)
{
	const uint64_t limit = task_rlimit(of, RLIMIT_NICE);

	if (!owns(t, of))
		return -EPERM;
	if (nice < of->nice && !task_capable(t, CAP_SYS_NICE) && (uint64_t)(20 - nice) > limit)
		return -EACCES;
	of->nice = nice;
	return 0;
}

sysret_t sys_setpriority(struct task *t, const struct syscall_args *a)
{
	const int which = arg_int(a, 0), who = arg_int(a, 1);
	int nice = arg_int(a, 2), nr = 1, r = -ESRCH;
	struct thread_group *tg;

	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	nice = nice < NICE_MIN ? NICE_MIN : nice > NICE_MAX ? NICE_MAX : nice;
	if (which == PRIO_PROCESS) {
		struct task *of = find(t, who);

		r = of ? set_nice(t, of, nice) : -ESRCH;
		task_unref(of);
		return r;
	}
	for (; (tg = thread_group_next(task_pid_ns(t), nr, &nr)); nr++) {
		struct task *of;

		if (selected(t, tg, which, who))
			list_for_each(of, &tg->tasks, tg_node)
			{
				const int set = set_nice(t, of, nice);

				r = r == -ESRCH || set < 0 ? set : r;
			}
		thread_group_unref(tg);
	}
	return r;
}

sysret_t sys_getpriority(struct task *t, const struct syscall_args *a)
{
	const int which = arg_int(a, 0), who = arg_int(a, 1);
	int best = -ESRCH, nr = 1;
	struct thread_group *tg;

	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	if (which == PRIO_PROCESS) {
		struct task *of = find(t, who);

		best = of ? 20 - of->nice : -ESRCH;
		task_unref(of);
		return best;
	}
	for (; (tg = thread_group_next(task_pid_ns(t), nr, &nr)); nr++) {
		if (selected(t, tg, which, who) && 20 - tg->leader->nice > best)
			best = 20 - tg->leader->nice;
		thread_group_unref(tg);
	}
	return best;
}

#define IOPRIO_CLASS(v) ((v) >> 13)
#define IOPRIO_DATA(v)	((v)&0x1fff)
#define IOPRIO_PROCESS	1
#define IOPRIO_USER	3

sysret_t sys_ioprio_set(struct task *t, const struct syscall_args *a)
{
	const unsigned int which = arg_uint(a, 0), value = arg_uint(a, 2);
	struct task *of;
	int r = 0;

	if (IOPRIO_CLASS(value) > 3 || (IOPRIO_CLASS(value) && IOPRIO_DATA(value) > 7) ||
	    (!IOPRIO_CLASS(value) && IOPRIO_DATA(value)))
		return -EINVAL;
	if (which < IOPRIO_PROCESS || which > IOPRIO_USER)
		return -EINVAL;
	if (IOPRIO_CLASS(value) == 1 && !task_capable(t, CAP_SYS_ADMIN) &&
	    !task_capable(t, CAP_SYS_NICE))
		return -EPERM;
	of = which == IOPRIO_PROCESS ? find(t, arg_int(a, 1)) : task_ref(t);
	if (!of)
		return -ESRCH;
	if (!owns(t, of))
		r = -EPERM;
	else
		of->ioprio = value;
	task_unref(of);
	return r;
}

sysret_t sys_ioprio_get(struct task *t, const struct syscall_args *a)
{
	const unsigned int which = arg_uint(a, 0);
	struct task *of;
	sysret_t value;

	if (which < IOPRIO_PROCESS || which > IOPRIO_USER)
		return -EINVAL;
	of = which == IOPRIO_PROCESS ? find(t, arg_int(a, 1)) : task_ref(t);
	if (!of)
		return -ESRCH;
	value = of->ioprio;
	task_unref(of);
	return value;
}
