/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_wait.c - wait4(2), waitid(2). */
#include <string.h>
#include <sys/wait.h>

#include "sentry/syscall/syscall.h"
#include "sentry/task/pidfd.h"
#include "sentry/task/wait.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int wait4_target(struct task *t, int pid, struct wait_request *req)
{
	struct pid_ns *ns = task_pid_ns(t);

	if (pid == -1)
		return 0;
	if (pid > 0) {
		req->who = WAIT_FOR_PID;
		req->pid = pid_find(ns, pid);
	} else {
		req->who = WAIT_FOR_PGRP;
		req->pid = pid ? pid_find(ns, -pid) : t->tg->pgrp->pid;
	}
	return req->pid ? 0 : -ECHILD;
}

sysret_t sys_wait4(struct task *t, const struct syscall_args *a)
{
	const int pid = arg_int(a, 0), options = arg_int(a, 2);
	const uaddr_t status = arg_uaddr(a, 1), usage = arg_uaddr(a, 3);
	struct wait_request req = { .who = WAIT_FOR_ANY, .options = options | WEXITED };
	struct wait_result res;
	int r;

	if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	r = wait4_target(t, pid, &req);
	if (r < 0)
		return r;
	if (req.pid)
		pid_ref(req.pid);
	r = task_wait(t, &req, &res);
	pid_unref(req.pid);
	if (r <= 0)
		return r;
	if (status && user_copy_out(task_um(t), status, &res.status, sizeof(res.status)) < 0)
		return -EFAULT;
	if (usage && user_copy_out(task_um(t), usage, &res.usage, sizeof(res.usage)) < 0)
		return -EFAULT;
	return res.pid;
}

/* Sets req->pid with a reference. */
static int waitid_target(struct task *t, int type, int id, struct wait_request *req)
{
	struct pid_ns *ns = task_pid_ns(t);
	struct pid *pid = NULL;

	switch (type) {
	case P_ALL:
		req->who = WAIT_FOR_ANY;
		return 0;
	case P_PID:
		if (id <= 0)
			return -EINVAL;
		req->who = WAIT_FOR_PID;
		pid = pid_find(ns, id);
		break;
	case P_PGID:
		if (id < 0)
			return -EINVAL;
		req->who = WAIT_FOR_PGRP;
		pid = id ? pid_find(ns, id) : t->tg->pgrp->pid;
		break;
	case P_PIDFD: {
		AUTO_FILE struct file *f = id >= 0 ? fd_get(t->files, id) : NULL;

		if (id < 0)
			return -EINVAL;
		req->who = WAIT_FOR_PID;
		if (!f || !pidfd_pid(f))
			return -EBADF;
		if (f->flags & O_NONBLOCK)
			req->options |= WNOHANG;
		req->pid = pid_ref(pidfd_pid(f));
		return f->flags & O_NONBLOCK ? 1 : 0;
	}
	default:
		return -EINVAL;
	}
	if (!pid)
		return -ECHILD;
	req->pid = pid_ref(pid);
	return 0;
}

/* struct siginfo of waitid(2): signo, errno, code, then pid, uid, status. */
static int waitid_out(struct task *t, uaddr_t info_addr, const struct wait_result *res)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	if (res) {
		info.si_signo = SIGCHLD;
		info.si_code = res->code;
		info.si_pid = res->pid;
		info.si_uid = task_uid_out(t, res->uid);
		info.si_status = res->code == CLD_EXITED      ? res->status >> 8 & 0xff
				 : res->code == CLD_CONTINUED ? SIGCONT
				 : res->code == CLD_STOPPED || res->code == CLD_TRAPPED
					 ? res->status >> 8
					 : res->status & 0x7f;
	}
	return user_copy_out(task_um(t), info_addr, &info, offsetof(siginfo_t, si_status) + 4);
}

sysret_t sys_waitid(struct task *t, const struct syscall_args *a)
{
	const uaddr_t info = arg_uaddr(a, 2), usage = arg_uaddr(a, 4);
	const int options = arg_int(a, 3);
	struct wait_request req = { .options = options };
	struct wait_result res;
	bool again;
	int r;

	if (options & ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD |
			__WCLONE | __WALL))
		return -EINVAL;
	if (!(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	r = waitid_target(t, arg_int(a, 0), arg_int(a, 1), &req);
	if (r < 0)
		return r;
	again = r == 1;
	r = task_wait(t, &req, &res);
	pid_unref(req.pid);
	if (r < 0)
		return r;
	if (r == 0 && again)
		return -EAGAIN;
	if (r > 0 && usage && user_copy_out(task_um(t), usage, &res.usage, sizeof(res.usage)) < 0)
		return -EFAULT;
	return info ? waitid_out(t, info, r > 0 ? &res : NULL) : 0;
}
