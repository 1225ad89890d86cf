/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flock(2), and the record locks of fcntl(2).
 */
#include "sentry/syscall/sys_lock.h"

#include <errno.h>
#include <sys/file.h>
#include <unistd.h>

#include "sentry/vfs/locks.h"

/* flock_to_posix_lock() of Linux. */
static int lock_range(const struct file *f, const struct flock *fl, struct file_lock *ret)
{
	int64_t start = fl->l_start, end;

	switch (fl->l_whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		if (__builtin_add_overflow(start, (int64_t)f->pos, &start))
			return -EOVERFLOW;
		break;
	case SEEK_END:
		if (__builtin_add_overflow(start, (int64_t)f->inode->size, &start))
			return -EOVERFLOW;
		break;
	default:
		return -EINVAL;
	}
	if (start < 0)
		return -EINVAL;
	end = INT64_MAX;
	if (fl->l_len > 0) {
		if (__builtin_add_overflow(start, fl->l_len - 1, &end))
			return -EOVERFLOW;
	} else if (fl->l_len < 0) {
		end = start - 1;
		start += fl->l_len;
		if (start < 0)
			return -EINVAL;
	}
	ret->start = (uint64_t)start;
	ret->end = (uint64_t)end;
	return 0;
}

static int import_lock(struct task *t, struct file *f, int cmd, uaddr_t arg, struct flock *fl,
		       struct file_lock *ret)
{
	const bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;

	if (user_copy_in(task_um(t), fl, arg, sizeof(*fl)) < 0)
		return -EFAULT;
	*ret = (struct file_lock){ .kind = ofd ? LOCK_KIND_OFD : LOCK_KIND_POSIX,
				   .owner = ofd ? (const void *)f : t->files,
				   .pid = ofd ? -1 : task_tgid(t, task_pid_ns(t)),
				   .type = fl->l_type };
	if (ofd && fl->l_pid)
		return -EINVAL;
	if (fl->l_type != F_RDLCK && fl->l_type != F_WRLCK && fl->l_type != F_UNLCK)
		return -EINVAL;
	return f->inode ? lock_range(f, fl, ret) : -EBADF;
}

static sysret_t get_lock(struct task *t, struct file *f, uaddr_t arg, struct flock *fl,
			 const struct file_lock *lock)
{
	struct file_lock found;

	if (lock->type == F_UNLCK)
		return -EINVAL;
	if (lock_test(file_named_inode(f), lock, &found)) {
		fl->l_type = (short)found.type;
		fl->l_whence = SEEK_SET;
		fl->l_start = (off_t)found.start;
		fl->l_len = found.end >= INT64_MAX ? 0 : (off_t)(found.end - found.start + 1);
		fl->l_pid = found.pid;
	} else {
		fl->l_type = F_UNLCK;
	}
	return user_copy_out(task_um(t), arg, fl, sizeof(*fl));
}

/* Whoever closed the descriptor while its lock was waited for has dropped all but this one. */
static int judge_owner(struct task *t, int fd, struct file *f, const struct file_lock *lock)
{
	AUTO_FILE struct file *now = fd_get(t->files, fd);

	if (now == f || lock->kind != LOCK_KIND_POSIX || lock->type == F_UNLCK)
		return 0;
	locks_release(file_named_inode(f), lock->owner);
	return -EBADF;
}

sysret_t sys_fcntl_lock(struct task *t, int fd, struct file *f, int cmd, uaddr_t arg)
{
	struct file_lock lock;
	struct flock fl;
	int r = import_lock(t, f, cmd, arg, &fl, &lock);

	if (r < 0)
		return r;
	if (cmd == F_GETLK || cmd == F_OFD_GETLK)
		return get_lock(t, f, arg, &fl, &lock);
	if ((lock.type == F_RDLCK && !(f->mode & FMODE_READ)) ||
	    (lock.type == F_WRLCK && !(f->mode & FMODE_WRITE)))
		return -EBADF;
	r = lock_set(file_named_inode(f), &lock, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
	return r < 0 ? r : judge_owner(t, fd, f, &lock);
}

sysret_t sys_flock(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));
	const int op = arg_int(a, 1) & ~LOCK_NB;

	if (op != LOCK_SH && op != LOCK_EX && op != LOCK_UN)
		return -EINVAL;
	if (!f || !f->inode)
		return -EBADF;
	return lock_flock(f, op, !(arg_int(a, 1) & LOCK_NB));
}
