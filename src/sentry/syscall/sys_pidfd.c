/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_pidfd.c - pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2), signalfd(2). */
#include "sentry/fs/proc/proc.h"
#include "sentry/syscall/syscall.h"
#include "sentry/task/pidfd.h"
#include "sentry/task/ptrace_access.h"
#include "sentry/task/signalfd.h"

sysret_t sys_pidfd_open(struct task *t, const struct syscall_args *a)
{
	const int nr = arg_int(a, 0);
	const unsigned int flags = arg_uint(a, 1);
	struct file *f;
	struct pid *pid;
	int r;

	if ((flags & ~(unsigned int)O_NONBLOCK) || nr <= 0)
		return -EINVAL;
	pid = pid_find(task_pid_ns(t), nr);
	if (!pid || (!pid->tg && !pid->task))
		return -ESRCH;
	if (!pid->tg)
		return -EINVAL;
	r = pidfd_file_new(pid, flags, &f);
	return r < 0 ? r : fd_install(t->files, f, true, task_rlimit(t, RLIMIT_NOFILE));
}

/* The process of a pidfd, or where `dir` allows it of its directory in /proc, borrowed: -EBADF,
 * -ESRCH. */
static int process_of(struct task *t, int fd, bool dir, struct thread_group **ret)
{
	AUTO_FILE struct file *f = fd_get(t->files, fd);
	struct pid *pid = f ? pidfd_pid(f) : NULL;

	if (f && !pid && dir)
		pid = proc_dir_pid(f);
	if (!pid)
		return -EBADF;
	if (!pid->tg)
		return -ESRCH;
	*ret = pid->tg;
	return 0;
}

sysret_t sys_pidfd_send_signal(struct task *t, const struct syscall_args *a)
{
	const int sig = arg_int(a, 1);
	const uaddr_t info_addr = arg_uaddr(a, 2);
	struct thread_group *tg;
	siginfo_t info;
	int r;

	if (arg_uint(a, 3))
		return -EINVAL;
	r = process_of(t, arg_int(a, 0), true, &tg);
	if (r < 0)
		return r;
	if (sig < 0 || sig > KNSIG || !pid_nr(tg->pid, task_pid_ns(t)))
		return -EINVAL;
	thread_group_ref(tg);
	info = signal_info_user(t, tg, sig, SI_USER);
	if (info_addr) {
		r = user_copy_in(task_um(t), &info, info_addr, sizeof(info));
		if (r == 0 && info.si_signo != sig)
			r = -EINVAL;
		if (r == 0 && tg != t->tg && (info.si_code >= 0 || info.si_code == SI_TKILL))
			r = -EPERM;
	}
	if (r == 0)
		r = tg->zombie ? -ESRCH : signal_kill_group(t, tg, sig, &info);
	thread_group_unref(tg);
	return r;
}

sysret_t sys_pidfd_getfd(struct task *t, const struct syscall_args *a)
{
	struct thread_group *tg;
	struct file *f;
	int r;

	if (arg_uint(a, 2))
		return -EINVAL;
	r = process_of(t, arg_int(a, 0), false, &tg);
	if (r < 0)
		return r;
	if (!ptrace_may_access(t, tg->leader, PTRACE_ACCESS_ATTACH))
		return -EPERM;
	if (!tg->leader->files)
		return -ESRCH;
	f = fd_get_any(tg->leader->files, arg_int(a, 1));
	return f ? fd_install(t->files, f, true, task_rlimit(t, RLIMIT_NOFILE)) : -EBADF;
}

static sysret_t signalfd(struct task *t, const struct syscall_args *a, int flags)
{
	const int fd = arg_int(a, 0);
	kernel_sigset_t mask;
	struct file *f;
	int r;

	if (arg_u64(a, 2) != sizeof(mask) || (flags & ~(O_CLOEXEC | O_NONBLOCK)))
		return -EINVAL;
	if (user_copy_in(task_um(t), &mask, arg_uaddr(a, 1), sizeof(mask)) < 0)
		return -EFAULT;
	if (fd != -1) {
		f = fd_get(t->files, fd);
		if (!f)
			return -EBADF;
		r = signalfd_set_mask(t, f, mask);
		file_unref(f);
		return r < 0 ? r : fd;
	}
	r = signalfd_file_new(t, mask, (uint32_t)flags & O_NONBLOCK, &f);
	if (r < 0)
		return r;
	return fd_install(t->files, f, flags & O_CLOEXEC, task_rlimit(t, RLIMIT_NOFILE));
}

sysret_t sys_signalfd(struct task *t, const struct syscall_args *a)
{
	return signalfd(t, a, 0);
}

sysret_t sys_signalfd4(struct task *t, const struct syscall_args *a)
{
	return signalfd(t, a, arg_int(a, 3));
}
