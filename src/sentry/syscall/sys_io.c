/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read(2), write(2), their vector and positioned forms, lseek(2), and advice that changes nothing.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>

#include "sentry/syscall/sys_vfs.h"
#include "sentry/task/account.h"

#define RWF_KNOWN (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)

/* pos NULL: the file's own. */
static ssize_t transfer(struct task *t, struct file *f, struct uio *u, uint64_t *pos, bool is_write)
{
	ssize_t r;

	if (is_write) {
		r = sys_write_result(t, file_write(f, u, pos, task_rlimit(t, RLIMIT_FSIZE)));
		account_write(t, r);
	} else {
		r = file_read(f, u, pos);
		account_read(t, r);
	}
	return r;
}

/* Arguments 1 and 2 are a buffer and its length. */
static sysret_t buffer_io(struct task *t, struct file *f, const struct syscall_args *a,
			  uint64_t *pos, bool is_write)
{
	struct iovec single;
	struct uio u;

	if (arg_i64(a, 2) < 0)
		return -EINVAL;
	uio_init(&u, task_um(t), &single, arg_uaddr(a, 1), arg_u64(a, 2));
	return transfer(t, f, &u, pos, is_write);
}

/* Arguments 1 and 2 are a vector and its length; flags are O_*, for this call only. */
static sysret_t vector_io_with(struct task *t, struct file *f, const struct syscall_args *a,
			       uint64_t *pos, bool is_write, uint32_t flags)
{
	AUTO_FREE struct iovec *iov = NULL;
	struct uio u;
	int r;

	if (!(f->mode & (is_write ? FMODE_WRITE : FMODE_READ)))
		return -EBADF;
	r = uio_import(&u, task_um(t), arg_uaddr(a, 1), arg_u64(a, 2), &iov);
	if (r < 0)
		return r;
	u.flags = flags;
	return transfer(t, f, &u, pos, is_write);
}

static sysret_t vector_io(struct task *t, struct file *f, const struct syscall_args *a,
			  uint64_t *pos, bool is_write)
{
	return vector_io_with(t, f, a, pos, is_write, 0);
}

sysret_t sys_read(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));

	return f ? buffer_io(t, f, a, NULL, false) : -EBADF;
}

sysret_t sys_write(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));

	return f ? buffer_io(t, f, a, NULL, true) : -EBADF;
}

sysret_t sys_readv(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));

	return f ? vector_io(t, f, a, NULL, false) : -EBADF;
}

sysret_t sys_writev(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));

	return f ? vector_io(t, f, a, NULL, true) : -EBADF;
}

typedef sysret_t io_fn(struct task *t, struct file *f, const struct syscall_args *a, uint64_t *pos,
		       bool is_write);

/* Argument 3 is where in the file. */
static sysret_t positioned(struct task *t, const struct syscall_args *a, io_fn *io, bool is_write)
{
	AUTO_FILE struct file *f = NULL;
	uint64_t pos = arg_u64(a, 3);

	if (arg_i64(a, 3) < 0)
		return -EINVAL;
	f = fd_get(t->files, arg_int(a, 0));
	if (!f)
		return -EBADF;
	return f->mode & FMODE_STREAM ? -ESPIPE : io(t, f, a, &pos, is_write);
}

sysret_t sys_pread64(struct task *t, const struct syscall_args *a)
{
	return positioned(t, a, buffer_io, false);
}

sysret_t sys_pwrite64(struct task *t, const struct syscall_args *a)
{
	return positioned(t, a, buffer_io, true);
}

sysret_t sys_preadv(struct task *t, const struct syscall_args *a)
{
	return positioned(t, a, vector_io, false);
}

sysret_t sys_pwritev(struct task *t, const struct syscall_args *a)
{
	return positioned(t, a, vector_io, true);
}

/* preadv2(2) and pwritev2(2): an offset of -1 is the file's own position. */
static sysret_t flagged_vector(struct task *t, const struct syscall_args *a, bool is_write)
{
	AUTO_FILE struct file *f = NULL;
	const unsigned int flags = arg_uint(a, 5);
	const bool own = arg_i64(a, 3) == -1;
	uint64_t pos = arg_u64(a, 3);
	uint32_t with = 0;
	ssize_t r;

	if (!own && arg_i64(a, 3) < 0)
		return -EINVAL;
	f = fd_get(t->files, arg_int(a, 0));
	if (!f)
		return -EBADF;
	if (!own && f->mode & FMODE_STREAM)
		return -ESPIPE;
	if (flags & ~(unsigned int)RWF_KNOWN || (flags & RWF_APPEND && !is_write))
		return -EOPNOTSUPP;
	/* Nothing tells whether a read would wait for a disk. */
	if (flags & RWF_NOWAIT && !(f->mode & FMODE_STREAM))
		return -EOPNOTSUPP;
	/* The position of an appended file moves only when it was asked for. */
	if (flags & RWF_APPEND && f->inode && S_ISREG(f->inode->mode))
		with |= O_APPEND;
	if (flags & RWF_NOWAIT)
		with |= O_NONBLOCK;
	r = vector_io_with(t, f, a, own ? NULL : &pos, is_write, with);
	if (r > 0 && is_write && flags & (RWF_DSYNC | RWF_SYNC) && f->ops->fsync) {
		const int e = f->ops->fsync(f, !(flags & RWF_SYNC));

		return e < 0 ? e : r;
	}
	return r;
}

sysret_t sys_preadv2(struct task *t, const struct syscall_args *a)
{
	return flagged_vector(t, a, false);
}

sysret_t sys_pwritev2(struct task *t, const struct syscall_args *a)
{
	return flagged_vector(t, a, true);
}

sysret_t sys_lseek(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));

	if (!f)
		return -EBADF;
	if (arg_uint(a, 2) > SEEK_HOLE)
		return -EINVAL;
	return file_seek(f, arg_i64(a, 1), arg_int(a, 2));
}

sysret_t sys_readahead(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));

	if (!f || !(f->mode & FMODE_READ))
		return -EBADF;
	return f->inode && S_ISREG(f->inode->mode) ? 0 : -EINVAL;
}

sysret_t sys_fadvise64(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));

	if (!f)
		return -EBADF;
	if (f->inode && S_ISFIFO(f->inode->mode))
		return -ESPIPE;
	if (arg_i64(a, 2) < 0)
		return -EINVAL;
	return arg_uint(a, 3) <= POSIX_FADV_NOREUSE ? 0 : -EINVAL;
}
