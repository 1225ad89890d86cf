/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_kill.c - sending signals: kill(2), tgkill(2), rt_sigqueueinfo(2). */
#include "sentry/syscall/syscall.h"

static bool bad_signal(int sig)
{
	return sig < 0 || sig > KNSIG;
}

static int kill_process(struct task *t, int nr, int sig)
{
	struct thread_group *tg = thread_group_find(task_pid_ns(t), nr);
	siginfo_t info;
	int r;

	if (!tg) {
		/* A thread's number stands for its process. */
		struct task *thread = task_find(task_pid_ns(t), nr);

		if (!thread)
			return -ESRCH;
		tg = thread_group_ref(thread->tg);
		task_unref(thread);
	}
	info = signal_info_user(t, tg, sig, SI_USER);
	r = signal_kill_group(t, tg, sig, &info);
	thread_group_unref(tg);
	return r;
}

sysret_t sys_kill(struct task *t, const struct syscall_args *a)
{
	const int nr = arg_int(a, 0), sig = arg_int(a, 1);
	struct process_group *pgrp;
	int r;

	if (bad_signal(sig))
		return -EINVAL;
	if (nr > 0)
		return kill_process(t, nr, sig);
	if (nr == -1)
		return signal_kill_all(t, sig);
	if (nr == INT32_MIN)
		return -ESRCH;
	if (nr == 0)
		return signal_kill_pgrp(t, t->tg->pgrp, sig);
	pgrp = process_group_find(task_pid_ns(t), -nr);
	if (!pgrp)
		return -ESRCH;
	r = signal_kill_pgrp(t, pgrp, sig);
	process_group_unref(pgrp);
	return r;
}

/* tgid 0: any process. info NULL: as of tkill(2). */
static int kill_thread(struct task *t, int tgid, int tid, int sig, const siginfo_t *given)
{
	struct task *to = task_find(task_pid_ns(t), tid);
	int r = -ESRCH;

	if (to && (!tgid || task_tgid(to, task_pid_ns(t)) == tgid)) {
		const siginfo_t info = given ? *given : signal_info_user(t, to->tg, sig, SI_TKILL);

		r = signal_kill_task(t, to, sig, &info);
	}
	task_unref(to);
	return r;
}

sysret_t sys_tkill(struct task *t, const struct syscall_args *a)
{
	if (arg_int(a, 0) <= 0 || bad_signal(arg_int(a, 1)))
		return -EINVAL;
	return kill_thread(t, 0, arg_int(a, 0), arg_int(a, 1), NULL);
}

sysret_t sys_tgkill(struct task *t, const struct syscall_args *a)
{
	if (arg_int(a, 0) <= 0 || arg_int(a, 1) <= 0 || bad_signal(arg_int(a, 2)))
		return -EINVAL;
	return kill_thread(t, arg_int(a, 0), arg_int(a, 1), arg_int(a, 2), NULL);
}

/* A siginfo of the guest's: nobody may say that it comes from the kernel or from kill(2). */
static int import_info(struct task *t, uaddr_t from, int sig, bool to_self, siginfo_t *ret)
{
	if (user_copy_in(task_um(t), ret, from, sizeof(*ret)) < 0)
		return -EFAULT;
	ret->si_signo = sig;
	return (ret->si_code >= 0 || ret->si_code == SI_TKILL) && !to_self ? -EPERM : 0;
}

sysret_t sys_rt_sigqueueinfo(struct task *t, const struct syscall_args *a)
{
	const int nr = arg_int(a, 0), sig = arg_int(a, 1);
	struct thread_group *tg;
	siginfo_t info;
	int r;

	r = import_info(t, arg_uaddr(a, 2), sig, nr == task_tgid(t, task_pid_ns(t)), &info);
	if (r < 0)
		return r;
	if (bad_signal(sig))
		return -EINVAL;
	tg = nr > 0 ? thread_group_find(task_pid_ns(t), nr) : NULL;
	if (!tg)
		return -ESRCH;
	r = signal_kill_group(t, tg, sig, &info);
	thread_group_unref(tg);
	return r;
}

sysret_t sys_rt_tgsigqueueinfo(struct task *t, const struct syscall_args *a)
{
	const int tgid = arg_int(a, 0), tid = arg_int(a, 1), sig = arg_int(a, 2);
	siginfo_t info;
	int r;

	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	r = import_info(t, arg_uaddr(a, 3), sig, tid == task_tid(t, task_pid_ns(t)), &info);
	if (r < 0)
		return r;
	return bad_signal(sig) ? -EINVAL : kill_thread(t, tgid, tid, sig, &info);
}
