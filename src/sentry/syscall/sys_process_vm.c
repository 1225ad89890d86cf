/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_vm_readv(2) and process_vm_writev(2): memory of another process, through a kernel buffer.
 */
#include <linux/capability.h>

#include "sentry/syscall/syscall.h"

#define CHUNK (64u << 10) /* bytes moved at once */

/* ptrace(2)'s PTRACE_MODE_ATTACH_REALCREDS. */
static int may_access(const struct task *t, const struct task *target)
{
	const struct cred *mine = t->cred, *theirs = target->cred;
	const bool same = mine->uid == theirs->uid && mine->uid == theirs->euid &&
			  mine->uid == theirs->suid && mine->gid == theirs->gid &&
			  mine->gid == theirs->egid && mine->gid == theirs->sgid;

	if (t->tg == target->tg || task_ns_capable(t, theirs->user_ns, CAP_SYS_PTRACE))
		return 0;
	if (!same || mine->user_ns != theirs->user_ns || !target->mm->dumpable ||
	    theirs->cap_permitted & ~mine->cap_permitted)
		return -EPERM;
	return 0;
}

/* The address space of a process with a reference. */
static int get_mm(struct task *t, int pid, struct mm **ret)
{
	struct task *target = task_find(task_pid_ns(t), pid);
	int r = 0;

	if (!target)
		return -ESRCH;
	if (!target->mm)
		r = -ESRCH;
	else
		r = may_access(t, target);
	if (r >= 0)
		*ret = mm_ref(target->mm);
	task_unref(target);
	return r;
}

/* Move from one list of ranges to the other until either ends or faults. */
static int64_t copy_ranges(struct uio *from, struct uio *to)
{
	AUTO_FREE uint8_t *buffer = malloc(CHUNK);
	int64_t total = 0;

	if (!buffer)
		return -ENOMEM;
	while (from->left && to->left) {
		size_t want = from->left < to->left ? from->left : to->left;
		ssize_t got, put;

		want = want < CHUNK ? want : CHUNK;
		got = uio_get(from, buffer, want);
		if (got <= 0)
			return total ? total : got;
		put = uio_put(to, buffer, (size_t)got);
		if (put < 0)
			return total ? total : put;
		total += put;
		if ((size_t)got < want || put < got)
			break;
		fiber_resched();
	}
	return total;
}

static sysret_t process_vm(struct task *t, const struct syscall_args *a, bool write)
{
	AUTO_FREE struct iovec *local_iov = NULL;
	AUTO_FREE struct iovec *remote_iov = NULL;
	struct uio local, remote;
	struct mm *mm;
	int64_t r;

	if (arg_u64(a, 5))
		return -EINVAL;
	r = uio_import(&local, task_um(t), arg_uaddr(a, 1), arg_u64(a, 2), &local_iov);
	if (r >= 0)
		r = uio_import(&remote, task_um(t), arg_uaddr(a, 3), arg_u64(a, 4), &remote_iov);
	if (r < 0)
		return r;
	if (!local.left || !remote.left)
		return 0;
	r = get_mm(t, arg_int(a, 0), &mm);
	if (r < 0)
		return r;
	remote.um = &mm->um;
	r = write ? copy_ranges(&local, &remote) : copy_ranges(&remote, &local);
	mm_unref(mm);
	return r;
}

sysret_t sys_process_vm_readv(struct task *t, const struct syscall_args *a)
{
	return process_vm(t, a, false);
}

sysret_t sys_process_vm_writev(struct task *t, const struct syscall_args *a)
{
	return process_vm(t, a, true);
}
