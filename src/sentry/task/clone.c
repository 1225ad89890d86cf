/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/clone.c - see clone.h.
 *
 * The child is built beside the parent and published when nothing can fail any more; its fiber
 * runs when the parent's parks.
 */
#include "sentry/task/clone.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/klog.h"
#include "sentry/mm/sem.h"
#include "sentry/task/cred_change.h"
#include "sentry/task/hooks.h"
#include "sentry/task/internal.h"
#include "sentry/task/pidfd.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/run.h"
#include "sentry/task/seccomp.h"
#include "sentry/task/sigqueue.h"
#include "sentry/task/user_usage.h"

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ull
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ull
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* What must be there together, or must not (copy_process() of Linux and clone(2)). */
static int judge_flags(const struct task *t, const struct clone_request *req)
{
	const uint64_t f = req->flags;

	if ((f & CLONE_FS) && (f & (CLONE_NEWNS | CLONE_NEWUSER)))
		return -EINVAL;
	if ((f & CLONE_NEWIPC) && (f & CLONE_SYSVSEM))
		return -EINVAL;
	if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && !(f & CLONE_VM))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && (f & CLONE_CLEAR_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_PARENT) && t->tg->keep_init)
		return -EINVAL;
	if (f & CLONE_THREAD) {
		if (f & (CLONE_NEWUSER | CLONE_NEWPID | CLONE_PIDFD))
			return -EINVAL;
		if (t->ns->pid_for_children != task_pid_ns(t))
			return -EINVAL;
	}
	if ((f & CLONE_PIDFD) && (f & CLONE_DETACHED))
		return -EINVAL;
	if ((f & CLONE_NEWIPC) && (f & CLONE_SYSVSEM))
		return -EINVAL;
	if (f & CLONE_INTO_CGROUP)
		return -EOPNOTSUPP;
	if (f & CLONE_NEWTIME)
		return -EINVAL;
	return req->exit_signal < 0 || req->exit_signal > KNSIG ? -EINVAL : 0;
}

static int copy_memory(struct task *t, struct task *child, uint64_t flags)
{
	int r;

	if (flags & CLONE_VM) {
		r = platform->thread_clone(t->thread, &child->thread);
		if (r == 0)
			child->mm = mm_ref(t->mm);
		if (!(flags & CLONE_THREAD))
			child->tg->mm_borrowed = true;
		return r;
	}
	return mm_fork(t->mm, t->thread, &child->thread, &child->mm);
}

/* The child's credentials, in a user namespace of its own where that is asked for. */
static int copy_cred(const struct task *t, struct task *child, uint64_t flags)
{
	const struct cred *fresh;
	int r;

	if (!(flags & CLONE_NEWUSER))
		return 0;
	if (namespaces_chrooted(t->ns, &t->fs->root))
		return -EPERM;
	r = cred_new_user_ns(t->cred, &fresh);
	if (r < 0)
		return r;
	cred_unref(child->cred);
	child->cred = fresh;
	return 0;
}

static int copy_files(struct task *t, struct task *child, uint64_t flags)
{
	int r = 0;

	if (flags & CLONE_FILES)
		child->files = fd_table_ref(t->files);
	else
		r = fd_table_copy(t->files, &child->files);
	if (r < 0)
		return r;
	/* Who executes has been found to share its directories with nobody else. */
	if (flags & CLONE_FS && t->tg->execs)
		return -EAGAIN;
	if (flags & CLONE_FS) {
		child->fs = t->fs;
		child->fs->refs++;
	} else {
		child->fs = fs_context_copy(t->fs);
		if (!child->fs)
			return -ENOMEM;
	}
	r = copy_cred(t, child, flags);
	if (r < 0)
		return r;
	return namespaces_copy(t->ns, flags, child->cred, &child->fs->root, &child->fs->cwd,
			       &child->ns);
}

static void clear_handlers(struct sighand *h)
{
	for (int i = 0; i < KNSIG; i++)
		if (h->action[i].handler != (uint64_t)(uintptr_t)SIG_IGN)
			memset(&h->action[i], 0, sizeof(h->action[i]));
}

static int make_group(struct task *t, struct task *child, const struct clone_request *req)
{
	struct thread_group *tg = thread_group_alloc(t->container);

	if (!tg)
		return -ENOMEM;
	child->tg = tg;
	if (req->flags & CLONE_SIGHAND) {
		tg->sighand = t->tg->sighand;
		tg->sighand->refs++;
	} else {
		tg->sighand = sighand_copy(t->tg->sighand);
	}
	if (!tg->sighand)
		return -ENOMEM;
	if (req->flags & CLONE_SYSVSEM) {
		tg->sem_undo = sem_undo_share(&t->tg->sem_undo);
		if (!tg->sem_undo)
			return -ENOMEM;
	}
	if (req->flags & CLONE_CLEAR_SIGHAND)
		clear_handlers(tg->sighand);
	memcpy(tg->limits, t->tg->limits, sizeof(tg->limits));
	tg->tty_left = t->tg->tty_left;
	tg->oom_score_adj = t->tg->oom_score_adj;
	tg->oom_score_adj_min = t->tg->oom_score_adj_min;
	tg->login_uid = t->tg->login_uid;
	tg->exit_signal = req->flags & CLONE_PARENT ? t->tg->exit_signal : req->exit_signal;
	return 0;
}

static void copy_plain(struct task *t, struct task *child, const struct clone_request *req)
{
	child->cred = cred_ref(t->cred);
	child->usage = user_usage_ref(t->usage);
	memcpy(child->comm, t->comm, sizeof(child->comm));
	child->personality = t->personality;
	child->nice = t->reset_on_fork && t->nice < 0 ? 0 : t->nice;
	if (!t->reset_on_fork || (t->policy != SCHED_FIFO && t->policy != SCHED_RR)) {
		child->policy = t->policy;
		child->rt_priority = t->rt_priority;
	}
	child->timer_slack_ns = t->timer_slack_ns;
	child->ioprio = t->ioprio;
	memcpy(child->affinity, t->affinity, sizeof(child->affinity));
	child->sig.blocked = t->sig.blocked;
	child->seccomp = seccomp_filter_ref(t->seccomp);
	child->seccomp_strict = t->seccomp_strict;
	if (!(req->flags & CLONE_VM) || (req->flags & CLONE_VFORK)) {
		child->sig.altstack_addr = t->sig.altstack_addr;
		child->sig.altstack_len = t->sig.altstack_len;
		child->sig.altstack_flags = t->sig.altstack_flags;
	}
	if (req->flags & CLONE_CHILD_CLEARTID)
		child->clear_child_tid = req->child_tid;
}

static int copy_registers(struct task *t, struct task *child, const struct clone_request *req)
{
	const struct arch_regs *regs = task_regs(t);

	if (!regs)
		return -EAGAIN;
	child->regs = *regs;
	child->regs.r.rax = 0;
	if (req->stack)
		child->regs.r.rsp = req->stack;
	if ((req->flags & CLONE_SETTLS) && req->tls >= PLATFORM_GUEST_TOP)
		return -EPERM;
	if (req->flags & CLONE_SETTLS)
		child->regs.r.fs_base = req->tls;
	child->regs_valid = true;
	child->regs_dirty = true;
	return 0;
}

/* Everything of the child that may fail and that nobody sees. */
static int build(struct task *t, struct task *child, const struct clone_request *req)
{
	int r;

	copy_plain(t, child, req);
	if (req->flags & CLONE_THREAD) {
		child->tg = thread_group_ref(t->tg);
		r = 0;
	} else {
		r = make_group(t, child, req);
	}
	if (r == 0)
		r = copy_registers(t, child, req);
	if (r == 0)
		r = copy_files(t, child, req->flags);
	return r < 0 ? r : copy_memory(t, child, req->flags);
}

static void link_group(struct task *t, struct task *child, uint64_t flags)
{
	struct thread_group *tg = child->tg;

	tg->parent = flags & CLONE_PARENT ? t->tg->parent : t->tg;
	tg->parent_thread = flags & CLONE_PARENT ? t->tg->parent_thread : t;
	if (tg->parent)
		list_add_tail(&tg->sibling, &tg->parent->children);
	process_group_join(tg, t->tg->pgrp);
	if (!pid_ns_init(pid_ns_of(tg->pid))) {
		pid_ns_set_init(pid_ns_of(tg->pid), tg);
		tg->keep_init = true;
	}
}

/* A group that is ending, stopping or in exec takes new members into that. */
static void join_group_events(struct task *t, struct task *child)
{
	if (t->tg->stop_count) {
		child->stop_pending = true;
		t->tg->stop_count++;
	}
	child->exec_kill = t->exec_kill;
}

static void tell_numbers(struct task *t, struct task *child, const struct pid *pid,
			 const struct clone_request *req)
{
	const int nr = pid_nr(pid, task_pid_ns(t)), own = pid_nr(pid, pid_ns_of(pid));

	/* Bad addresses are the guest's own: as in Linux nothing comes of them. */
	if ((req->flags & CLONE_PARENT_SETTID) &&
	    user_copy_out(task_um(t), req->parent_tid, &nr, sizeof(nr)) < 0)
		return;
	if ((req->flags & CLONE_CHILD_SETTID) &&
	    user_copy_out(task_um(child), req->child_tid, &own, sizeof(own)) < 0)
		return;
}

static int make_pidfd(struct task *t, struct pid *pid, const struct clone_request *req, int *ret)
{
	struct file *file;
	int fd, r;

	r = pidfd_file_new(pid, 0, &file);
	if (r < 0)
		return r;
	fd = fd_install(t->files, file, true, task_rlimit(t, RLIMIT_NOFILE));
	if (fd < 0)
		return fd;
	r = user_copy_out(task_um(t), req->pidfd, &fd, sizeof(fd));
	if (r < 0) {
		(void)fd_close(t->files, fd, t->files);
		return r;
	}
	*ret = fd;
	return 0;
}

/* The number, the pidfd and the fiber, then the child is there. */
static int publish(struct task *t, struct task *child, const struct clone_request *req)
{
	struct pid *pid;
	int r, fd = -1;

	r = pid_alloc_at(child->ns->pid_for_children, req->set_tid, req->set_tid_len, &pid);
	if (r < 0)
		return r;
	if (req->flags & CLONE_PIDFD)
		r = make_pidfd(t, pid, req, &fd);
	if (r == 0)
		tell_numbers(t, child, pid, req);
	if (r == 0 && (signal_fatal_pending(t) || task_may_create(t, t->container) < 0))
		r = -EAGAIN;
	if (r == 0)
		r = task_start_fiber(child);
	if (r < 0) {
		if (fd >= 0)
			(void)fd_close(t->files, fd, t->files);
		pid_unref(pid);
		return r;
	}
	task_publish(child, pid);
	if (req->flags & CLONE_THREAD)
		join_group_events(t, child);
	else
		link_group(t, child, req->flags);
	return 0;
}

static void wait_vfork(struct task *t, struct task *child)
{
	(void)WAIT_KILLABLE(t, &child->vfork_wait, child->vfork_done);
}

int64_t task_clone(struct task *t, const struct clone_request *req)
{
	struct task *child;
	int64_t nr;
	int r;

	r = judge_flags(t, req);
	if (r == 0)
		r = task_may_create(t, t->container);
	if (r < 0)
		return r;
	if (signal_pending(t))
		return -ERESTARTNOINTR;
	child = task_alloc(t->container);
	if (!child)
		return -ENOMEM;
	r = build(t, child, req);
	if (r == 0)
		r = publish(t, child, req);
	if (r < 0) {
		task_unref(child);
		return r == -ESRCH ? -EAGAIN : r;
	}
	nr = task_tid(child, task_pid_ns(t));
	task_ref(child);
	klog(task, "%d makes %d, flags %#llx", task_tid(t, task_pid_ns(t)), (int)nr,
	     (unsigned long long)req->flags);
	if (task_hooks->born)
		task_hooks->born(t, child, req->flags);
	ptrace_child_born(t, child, req->flags);
	ptrace_child_reported(t, child, req->flags);
	if (req->flags & CLONE_VFORK) {
		wait_vfork(t, child);
		ptrace_vfork_done(t, (int)nr);
	}
	task_unref(child);
	return nr;
}
