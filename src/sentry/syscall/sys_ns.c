/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_ns.c - unshare(2), setns(2). */
#include <linux/capability.h>
#include <sched.h>

#include "base/str.h"
#include "sentry/fs/proc/nsfs.h"
#include "sentry/mm/ipc_ns.h"
#include "sentry/syscall/syscall.h"
#include "sentry/task/cred_change.h"
#include "sentry/task/pidfd.h"
#include "sentry/task/ptrace_access.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define UNSHARE_NS                                                                     \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)
#define UNSHARE_KNOWN                                                                    \
	(UNSHARE_NS | CLONE_THREAD | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_VM | \
	 CLONE_SYSVSEM)

static int own_fs(struct task *t)
{
	struct fs_context *copy;

	if (t->fs->refs == 1)
		return 0;
	copy = fs_context_copy(t->fs);
	if (!copy)
		return -ENOMEM;
	fs_context_unref(t->fs);
	t->fs = copy;
	return 0;
}

static int own_files(struct task *t)
{
	struct fd_table *copy;
	int r;

	if (fd_table_refs(t->files) == 1)
		return 0;
	r = fd_table_copy(t->files, &copy);
	if (r < 0)
		return r;
	fd_table_unref(t->files);
	t->files = copy;
	return 0;
}

/* The parts that flags name; `cred` are the credentials after the call. */
static int unshare_parts(struct task *t, uint64_t flags, const struct cred *cred)
{
	struct namespaces *ns;
	int r = 0;

	if (flags & (CLONE_FS | CLONE_NEWNS | CLONE_NEWUSER))
		r = own_fs(t);
	if (r == 0 && (flags & UNSHARE_NS)) {
		r = namespaces_copy(t->ns, flags & UNSHARE_NS, cred, &t->fs->root, &t->fs->cwd,
				    &ns);
		if (r == 0) {
			namespaces_unref(t->ns);
			t->ns = ns;
		}
	}
	if (r == 0 && (flags & CLONE_FILES))
		r = own_files(t);
	return r;
}

sysret_t sys_unshare(struct task *t, const struct syscall_args *a)
{
	const uint64_t flags = arg_u64(a, 0);
	const struct cred *fresh = NULL;
	int r = 0;

	if (flags & ~(uint64_t)UNSHARE_KNOWN)
		return -EINVAL;
	if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWUSER)) && t->tg->live > 1)
		return -EINVAL;
	if ((flags & (CLONE_SIGHAND | CLONE_VM)) && t->mm->refs > 1)
		return -EINVAL;
	if (flags & CLONE_NEWUSER) {
		if (namespaces_chrooted(t->ns, &t->fs->root))
			return -EPERM;
		r = cred_new_user_ns(t->cred, &fresh);
		if (r < 0)
			return r;
	}
	r = unshare_parts(t, flags, fresh ? fresh : t->cred);
	if (r == 0 && fresh)
		task_set_cred(t, fresh);
	else
		cred_unref(fresh);
	return r;
}

/* Root and working directory of a task that enters a mount namespace. */
static int enter_mounts(struct task *t, struct mount_ns *mnt)
{
	struct path root = { mnt->root, mnt->root->root };
	int r = own_fs(t);

	if (r < 0)
		return r;
	if (!task_own_capable(t, CAP_SYS_CHROOT))
		return -EPERM;
	root = path_ref(&root);
	path_follow_mounts(&root);
	path_unref(&t->fs->root);
	path_unref(&t->fs->cwd);
	t->fs->root = root;
	t->fs->cwd = path_ref(&root);
	return 0;
}

/* user_namespaces(7), setns(2): one's own is refused, and who has threads or shares its fs. */
static int enter_user(struct task *t, struct user_ns *ns)
{
	struct cred *c;

	if (ns == t->cred->user_ns || t->tg->live > 1 || t->fs->refs > 1)
		return -EINVAL;
	if (!task_ns_capable(t, ns, CAP_SYS_ADMIN))
		return -EPERM;
	c = cred_copy(t->cred);
	if (!c)
		return -ENOMEM;
	cred_enter_user_ns(c, user_ns_ref(ns));
	task_set_cred(t, c);
	return 0;
}

/* t's namespaces become these; `mounts`: its root and directory become the mount namespace's. */
static int replace(struct task *t, const struct namespaces *mix, bool mounts)
{
	struct namespaces *ns = namespaces_new(mix);
	int r = 0;

	if (!ns)
		return -ENOMEM;
	if (mounts)
		r = enter_mounts(t, ns->mnt);
	if (r < 0) {
		namespaces_unref(ns);
		return r;
	}
	namespaces_unref(t->ns);
	t->ns = ns;
	return 0;
}

/* The right over a namespace is one over who made it, not over who is in it. */
static bool may_enter(struct task *t, uint64_t kind, void *ns)
{
	const struct ns_ref ref = { .kind = kind, .object = ns };

	return task_ns_capable(t, nsfs_owner(&ref), CAP_SYS_ADMIN);
}

/* The namespaces of `from` that flags name, the rest as they are. */
static int enter(struct task *t, const struct task *from, uint64_t flags)
{
	const struct {
		uint64_t kind;
		void *ns;
	} wanted[] = {
		{ CLONE_NEWUTS, from->ns->uts },       { CLONE_NEWIPC, from->ns->ipc },
		{ CLONE_NEWNS, from->ns->mnt },	       { CLONE_NEWNET, from->ns->net },
		{ CLONE_NEWCGROUP, from->ns->cgroup }, { CLONE_NEWPID, task_pid_ns(from) },
	};
	struct namespaces mix = *t->ns;

	if (!task_own_capable(t, CAP_SYS_ADMIN))
		return -EPERM;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		if (flags & wanted[i].kind && !may_enter(t, wanted[i].kind, wanted[i].ns))
			return -EPERM;
	}
	if (flags & CLONE_NEWUTS)
		mix.uts = from->ns->uts;
	if (flags & CLONE_NEWIPC)
		mix.ipc = from->ns->ipc;
	if (flags & CLONE_NEWNS)
		mix.mnt = from->ns->mnt;
	if (flags & CLONE_NEWNET)
		mix.net = from->ns->net;
	if (flags & CLONE_NEWCGROUP)
		mix.cgroup = from->ns->cgroup;
	if (flags & CLONE_NEWPID) {
		if (!pid_ns_inside(task_pid_ns(from), task_pid_ns(t)))
			return -EINVAL;
		mix.pid_for_children = task_pid_ns(from);
	}
	return replace(t, &mix, flags & CLONE_NEWNS);
}

/* The one namespace that a file of /proc/PID/ns stands for. */
static int enter_file(struct task *t, const struct ns_ref *ref, uint64_t wanted)
{
	struct namespaces mix = *t->ns;

	if (wanted && wanted != ref->kind)
		return -EINVAL;
	if (ref->kind == CLONE_NEWUSER)
		return enter_user(t, ref->object);
	if (!task_ns_capable(t, nsfs_owner(ref), CAP_SYS_ADMIN) ||
	    !task_own_capable(t, CAP_SYS_ADMIN))
		return -EPERM;
	switch (ref->kind) {
	case CLONE_NEWUTS:
		mix.uts = ref->object;
		break;
	case CLONE_NEWIPC:
		mix.ipc = ref->object;
		break;
	case CLONE_NEWNS:
		mix.mnt = ref->object;
		break;
	case CLONE_NEWNET:
		mix.net = ref->object;
		break;
	case CLONE_NEWCGROUP:
		mix.cgroup = ref->object;
		break;
	case CLONE_NEWTIME:
		mix.time = ref->object;
		break;
	case CLONE_NEWPID:
		if (!pid_ns_inside(ref->object, task_pid_ns(t)))
			return -EINVAL;
		mix.pid_for_children = ref->object;
		break;
	default:
		return -EINVAL;
	}
	return replace(t, &mix, ref->kind == CLONE_NEWNS);
}

sysret_t sys_setns(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = fd_get(t->files, arg_int(a, 0));
	const uint64_t flags = (uint32_t)arg_int(a, 1);
	const struct pid *pid;
	struct ns_ref ref;
	struct task *from;

	if (!f)
		return -EBADF;
	if (nsfs_file(f, &ref))
		return enter_file(t, &ref, flags);
	pid = pidfd_pid(f);
	if (!pid || !flags || (flags & ~(uint64_t)(UNSHARE_NS & ~CLONE_NEWTIME)))
		return -EINVAL;
	from = pid->tg ? pid->tg->leader : NULL;
	if (!from || !from->ns)
		return -ESRCH;
	if (!ptrace_may_access(t, from, PTRACE_ACCESS_READ_REAL))
		return -EPERM;
	if (flags & CLONE_NEWUSER) {
		const int r = enter_user(t, from->cred->user_ns);

		if (r < 0)
			return r;
	}
	return flags & ~(uint64_t)CLONE_NEWUSER ? enter(t, from, flags) : 0;
}
