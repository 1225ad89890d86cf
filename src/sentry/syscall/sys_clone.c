/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_clone.c - clone(2), clone3(2), fork(2), vfork(2). */
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <string.h>

#include "sentry/syscall/event.h"
#include "sentry/syscall/syscall.h"
#include "sentry/task/clone.h"

#define CLONE_ARGS_MAX 4096 /* a page, as Linux */

/* Flags that clone(2) and clone3(2) know. */
#define CLONE_KNOWN                                                                               \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_PIDFD | CLONE_PTRACE |         \
	 CLONE_VFORK | CLONE_PARENT | CLONE_THREAD | CLONE_NEWNS | CLONE_SYSVSEM | CLONE_SETTLS | \
	 CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_UNTRACED | CLONE_CHILD_SETTID |       \
	 CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |           \
	 CLONE_NEWNET | CLONE_IO | CLONE_NEWTIME)
#define CLONE3_KNOWN (CLONE_KNOWN | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP)

/* The task room tells of those that worked. */
static sysret_t do_clone(struct task *t, const struct clone_request *req)
{
	const int64_t r = task_clone(t, req);

	if (event_wanted(EVENT_clone) && r < 0 && r > -ERESTARTSYS)
		event_clone_failed(t, req->flags, r);
	return r;
}

sysret_t sys_clone(struct task *t, const struct syscall_args *a)
{
	const uint64_t flags = (uint32_t)arg_u64(a, 0);
	struct clone_request req = {
		.flags = flags & ~(uint64_t)CSIGNAL & ~(uint64_t)CLONE_DETACHED,
		.exit_signal = (int)(flags & CSIGNAL),
		.stack = arg_uaddr(a, 1),
		.parent_tid = arg_uaddr(a, 2),
		.pidfd = arg_uaddr(a, 2),
		.child_tid = arg_uaddr(a, 3),
		.tls = arg_u64(a, 4),
	};

	if ((flags & CLONE_PIDFD) && (flags & (CLONE_PARENT_SETTID | CLONE_DETACHED)))
		return -EINVAL;
	req.flags &= CLONE_KNOWN;
	return do_clone(t, &req);
}

sysret_t sys_fork(struct task *t, const struct syscall_args *a)
{
	const struct clone_request req = { .exit_signal = SIGCHLD };

	return do_clone(t, &req);
}

sysret_t sys_vfork(struct task *t, const struct syscall_args *a)
{
	const struct clone_request req = { .flags = CLONE_VM | CLONE_VFORK,
					   .exit_signal = SIGCHLD };

	return do_clone(t, &req);
}

/* The structure grows over time: what we do not know must be zero. */
static int import_args(struct task *t, uaddr_t from, uint64_t size, struct clone_args *ret)
{
	uint8_t rest[256];
	int r;

	memset(ret, 0, sizeof(*ret));
	if (size > CLONE_ARGS_MAX)
		return -E2BIG;
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	r = user_copy_in(task_um(t), ret, from, size < sizeof(*ret) ? size : sizeof(*ret));
	for (uint64_t at = sizeof(*ret); r == 0 && at < size; at += sizeof(rest)) {
		const size_t len = size - at < sizeof(rest) ? size - at : sizeof(rest);

		r = user_copy_in(task_um(t), rest, from + at, len);
		for (size_t i = 0; r == 0 && i < len; i++)
			if (rest[i])
				r = -E2BIG;
	}
	return r;
}

static int judge_args(const struct clone_args *c)
{
	if (c->flags & ~(uint64_t)(CLONE3_KNOWN))
		return -EINVAL;
	if (c->flags & (CLONE_DETACHED | (CSIGNAL & ~CLONE_NEWTIME)))
		return -EINVAL;
	if ((c->flags & (CLONE_THREAD | CLONE_PARENT)) && c->exit_signal)
		return -EINVAL;
	if (c->exit_signal & ~(uint64_t)CSIGNAL || c->exit_signal > KNSIG)
		return -EINVAL;
	if (!c->stack != !c->stack_size)
		return -EINVAL;
	if (c->set_tid_size > PID_NS_LEVELS_MAX || !c->set_tid != !c->set_tid_size)
		return -EINVAL;
	return 0;
}

sysret_t sys_clone3(struct task *t, const struct syscall_args *a)
{
	struct clone_request req = { 0 };
	struct clone_args c;
	int r;

	r = import_args(t, arg_uaddr(a, 0), arg_u64(a, 1), &c);
	if (r == 0)
		r = judge_args(&c);
	if (r < 0)
		return r;
	if (c.set_tid_size) {
		const struct user_ns *user = pid_ns_user(task_pid_ns(t));

		if (!task_ns_capable(t, user, CAP_SYS_ADMIN) &&
		    !task_ns_capable(t, user, CAP_CHECKPOINT_RESTORE))
			return -EPERM;
		r = user_copy_in(task_um(t), req.set_tid, c.set_tid,
				 c.set_tid_size * sizeof(req.set_tid[0]));
		if (r < 0)
			return r;
	}
	req.flags = c.flags;
	req.exit_signal = (int)c.exit_signal;
	req.pidfd = c.pidfd;
	req.child_tid = c.child_tid;
	req.parent_tid = c.parent_tid;
	req.stack = c.stack + c.stack_size;
	req.tls = c.tls;
	req.set_tid_len = c.set_tid_size;
	return do_clone(t, &req);
}
