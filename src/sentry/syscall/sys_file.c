/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening, closing and the size of files: open(2), openat2(2), close_range(2), truncate(2),
 * fallocate(2), umask(2).
 */
#include <errno.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <string.h>

#include "sentry/syscall/event.h"
#include "sentry/syscall/sys_vfs.h"

#define O_LARGEFILE_BIT 0100000u /* glibc's O_LARGEFILE is 0 here */
#define OPEN_KNOWN                                                                               \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |    \
	 O_DSYNC | O_ASYNC | O_DIRECT | O_LARGEFILE_BIT | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | \
	 O_CLOEXEC | O_PATH | O_TMPFILE)
#define PATH_KNOWN (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define RESOLVE_KNOWN                                                                      \
	(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | \
	 RESOLVE_IN_ROOT | RESOLVE_CACHED)
#define OPEN_HOW_MAX 4096u

static sysret_t do_open(struct task *t, int dirfd, uaddr_t name, uint32_t flags, uint32_t mode,
			unsigned int walk)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path_text p;
	struct file *f = NULL;
	struct path at;
	int fd, r = sys_get_path(t, name, &p);

	if (r == 0 && !p.text[0])
		r = -ENOENT;
	if (r < 0)
		return r;
	if (!(flags & O_PATH))
		flags |= O_LARGEFILE_BIT;
	/* Relative walks with RESOLVE_IN_ROOT start at dirfd for absolute names too. */
	if (walk & (WALK_IN_ROOT | WALK_BENEATH))
		r = sys_get_at(t, dirfd, ".", &at);
	else
		r = sys_get_at(t, dirfd, p.text, &at);
	if (r < 0)
		return r;
	/* The number comes first: EMFILE is told before anything is made. */
	fd = fd_reserve(t->files, 0, task_rlimit(t, RLIMIT_NOFILE));
	r = fd < 0 ? fd : vfs_open(&ctx, &at, p.text, flags, mode, walk, &f);
	path_unref(&at);
	if (event_wanted(EVENT_open))
		event_opened(
			t,
			&(struct event_open_call){ dirfd, p.text, flags, mode, r == 0 ? f : NULL },
			r < 0 ? r : fd);
	if (r == 0)
		fd_publish(t->files, fd, f, flags & O_CLOEXEC);
	else if (fd >= 0)
		fd_release(t->files, fd);
	return r < 0 ? r : fd;
}

sysret_t sys_open(struct task *t, const struct syscall_args *a)
{
	return do_open(t, AT_FDCWD, arg_uaddr(a, 0), arg_uint(a, 1) & OPEN_KNOWN, arg_uint(a, 2),
		       0);
}

sysret_t sys_openat(struct task *t, const struct syscall_args *a)
{
	return do_open(t, arg_int(a, 0), arg_uaddr(a, 1), arg_uint(a, 2) & OPEN_KNOWN,
		       arg_uint(a, 3), 0);
}

sysret_t sys_creat(struct task *t, const struct syscall_args *a)
{
	return do_open(t, AT_FDCWD, arg_uaddr(a, 0), O_CREAT | O_WRONLY | O_TRUNC, arg_uint(a, 1),
		       0);
}

/* copy_struct_from_user(): what we do not know must be zero. */
static int get_open_how(struct task *t, uaddr_t addr, uint64_t size, struct open_how *ret)
{
	char rest[64];
	const size_t known = sizeof(*ret);

	if (size < known)
		return -EINVAL;
	if (size > OPEN_HOW_MAX)
		return -E2BIG;
	if (user_copy_in(task_um(t), ret, addr, known) < 0)
		return -EFAULT;
	for (uint64_t done = known; done < size;) {
		const size_t n = size - done < sizeof(rest) ? size - done : sizeof(rest);

		if (user_copy_in(task_um(t), rest, addr + done, n) < 0)
			return -EFAULT;
		for (size_t i = 0; i < n; i++)
			if (rest[i])
				return -E2BIG;
		done += n;
	}
	return 0;
}

static int judge_open_how(const struct open_how *how)
{
	const bool makes = how->flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY));

	if (how->flags & ~(uint64_t)OPEN_KNOWN || how->resolve & ~(uint64_t)RESOLVE_KNOWN)
		return -EINVAL;
	if (how->flags & O_PATH && how->flags & ~(uint64_t)PATH_KNOWN)
		return -EINVAL;
	if (how->mode & ~07777ull || (!makes && how->mode))
		return -EINVAL;
	if (how->resolve & RESOLVE_BENEATH && how->resolve & RESOLVE_IN_ROOT)
		return -EINVAL;
	/* Whether a walk needs the gofer is not known beforehand. */
	return how->resolve & RESOLVE_CACHED ? -EAGAIN : 0;
}

sysret_t sys_openat2(struct task *t, const struct syscall_args *a)
{
	static const struct {
		uint64_t resolve;
		unsigned int walk;
	} map[] = {
		{ RESOLVE_NO_XDEV, WALK_NO_XDEV },	   { RESOLVE_NO_MAGICLINKS, WALK_NO_MAGIC },
		{ RESOLVE_NO_SYMLINKS, WALK_NO_SYMLINKS }, { RESOLVE_BENEATH, WALK_BENEATH },
		{ RESOLVE_IN_ROOT, WALK_IN_ROOT },
	};
	struct open_how how;
	unsigned int walk = 0;
	int r = get_open_how(t, arg_uaddr(a, 2), arg_u64(a, 3), &how);

	if (r == 0)
		r = judge_open_how(&how);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (how.resolve & map[i].resolve)
			walk |= map[i].walk;
	return do_open(t, arg_int(a, 0), arg_uaddr(a, 1), (uint32_t)how.flags, (uint32_t)how.mode,
		       walk);
}

sysret_t sys_close(struct task *t, const struct syscall_args *a)
{
	const int r = fd_close(t->files, arg_int(a, 0), t->files);

	/* The descriptor is gone: a restart would close another one (close(2)). */
	return r == -ERESTARTSYS ? -EINTR : r;
}

/* The table of this task alone. */
static int unshare_files(struct task *t)
{
	struct fd_table *own;
	int r;

	if (fd_table_refs(t->files) == 1)
		return 0;
	r = fd_table_copy(t->files, &own);
	if (r < 0)
		return r;
	fd_table_unref(t->files);
	t->files = own;
	return 0;
}

sysret_t sys_close_range(struct task *t, const struct syscall_args *a)
{
	const unsigned int first = arg_uint(a, 0), last = arg_uint(a, 1);
	const unsigned int flags = arg_uint(a, 2);
	int r = 0;

	if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE)
		r = unshare_files(t);
	if (r < 0)
		return r;
	if (first > INT32_MAX)
		return 0;
	for (int fd = fd_table_next(t->files, (int)first); fd >= 0 && (unsigned int)fd <= last;
	     fd = fd_table_next(t->files, fd + 1)) {
		if (flags & CLOSE_RANGE_CLOEXEC)
			(void)fd_set_cloexec(t->files, fd, true);
		else
			(void)fd_close(t->files, fd, t->files);
	}
	return 0;
}

sysret_t sys_umask(struct task *t, const struct syscall_args *a)
{
	const uint32_t old = t->fs->umask;

	t->fs->umask = arg_uint(a, 0) & 0777;
	return old;
}

sysret_t sys_truncate(struct task *t, const struct syscall_args *a)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path p;
	int r;

	if (arg_i64(a, 1) < 0)
		return -EINVAL;
	r = sys_walk(t, AT_FDCWD, arg_uaddr(a, 0), WALK_FOLLOW, &p);
	if (r < 0)
		return r;
	r = vfs_truncate(&ctx, &p, arg_u64(a, 1));
	path_unref(&p);
	return sys_write_result(t, r);
}

sysret_t sys_ftruncate(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;

	if (arg_i64(a, 1) < 0)
		return -EINVAL;
	f = fd_get(t->files, arg_int(a, 0));
	if (!f)
		return -EBADF;
	return sys_write_result(t, file_truncate(f, arg_u64(a, 1), task_rlimit(t, RLIMIT_FSIZE)));
}

sysret_t sys_fallocate(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));

	if (!f)
		return -EBADF;
	return sys_write_result(t, file_fallocate(f, arg_int(a, 1), arg_u64(a, 2), arg_u64(a, 3),
						  task_rlimit(t, RLIMIT_FSIZE)));
}
