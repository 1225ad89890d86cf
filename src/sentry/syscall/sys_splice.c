/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendfile(2), splice(2), tee(2), vmsplice(2), copy_file_range(2).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/syscall/sys_vfs.h"
#include "sentry/task/account.h"
#include "sentry/vfs/splice.h"
#include "sentry/vfs/superblock.h"

#define SPLICE_KNOWN (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

/* An optional position argument. *ret_pos is NULL when it was not given. */
struct position {
	uaddr_t addr;
	uint64_t value;
};

static int get_position(struct task *t, uaddr_t addr, const struct file *f, struct position *p,
			uint64_t **ret_pos)
{
	*p = (struct position){ .addr = addr };
	*ret_pos = NULL;
	if (!addr)
		return 0;
	if (f->mode & FMODE_STREAM)
		return -ESPIPE;
	if (user_copy_in(task_um(t), &p->value, addr, sizeof(p->value)) < 0)
		return -EFAULT;
	if ((int64_t)p->value < 0)
		return -EINVAL;
	*ret_pos = &p->value;
	return 0;
}

static sysret_t put_position(struct task *t, const struct position *p, sysret_t r)
{
	if (p->addr && r > 0 && user_copy_out(task_um(t), p->addr, &p->value, sizeof(p->value)) < 0)
		return -EFAULT;
	return r;
}

static void account_copy(struct task *t, sysret_t r)
{
	account_read(t, r);
	account_write(t, r);
}

sysret_t sys_sendfile(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *in = fd_get(t->files, arg_int(a, 1));
	AUTO_FILE struct file *out = fd_get(t->files, arg_int(a, 0));
	uint64_t len = arg_u64(a, 3);
	struct position p;
	uint64_t *pos;
	sysret_t r;

	if (!in || !(in->mode & FMODE_READ) || !out || !(out->mode & FMODE_WRITE))
		return -EBADF;
	r = get_position(t, arg_uaddr(a, 2), in, &p, &pos);
	if (r < 0)
		return r;
	if ((int64_t)len < 0 || out->flags & O_APPEND || in->mode & FMODE_STREAM)
		return -EINVAL;
	if (len > UIO_BYTES_MAX)
		len = UIO_BYTES_MAX;
	r = splice_files(in, pos, out, NULL, len, task_rlimit(t, RLIMIT_FSIZE));
	account_copy(t, r);
	return put_position(t, &p, sys_write_result(t, r));
}

static sysret_t do_splice(struct task *t, struct file *in, uint64_t *in_pos, struct file *out,
			  uint64_t *out_pos, size_t len, bool nonblock)
{
	struct pipe *from = pipe_of(in), *to = pipe_of(out);

	if (from && to) {
		if (from == to)
			return -EINVAL;
		nonblock |= (in->flags | out->flags) & O_NONBLOCK;
		return splice_pipes(from, to, len, nonblock, false);
	}
	if (from) {
		if (out->flags & O_APPEND)
			return -EINVAL;
		nonblock |= in->flags & O_NONBLOCK;
		return splice_from_pipe(from, out, out_pos, len, nonblock,
					task_rlimit(t, RLIMIT_FSIZE));
	}
	if (to) {
		nonblock |= out->flags & O_NONBLOCK;
		return splice_to_pipe(in, in_pos, to, len, nonblock);
	}
	return -EINVAL;
}

sysret_t sys_splice(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *in = NULL, *out = NULL;
	const unsigned int flags = arg_uint(a, 5);
	struct position in_p, out_p;
	uint64_t *in_pos, *out_pos;
	size_t len = arg_u64(a, 4);
	sysret_t r;

	if (len == 0)
		return 0;
	if (flags & ~SPLICE_KNOWN)
		return -EINVAL;
	in = fd_get(t->files, arg_int(a, 0));
	out = fd_get(t->files, arg_int(a, 2));
	if (!in || !out || !(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE))
		return -EBADF;
	r = get_position(t, arg_uaddr(a, 1), in, &in_p, &in_pos);
	if (r == 0)
		r = get_position(t, arg_uaddr(a, 3), out, &out_p, &out_pos);
	if (r < 0)
		return r;
	if (len > UIO_BYTES_MAX)
		len = UIO_BYTES_MAX;
	r = sys_write_result(
		t, do_splice(t, in, in_pos, out, out_pos, len, flags & SPLICE_F_NONBLOCK));
	return put_position(t, &out_p, put_position(t, &in_p, r));
}

sysret_t sys_tee(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *in = NULL, *out = NULL;
	const unsigned int flags = arg_uint(a, 3);
	struct pipe *from, *to;
	size_t len = arg_u64(a, 2);

	if (flags & ~SPLICE_KNOWN)
		return -EINVAL;
	if (len == 0)
		return 0;
	in = fd_get(t->files, arg_int(a, 0));
	out = fd_get(t->files, arg_int(a, 1));
	if (!in || !out || !(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE))
		return -EBADF;
	from = pipe_of(in);
	to = pipe_of(out);
	if (!from || !to || from == to)
		return -EINVAL;
	return sys_write_result(
		t, splice_pipes(from, to, len,
				flags & SPLICE_F_NONBLOCK || (in->flags | out->flags) & O_NONBLOCK,
				true));
}

/* Pages are copied, as they may be for any caller who did not gift them. */
sysret_t sys_vmsplice(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	AUTO_FREE struct iovec *iov = NULL;
	const unsigned int flags = arg_uint(a, 3);
	struct pipe *p;
	struct uio u;
	int r;

	if (flags & ~SPLICE_KNOWN)
		return -EINVAL;
	f = fd_get(t->files, arg_int(a, 0));
	p = f ? pipe_of(f) : NULL;
	if (!p)
		return -EBADF;
	r = uio_import(&u, task_um(t), arg_uaddr(a, 1), arg_u64(a, 2), &iov);
	if (r < 0)
		return r;
	if (u.left == 0)
		return 0;
	if (!(f->mode & FMODE_WRITE)) {
		r = pipe_wait_data(p, flags & SPLICE_F_NONBLOCK || f->flags & O_NONBLOCK);
		return r < 0 ? r : file_read(f, &u, NULL);
	}
	r = pipe_wait_room(p, flags & SPLICE_F_NONBLOCK || f->flags & O_NONBLOCK);
	if (r < 0)
		return r;
	if (flags & SPLICE_F_NONBLOCK && u.left > pipe_room(p))
		u.left = pipe_room(p);
	return sys_write_result(t, file_write(f, &u, NULL, UINT64_MAX));
}

static int judge_copy(const struct file *in, const struct file *out)
{
	if (!in->inode || !out->inode)
		return -EINVAL;
	if (S_ISDIR(in->inode->mode) || S_ISDIR(out->inode->mode))
		return -EISDIR;
	if (!S_ISREG(in->inode->mode) || !S_ISREG(out->inode->mode))
		return -EINVAL;
	if (!(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE) || out->flags & O_APPEND)
		return -EBADF;
	/* Since Linux 5.19: only what knows how copies between its kinds. */
	return strcmp(file_named_inode(in)->sb->type, file_named_inode(out)->sb->type) ? -EXDEV : 0;
}

sysret_t sys_copy_file_range(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *in = fd_get(t->files, arg_int(a, 0));
	AUTO_FILE struct file *out = fd_get(t->files, arg_int(a, 2));
	struct position in_p, out_p;
	uint64_t *in_pos, *out_pos, len = arg_u64(a, 4), from, to;
	sysret_t r;

	if (!in || !out)
		return -EBADF;
	r = get_position(t, arg_uaddr(a, 1), in, &in_p, &in_pos);
	if (r == 0)
		r = get_position(t, arg_uaddr(a, 3), out, &out_p, &out_pos);
	if (r < 0)
		return r;
	if (arg_uint(a, 5))
		return -EINVAL;
	r = judge_copy(in, out);
	if (r < 0)
		return r;
	from = in_pos ? *in_pos : in->pos;
	to = out_pos ? *out_pos : out->pos;
	if (from + len < from || to + len < to)
		return -EOVERFLOW;
	if (from >= in->inode->size)
		return 0;
	if (len > in->inode->size - from)
		len = in->inode->size - from;
	if (len > UIO_BYTES_MAX)
		len = UIO_BYTES_MAX;
	if (in->inode == out->inode && from < to + len && to < from + len)
		return -EINVAL;
	r = file_copy_range(in, from, out, to, len, task_rlimit(t, RLIMIT_FSIZE));
	if (r > 0) {
		*(in_pos ? in_pos : &in->pos) = from + (uint64_t)r;
		*(out_pos ? out_pos : &out->pos) = to + (uint64_t)r;
	}
	if (r == -EOPNOTSUPP)
		r = splice_files(in, in_pos, out, out_pos, len, task_rlimit(t, RLIMIT_FSIZE));
	account_copy(t, r);
	return put_position(t, &out_p, put_position(t, &in_p, sys_write_result(t, r)));
}
