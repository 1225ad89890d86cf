/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dup(2), fcntl(2), ioctl(2): what is about the descriptor and the description themselves.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/syscall/sys_lock.h"
#include "sentry/syscall/sys_vfs.h"
#include "sentry/task/file_owner.h"
#include "sentry/vfs/lease.h"
#include "sentry/vfs/notify.h"
#include "sentry/vfs/pipe.h"

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

static sysret_t change_flags(struct task *t, struct file *f, int fd, uint32_t flags)
{
	const int r = file_set_flags(f, flags);

	if (r < 0)
		return r;
	if (f->flags & O_ASYNC)
		f->owner_fd = fd;
	waitq_remove(&f->async);
	if (f->flags & O_ASYNC && f->wq) {
		f->async.mask = POLLIN | POLLOUT | POLLPRI | POLLHUP | POLLERR;
		f->async.fn = file_owner_ready;
		waitq_add(f->wq, &f->async);
	}
	return 0;
}

static sysret_t set_flags(struct task *t, struct file *f, int fd, uint32_t flags)
{
	if (flags & O_NOATIME && !(f->flags & O_NOATIME) && f->inode &&
	    !inode_owner_or_capable(f->inode, t->cred))
		return -EPERM;
	return change_flags(t, f, fd, flags);
}

static sysret_t owner_fcntl(struct task *t, struct file *f, int cmd, uint64_t arg)
{
	struct owner_ex ex = { .type = f->owner_type, .pid = f->owner_id };
	const int id = (int)arg;

	switch (cmd) {
	case F_GETOWN:
		return f->owner_type == FILE_OWNER_GROUP ? -f->owner_id : f->owner_id;
	case F_SETOWN:
		if (id == INT32_MIN)
			return -EINVAL;
		return file_owner_set(t, f, id < 0 ? FILE_OWNER_GROUP : FILE_OWNER_PROCESS,
				      id < 0 ? -id : id);
	case F_GETOWN_EX:
		return user_copy_out(task_um(t), arg, &ex, sizeof(ex));
	case F_SETOWN_EX:
		if (user_copy_in(task_um(t), &ex, arg, sizeof(ex)) < 0)
			return -EFAULT;
		if (ex.type < 0 || ex.type > FILE_OWNER_GROUP)
			return -EINVAL;
		return file_owner_set(t, f, ex.type, ex.pid);
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

static void tell_change(struct file *f)
{
	file_owner_tell(f, POLL_MSG, POLLIN | POLLRDNORM | POLLMSG);
}

/* Who asks to be told is the owner, unless there is one. */
static int become_owner(struct task *t, struct file *f, int fd)
{
	f->owner_fd = fd;
	return f->owner_id ? 0
			   : file_owner_set(t, f, FILE_OWNER_PROCESS, task_tgid(t, task_pid_ns(t)));
}

/* F_NOTIFY: a signal when the contents of a directory change. */
static sysret_t notify_fcntl(struct task *t, struct file *f, int fd, uint32_t what)
{
	static const struct {
		uint32_t dn, in;
	} kinds[] = {
		{ DN_ACCESS, IN_ACCESS },
		{ DN_MODIFY, IN_MODIFY },
		{ DN_CREATE, IN_CREATE | IN_MOVED_TO },
		{ DN_DELETE, IN_DELETE | IN_MOVED_FROM },
		{ DN_RENAME, IN_MOVED_FROM | IN_MOVED_TO },
		{ DN_ATTRIB, IN_ATTRIB },
	};
	uint32_t mask = 0;
	int r;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		mask |= what & kinds[i].dn ? kinds[i].in : 0;
	r = dnotify_set(f, mask, what & DN_MULTISHOT, tell_change);
	return r < 0 || !mask ? r : become_owner(t, f, fd);
}

static sysret_t lease_fcntl(struct task *t, struct file *f, int fd, int cmd, uint64_t arg)
{
	const struct inode *inode = file_named_inode(f);
	int r;

	if (cmd == F_GETLEASE)
		return lease_get(f);
	if (arg != F_RDLCK && arg != F_WRLCK && arg != F_UNLCK)
		return -EINVAL;
	if (arg != F_UNLCK && inode && inode->uid != t->cred->fsuid && !task_capable(t, CAP_LEASE))
		return -EACCES;
	r = lease_set(f, (int)arg, tell_change);
	return r < 0 || arg == F_UNLCK ? r : become_owner(t, f, fd);
}

/* How long what is written will live: kept and told. */
static sysret_t hint_fcntl(struct task *t, struct file *f, int cmd, uaddr_t addr)
{
	struct inode *inode = file_named_inode(f);
	uint64_t hint = inode ? inode->write_hint : 0;

	if (cmd == F_GET_RW_HINT)
		return user_copy_out(task_um(t), addr, &hint, sizeof(hint));
	if (user_copy_in(task_um(t), &hint, addr, sizeof(hint)) < 0)
		return -EFAULT;
	if (hint > RWH_WRITE_LIFE_EXTREME || !inode)
		return -EINVAL;
	inode->write_hint = (uint8_t)hint;
	return 0;
}

static sysret_t file_fcntl(struct task *t, struct file *f, int fd, int cmd, uint64_t arg)
{
	switch (cmd) {
	case F_SETFL:
		return set_flags(t, f, fd, (uint32_t)arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return sys_fcntl_lock(t, fd, f, cmd, arg);
	case F_GETOWN:
	case F_SETOWN:
	case F_GETOWN_EX:
	case F_SETOWN_EX:
	case F_GETSIG:
	case F_SETSIG:
		return owner_fcntl(t, f, cmd, arg);
	case F_GETLEASE:
	case F_SETLEASE:
		return lease_fcntl(t, f, fd, cmd, arg);
	case F_GET_RW_HINT:
	case F_SET_RW_HINT:
		return hint_fcntl(t, f, cmd, arg);
	case F_NOTIFY:
		return notify_fcntl(t, f, fd, (uint32_t)arg);
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
		return f->mode & FMODE_PATH ? -EBADF : file_fcntl(t, f, fd, cmd, arg);
	}
}

static sysret_t set_flag_from(struct task *t, struct file *f, int fd, uint32_t flag, uaddr_t addr)
{
	int on;

	if (user_copy_in(task_um(t), &on, addr, sizeof(on)) < 0)
		return -EFAULT;
	return change_flags(t, f, fd, on ? f->flags | flag : f->flags & ~flag);
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

/* FIOSETOWN and FIOGETOWN: sockets have F_SETOWN and F_GETOWN as ioctls, too. */
static sysret_t socket_owner_ioctl(struct task *t, struct file *f, unsigned int cmd, uaddr_t addr)
{
	int id = f->owner_type == FILE_OWNER_GROUP ? -f->owner_id : f->owner_id;

	if (cmd == FIOGETOWN || cmd == SIOCGPGRP)
		return user_copy_out(task_um(t), addr, &id, sizeof(id));
	if (user_copy_in(task_um(t), &id, addr, sizeof(id)) < 0)
		return -EFAULT;
	return owner_fcntl(t, f, F_SETOWN, (uint64_t)id);
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
		return set_flag_from(t, f, fd, O_NONBLOCK, arg_uaddr(a, 2));
	case FIOASYNC:
		return set_flag_from(t, f, fd, O_ASYNC, arg_uaddr(a, 2));
	case FIOSETOWN:
	case FIOGETOWN:
	case SIOCSPGRP:
	case SIOCGPGRP:
		if (f->inode && S_ISSOCK(f->inode->mode))
			return socket_owner_ioctl(t, f, cmd, arg_uaddr(a, 2));
		break;
	default:
		break;
	}
	r = f->ops->ioctl ? f->ops->ioctl(f, cmd, arg_u64(a, 2), task_um(t)) : -ENOTTY;
	if (r == -ENOTTY && f->inode && (S_ISREG(f->inode->mode) || S_ISDIR(f->inode->mode)))
		r = regular_ioctl(t, f, cmd, arg_uaddr(a, 2));
	return r;
}
