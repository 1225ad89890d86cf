/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_exec.c - execve(2), execveat(2). */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/syscall/event.h"
#include "sentry/syscall/syscall.h"
#include "sentry/task/exec.h"

static sysret_t execute(struct task *t, struct exec_request *req, uaddr_t argv, uaddr_t envp)
{
	const size_t max = exec_bytes_max(t);
	int r = exec_strings_import(&req->argv, task_um(t), argv, max);

	if (r == 0)
		r = exec_strings_import(&req->envp, task_um(t), envp,
					max > req->argv.bytes ? max - req->argv.bytes : 0);
	if (r == 0)
		r = task_exec(t, req);
	if (event_wanted(EVENT_execve))
		event_execve(t, req, r);
	exec_strings_done(&req->argv);
	exec_strings_done(&req->envp);
	return r;
}

sysret_t sys_execve(struct task *t, const struct syscall_args *a)
{
	AUTO_FREE char *name = malloc(VFS_PATH_MAX);
	struct exec_request req = { .name = name, .walk = WALK_FOLLOW };
	ssize_t r;

	if (!name)
		return -ENOMEM;
	r = user_copy_string(task_um(t), name, arg_uaddr(a, 0), VFS_PATH_MAX);
	return r < 0 ? r : execute(t, &req, arg_uaddr(a, 1), arg_uaddr(a, 2));
}

#define SHOWN_MAX (VFS_PATH_MAX + 32)

sysret_t sys_execveat(struct task *t, const struct syscall_args *a)
{
	AUTO_FREE char *name = malloc(VFS_PATH_MAX), *shown = malloc(SHOWN_MAX);
	const int dirfd = arg_int(a, 0), flags = arg_int(a, 4);
	struct exec_request req = { .name = name };
	AUTO_FILE struct file *dir = NULL;
	ssize_t r;

	if (!name || !shown)
		return -ENOMEM;
	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	r = user_copy_string(task_um(t), name, arg_uaddr(a, 1), VFS_PATH_MAX);
	if (r < 0)
		return r;
	req.walk = (flags & AT_SYMLINK_NOFOLLOW ? 0u : WALK_FOLLOW) |
		   (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0u);
	if (dirfd != AT_FDCWD && name[0] != '/') {
		dir = fd_get_any(t->files, dirfd);
		if (!dir)
			return -EBADF;
		req.at = &dir->path;
		(void)snprintf(shown, SHOWN_MAX, name[0] ? "/dev/fd/%d/%s" : "/dev/fd/%d", dirfd,
			       name);
		req.shown = shown;
		req.inaccessible = fd_get_cloexec(t->files, dirfd) == 1;
	}
	return execute(t, &req, arg_uaddr(a, 2), arg_uaddr(a, 3));
}
