/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe2(2). Descriptors are reserved, copied out, and only then published: a fault leaves the guest
 * no stray descriptor (Linux do_pipe2()).
 */
#include <errno.h>

#include "sentry/syscall/sys_vfs.h"
#include "sentry/vfs/pipe.h"

static sysret_t publish_pair(struct task *t, uaddr_t addr, struct file *rd, struct file *wr,
			     bool cloexec)
{
	const uint64_t limit = task_rlimit(t, RLIMIT_NOFILE);
	int fds[2];

	fds[0] = fd_reserve(t->files, 0, limit);
	if (fds[0] < 0)
		return fds[0];
	fds[1] = fd_reserve(t->files, 0, limit);
	if (fds[1] < 0 || user_copy_out(task_um(t), addr, fds, sizeof(fds)) < 0) {
		fd_release(t->files, fds[0]);
		if (fds[1] < 0)
			return fds[1];
		fd_release(t->files, fds[1]);
		return -EFAULT;
	}
	fd_publish(t->files, fds[0], file_ref(rd), cloexec);
	fd_publish(t->files, fds[1], file_ref(wr), cloexec);
	return 0;
}

static sysret_t make_pipe(struct task *t, uaddr_t addr, int flags)
{
	AUTO_FILE struct file *rd = NULL, *wr = NULL;
	int r;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	r = pipe_open(t->cred, (uint32_t)flags & (O_NONBLOCK | O_DIRECT), &rd, &wr);
	return r < 0 ? r : publish_pair(t, addr, rd, wr, flags & O_CLOEXEC);
}

sysret_t sys_pipe(struct task *t, const struct syscall_args *a)
{
	return make_pipe(t, arg_uaddr(a, 0), 0);
}

sysret_t sys_pipe2(struct task *t, const struct syscall_args *a)
{
	return make_pipe(t, arg_uaddr(a, 0), arg_int(a, 1));
}
