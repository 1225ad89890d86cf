/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "sentry/core/kclock.h"
#include "sentry/syscall/sys_vfs.h"

int sys_get_path(struct task *t, uaddr_t addr, struct path_text *ret)
{
	const ssize_t r = user_copy_string(task_um(t), ret->text, addr, sizeof(ret->text));

	return r < 0 ? (int)r : 0;
}

int sys_get_at(struct task *t, int dirfd, const char *name, struct path *ret)
{
	AUTO_FILE struct file *f = NULL;

	if (dirfd == AT_FDCWD || name[0] == '/') {
		*ret = path_ref(&t->fs->cwd);
		return 0;
	}
	f = fd_get_any(t->files, dirfd);
	if (!f)
		return -EBADF;
	if (!f->path.dentry || (name[0] && !S_ISDIR(f->path.dentry->inode->mode)))
		return -ENOTDIR;
	*ret = path_ref(&f->path);
	return 0;
}

int sys_walk(struct task *t, int dirfd, uaddr_t name, unsigned int walk, struct path *ret)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path_text p;
	struct path at;
	int r = sys_get_path(t, name, &p);

	if (r == 0 && !p.text[0] && !(walk & WALK_EMPTY))
		r = -ENOENT;
	if (r == 0)
		r = sys_get_at(t, dirfd, p.text, &at);
	if (r < 0)
		return r;
	r = path_walk(&ctx, &at, p.text, walk, ret);
	path_unref(&at);
	return r;
}

sysret_t sys_write_result(struct task *t, ssize_t r)
{
	if (r == -EPIPE)
		signal_send_self(t, SIGPIPE);
	if (r != -EFSIZELIMIT)
		return r;
	signal_send_self(t, SIGXFSZ);
	return -EFBIG;
}

sysret_t sys_install(struct task *t, struct file *f, bool cloexec)
{
	return fd_install(t->files, f, cloexec, task_rlimit(t, RLIMIT_NOFILE));
}

int sys_get_timeout(struct task *t, uaddr_t addr, nsec_t *ret_deadline)
{
	struct timespec ts;
	nsec_t delta;

	*ret_deadline = NSEC_NEVER;
	if (!addr)
		return 0;
	if (user_copy_in(task_um(t), &ts, addr, sizeof(ts)) < 0)
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (long)NSEC_PER_SEC)
		return -EINVAL;
	delta = timespec_to_nsec(&ts);
	*ret_deadline = delta ? nsec_add(kclock_monotonic(), delta) : 0;
	return 0;
}

void sys_put_timeout(struct task *t, uaddr_t addr, nsec_t deadline)
{
	const nsec_t now = kclock_monotonic();
	struct timespec ts = { 0 };
	int r;

	if (!addr || deadline == NSEC_NEVER)
		return;
	if (deadline > now)
		ts = nsec_to_timespec(deadline - now);
	r = user_copy_out(task_um(t), addr, &ts, sizeof(ts));
	(void)r; /* the result of the call is worth more */
}

int sys_enter_sigmask(struct task *t, uaddr_t addr, uint64_t size, bool *ret_set)
{
	kernel_sigset_t mask;

	*ret_set = false;
	if (!addr)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (user_copy_in(task_um(t), &mask, addr, sizeof(mask)) < 0)
		return -EFAULT;
	signal_set_temporary_mask(t, mask);
	*ret_set = true;
	return 0;
}

sysret_t sys_leave_sigmask(struct task *t, bool set, sysret_t r)
{
	if (set && r != -EINTR && r != -ERESTARTNOHAND)
		signal_restore_mask(t);
	return r;
}
