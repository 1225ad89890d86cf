/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dup(2), fcntl(2), ioctl(2): what is about the descriptor and the description themselves.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/syscall/sys_lock.h"
#include "sentry/syscall/sys_vfs.h"
#include "sentry/vfs/pipe.h"

#define F_OWNER_TID_TYPE 0 /* F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP of fcntl(2) */

struct owner_ex {
	int type, pid;
};

sysret_t sys_dup(struct task *t, const struct syscall_args *a)
{
	struct file *f = fd_get_any(t->files, arg_int(a, 0));

	return f ? sys_install(t, f, false) : -EBADF;
}

static sysret_t dup_to(struct task *t, int old, int new, bool cloexec)
{
	struct file *f = fd_get_any(t->files, old);
	int r;

	if (!f)
		return -EBADF;
	r = fd_replace(t->files, new, f, cloexec, task_rlimit(t, RLIMIT_NOFILE));
	return r < 0 ? r : new;
}

sysret_t sys_dup2(struct task *t, const struct syscall_args *a)
{
	const int old = arg_int(a, 0), new = arg_int(a, 1);

	if (old == new)
		return fd_get_cloexec(t->files, old) < 0 ? -EBADF : new;
	return dup_to(t, old, new, false);
}

sysret_t sys_dup3(struct task *t, const struct syscall_args *a)
{
	const int old = arg_int(a, 0), new = arg_int(a, 1), flags = arg_int(a, 2);

	if (flags & ~O_CLOEXEC || old == new)
		return -EINVAL;
	return dup_to(t, old, new, flags & O_CLOEXEC);
}

static sysret_t dup_from(struct task *t, struct file *f, uint64_t min, bool cloexec)
{
	const uint64_t limit = task_rlimit(t, RLIMIT_NOFILE);
	int fd;

	if (min >= limit || min > INT32_MAX)
		return -EINVAL;
	fd = fd_reserve(t->files, (int)min, limit);
	if (fd >= 0)
		fd_publish(t->files, fd, file_ref(f), cloexec);
	return fd;
}

/* signal of F_SETSIG, or SIGIO, to the owner: kill_fasync() of Linux. */
static void send_sigio(struct wait_entry *entry, uint32_t events)
{
	const struct file *f = container_of(entry, struct file, async);
	const int sig = f->owner_signal ? f->owner_signal : SIGIO;
	siginfo_t info = { .si_signo = sig, .si_code = POLL_IN };
	struct pid_ns *ns = f->owner_ns;

	if (!ns || !f->owner_id)
		return;
	if (!(events & POLLIN))
		info.si_code = events & POLLOUT ? POLL_OUT : POLL_HUP;
	info.si_band = events;
	if (f->owner_type == F_OWNER_TID_TYPE) {
		struct task *who = task_find(ns, f->owner_id);

		if (who)
			(void)signal_send_task(who, sig, &info);
		task_unref(who);
	} else if (f->owner_type == 1) {
		struct thread_group *who = thread_group_find(ns, f->owner_id);

		if (who)
			(void)signal_send_group(who, sig, &info);
		thread_group_unref(who);
	} else {
		struct process_group *who = process_group_find(ns, f->owner_id);

		if (who)
			(void)signal_send_pgrp(who, sig, &info);
		process_group_unref(who);
	}
}

static sysret_t change_flags(struct task *t, struct file *f, uint32_t flags)
{
	const int r = file_set_flags(f, flags);

	if (r < 0)
		return r;
	waitq_remove(&f->async);
	if (f->flags & O_ASYNC && f->wq) {
		f->async.mask = POLLIN | POLLOUT | POLLHUP | POLLERR;
		f->async.fn = send_sigio;
		waitq_add(f->wq, &f->async);
	}
	return 0;
}

static sysret_t set_flags(struct task *t, struct file *f, uint32_t flags)
{
	if (flags & O_NOATIME && !(f->flags & O_NOATIME) && f->inode &&
	    !inode_owner_or_capable(f->inode, t->cred))
		return -EPERM;
	return change_flags(t, f, flags);
}

static void owner_done(struct file *f)
{
	if (f->owner_ns)
		pid_ns_unref(f->owner_ns);
	f->owner_ns = NULL;
}

/* Types of F_SETOWN_EX: 0 thread, 1 process, 2 process group. */
static sysret_t set_owner(struct task *t, struct file *f, int type, int id)
{
	struct pid_ns *ns = task_pid_ns(t);
	bool there = true, may = false;

	if (id && type == F_OWNER_TID_TYPE) {
		struct task *who = task_find(ns, id);

		there = who != NULL;
		may = who && signal_may_send(t, who->tg, SIGIO);
		task_unref(who);
	} else if (id && type == 1) {
		struct thread_group *who = thread_group_find(ns, id);

		there = who != NULL;
		may = who && signal_may_send(t, who, SIGIO);
		thread_group_unref(who);
	} else if (id) {
		struct process_group *who = process_group_find(ns, id);

		there = who != NULL;
		may = who && (who->session == t->tg->session || task_capable(t, CAP_KILL));
		process_group_unref(who);
	}
	if (!there)
		return -ESRCH;
	f->owner_type = type;
	f->owner_id = id;
	owner_done(f);
	f->owner_ns = may ? pid_ns_ref(ns) : NULL;
	f->owner_done = owner_done;
	return 0;
}

static sysret_t owner_fcntl(struct task *t, struct file *f, int cmd, uint64_t arg)
{
	struct owner_ex ex = { .type = f->owner_type, .pid = f->owner_id };
	const int id = (int)arg;

	switch (cmd) {
	case F_GETOWN:
		return f->owner_type == 2 ? -f->owner_id : f->owner_id;
	case F_SETOWN:
		if (id == INT32_MIN)
			return -EINVAL;
		return set_owner(t, f, id < 0 ? 2 : 1, id < 0 ? -id : id);
	case F_GETOWN_EX:
		return user_copy_out(task_um(t), arg, &ex, sizeof(ex));
	case F_SETOWN_EX:
		if (user_copy_in(task_um(t), &ex, arg, sizeof(ex)) < 0)
			return -EFAULT;
		if (ex.type < 0 || ex.type > 2)
			return -EINVAL;
		return set_owner(t, f, ex.type, ex.pid);
	case F_GETSIG:
		return f->owner_signal;
	default: /* F_SETSIG */
		if (arg > KNSIG)
			return -EINVAL;
		f->owner_signal = id;
		return 0;
	}
}

static sysret_t pipe_fcntl(struct task *t, struct file *f, int cmd, uint64_t arg)
{
	struct pipe *p = pipe_of(f);

	if (!p)
		return -EBADF;
	if (cmd == F_GETPIPE_SZ)
		return pipe_get_size(p);
	return pipe_set_size(p, (uint32_t)arg, task_capable(t, CAP_SYS_RESOURCE));
}

static sysret_t lease_fcntl(const struct file *f, int cmd, uint64_t arg)
{
	if (cmd == F_GETLEASE)
		return F_UNLCK;
	if (!f->inode || !S_ISREG(f->inode->mode) ||
	    (arg != F_RDLCK && arg != F_WRLCK && arg != F_UNLCK))
		return -EINVAL;
	return -EAGAIN;
}

static sysret_t file_fcntl(struct task *t, struct file *f, int cmd, uint64_t arg)
{
	switch (cmd) {
	case F_SETFL:
		return set_flags(t, f, (uint32_t)arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return sys_fcntl_lock(t, f, cmd, arg);
	case F_GETOWN:
	case F_SETOWN:
	case F_GETOWN_EX:
	case F_SETOWN_EX:
	case F_GETSIG:
	case F_SETSIG:
		return owner_fcntl(t, f, cmd, arg);
	case F_GETLEASE:
	case F_SETLEASE:
		return lease_fcntl(f, cmd, arg);
	case F_GETPIPE_SZ:
	case F_SETPIPE_SZ:
		return pipe_fcntl(t, f, cmd, arg);
	case F_GET_SEALS:
		return tmpfs_get_seals(f);
	case F_ADD_SEALS:
		return tmpfs_add_seals(f, (unsigned int)arg);
	default:
		return -EINVAL;
	}
}

sysret_t sys_fcntl(struct task *t, const struct syscall_args *a)
{
	const int fd = arg_int(a, 0), cmd = arg_int(a, 1);
	AUTO_FILE struct file *f = fd_get_any(t->files, fd);
	const uint64_t arg = arg_u64(a, 2);

	if (!f)
		return -EBADF;
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return dup_from(t, f, (uint32_t)arg, cmd == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return fd_get_cloexec(t->files, fd) ? FD_CLOEXEC : 0;
	case F_SETFD:
		return fd_set_cloexec(t->files, fd, arg & FD_CLOEXEC);
	case F_GETFL:
		return f->flags;
	default:
		return f->mode & FMODE_PATH ? -EBADF : file_fcntl(t, f, cmd, arg);
	}
}

static sysret_t set_flag_from(struct task *t, struct file *f, uint32_t flag, uaddr_t addr)
{
	int on;

	if (user_copy_in(task_um(t), &on, addr, sizeof(on)) < 0)
		return -EFAULT;
	return change_flags(t, f, on ? f->flags | flag : f->flags & ~flag);
}

static sysret_t regular_ioctl(struct task *t, struct file *f, unsigned int cmd, uaddr_t addr)
{
	int n;

	switch (cmd) {
	case FIONREAD:
		if (!S_ISREG(f->inode->mode))
			return -ENOTTY;
		n = (int)(f->inode->size - f->pos);
		return user_copy_out(task_um(t), addr, &n, sizeof(n));
	case FIGETBSZ:
		n = 4096;
		return user_copy_out(task_um(t), addr, &n, sizeof(n));
	default:
		return -ENOTTY;
	}
}

sysret_t sys_ioctl(struct task *t, const struct syscall_args *a)
{
	const int fd = arg_int(a, 0);
	const unsigned int cmd = arg_uint(a, 1);
	AUTO_FILE struct file *f = fd_get(t->files, fd);
	sysret_t r;

	if (!f)
		return -EBADF;
	switch (cmd) {
	case FIOCLEX:
		return fd_set_cloexec(t->files, fd, true);
	case FIONCLEX:
		return fd_set_cloexec(t->files, fd, false);
	case FIONBIO:
		return set_flag_from(t, f, O_NONBLOCK, arg_uaddr(a, 2));
	case FIOASYNC:
		return set_flag_from(t, f, O_ASYNC, arg_uaddr(a, 2));
	default:
		break;
	}
	r = f->ops->ioctl ? f->ops->ioctl(f, cmd, arg_u64(a, 2), task_um(t)) : -ENOTTY;
	if (r == -ENOTTY && f->inode && (S_ISREG(f->inode->mode) || S_ISDIR(f->inode->mode)))
		r = regular_ioctl(t, f, cmd, arg_uaddr(a, 2));
	return r;
}
