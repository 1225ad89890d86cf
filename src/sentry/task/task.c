/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/task.c - tasks and thread groups as objects: birth, references, look-ups.
 */
#include "sentry/task/task.h"

#include <assert.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/mm/sem.h"
#include "sentry/task/account.h"
#include "sentry/task/answers.h"
#include "sentry/task/internal.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/seccomp.h"
#include "sentry/task/sigqueue.h"
#include "sentry/task/user_usage.h"

#define TIMER_SLACK_DEFAULT_NS 50000

struct task *task_current(void)
{
	struct fiber *f = fiber_self();

	return f ? fiber_owner(f) : NULL;
}

struct task *task_alloc(struct container *container)
{
	struct task *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->refs = 1;
	t->container = container_ref(container);
	t->state = TASK_RUNNING;
	t->timer_slack_ns = TIMER_SLACK_DEFAULT_NS;
	t->sig.altstack_flags = SS_DISABLE;
	t->start_ns = kclock_boottime();
	sig_queue_init(&t->sig.pending);
	waitq_init(&t->vfork_wait);
	list_init(&t->tg_node);
	list_init(&t->pi_owned);
	list_init(&t->tracees);
	list_init(&t->tracer_node);
	return t;
}

struct task *task_ref(struct task *t)
{
	t->refs++;
	return t;
}

/* The parts of a live task; each may be missing. */
void task_free_parts(struct task *t)
{
	struct mm *mm = TAKE_PTR(t->mm);
	struct platform_thread *thread = TAKE_PTR(t->thread);
	struct fd_table *files = TAKE_PTR(t->files);
	struct fs_context *fs = TAKE_PTR(t->fs);
	struct namespaces *ns = TAKE_PTR(t->ns);

	if (mm)
		mm_unref(mm);
	if (thread)
		platform->thread_free(thread);
	if (files)
		fd_table_unref(files);
	fs_context_unref(fs);
	namespaces_unref(ns);
}

void task_unref(struct task *t)
{
	if (!t || --t->refs)
		return;
	task_free_parts(t);
	sig_queue_flush(&t->sig.pending, ~0ull);
	seccomp_filter_unref(t->seccomp);
	user_usage_unref(t->usage);
	cred_unref(t->cred);
	if (t->tg)
		thread_group_unref(t->tg);
	pid_unref(t->pid);
	container_unref(t->container);
	free(t);
}

struct thread_group *thread_group_alloc(struct container *container)
{
	struct thread_group *tg = calloc(1, sizeof(*tg));

	if (!tg)
		return NULL;
	tg->refs = 1;
	tg->container = container_ref(container);
	tg->start_ns = kclock_boottime();
	list_init(&tg->tasks);
	list_init(&tg->children);
	list_init(&tg->sibling);
	list_init(&tg->pgrp_node);
	sig_queue_init(&tg->shared_pending);
	waitq_init(&tg->wait_child);
	waitq_init(&tg->exit_wait);
	waitq_init(&tg->freeze_wait);
	return tg;
}

struct thread_group *thread_group_ref(struct thread_group *tg)
{
	tg->refs++;
	return tg;
}

void thread_group_unref(struct thread_group *tg)
{
	if (!tg || --tg->refs)
		return;
	sig_queue_flush(&tg->shared_pending, ~0ull);
	sem_undo_exit(tg->sem_undo, 0); /* of one that was never born */
	sighand_unref(tg->sighand);
	process_group_unref(tg->pgrp);
	session_unref(tg->session);
	pid_unref(tg->pid);
	container_unref(tg->container);
	free(tg);
}

int task_may_create(const struct task *by, const struct container *container)
{
	if (container->tasks >= container->tasks_max)
		return -EAGAIN;
	if (!by || by->usage->tasks < task_rlimit(by, RLIMIT_NPROC))
		return 0;
	return task_capable(by, CAP_SYS_RESOURCE) || task_capable(by, CAP_SYS_ADMIN) ||
			       by->cred->uid == 0
		       ? 0
		       : -EAGAIN;
}

void task_publish(struct task *t, struct pid *pid)
{
	struct thread_group *tg = t->tg;

	t->pid = pid;
	pid->task = t;
	if (!tg->leader) {
		tg->leader = t;
		tg->pid = pid_ref(pid);
		pid->tg = tg;
	}
	list_add_tail(&t->tg_node, &tg->tasks);
	account_birth();
	tg->live++;
	t->container->tasks++;
	t->container->live++;
	t->usage->tasks++;
}

void task_release(struct task *t)
{
	if (t->state == TASK_DEAD)
		return;
	t->state = TASK_DEAD;
	list_del(&t->tg_node);
	t->pid->task = NULL;
	pid_release(t->pid);
	t->container->tasks--;
	t->usage->tasks--;
	task_unref(t);
}

struct task *task_find(struct pid_ns *ns, int tid)
{
	struct pid *pid = pid_find(ns, tid);

	return pid && pid->task ? task_ref(pid->task) : NULL;
}

struct thread_group *thread_group_find(struct pid_ns *ns, int nr)
{
	struct pid *pid = pid_find(ns, nr);

	return pid && pid->tg ? thread_group_ref(pid->tg) : NULL;
}

struct process_group *process_group_find(struct pid_ns *ns, int pgid)
{
	struct pid *pid = pid_find(ns, pgid);

	return pid && pid->pgrp ? process_group_ref(pid->pgrp) : NULL;
}

struct thread_group *thread_group_next(struct pid_ns *ns, int from, int *ret_pid)
{
	struct pid *pid;

	for (; (pid = pid_next(ns, from)); from = pid_nr(pid, ns) + 1) {
		if (!pid->tg)
			continue;
		if (ret_pid)
			*ret_pid = pid_nr(pid, ns);
		return thread_group_ref(pid->tg);
	}
	return NULL;
}

enum task_state task_state_now(const struct task *t)
{
	if (t->state != TASK_RUNNING)
		return t->state;
	return t->in_guest || t == task_current() ? TASK_RUNNING : TASK_SLEEPING;
}

int task_tid(const struct task *t, const struct pid_ns *ns)
{
	return pid_nr(t->pid, ns);
}

int task_tgid(const struct task *t, const struct pid_ns *ns)
{
	return pid_nr(t->tg->pid, ns);
}

struct pid_ns *task_pid_ns(const struct task *t)
{
	return pid_ns_of(t->pid);
}

uint64_t task_rlimit(const struct task *t, int resource)
{
	return t->tg->limits[resource].rlim_cur;
}

struct vfs_ctx task_vfs_ctx(struct task *t)
{
	return (struct vfs_ctx){
		.cred = t->cred,
		.root = &t->fs->root,
		.cwd = &t->fs->cwd,
		.umask = t->fs->umask,
		.fsize_limit = task_rlimit(t, RLIMIT_FSIZE),
	};
}

struct mm_limits task_mm_limits(const struct task *t)
{
	return (struct mm_limits){
		.as = task_rlimit(t, RLIMIT_AS),
		.data = task_rlimit(t, RLIMIT_DATA),
		.stack = task_rlimit(t, RLIMIT_STACK),
		.memlock = task_capable(t, CAP_IPC_LOCK) ? RLIM_INFINITY
							 : task_rlimit(t, RLIMIT_MEMLOCK),
	};
}

/* The counts of the real uid move with it. */
static void usage_follow(struct task *t, uint32_t uid)
{
	struct user_usage *usage;

	if (t->usage && t->usage->uid == uid)
		return;
	usage = user_usage_get(uid);
	if (!usage)
		return; /* the old user goes on paying */
	if (t->usage && t->pid) {
		t->usage->tasks--;
		usage->tasks++;
	}
	user_usage_unref(t->usage);
	t->usage = usage;
}

void task_set_cred(struct task *t, const struct cred *cred)
{
	const struct cred *old = t->cred;

	usage_follow(t, cred->uid);
	t->cred = cred;
	cred_unref(old);
	task_answers_update(t);
}

void task_set_affinity(struct task *t, const uint64_t mask[16])
{
	memcpy(t->affinity, mask, sizeof(t->affinity));
	if (t->thread)
		platform->thread_affinity(t->thread, t->affinity);
}

bool task_capable(const struct task *t, unsigned int cap)
{
	return cred_capable(t->cred, cap);
}

bool task_ns_capable(const struct task *t, const struct user_ns *ns, unsigned int cap)
{
	return cred_ns_capable(t->cred, ns, cap);
}

bool task_own_capable(const struct task *t, unsigned int cap)
{
	return cred_own_capable(t->cred, cap);
}

uint32_t task_uid_out(const struct task *t, uint32_t kuid)
{
	return user_ns_uid_out(t->cred->user_ns, kuid);
}

uint32_t task_gid_out(const struct task *t, uint32_t kgid)
{
	return user_ns_gid_out(t->cred->user_ns, kgid);
}

void task_cpu_ns(const struct task *t, uint64_t *ret_user, uint64_t *ret_system)
{
	*ret_user = t->thread ? platform->thread_cpu_ns(t->thread) : t->utime_ns;
	*ret_system = t->stime_ns;
}

void thread_group_cpu_ns(const struct thread_group *tg, uint64_t *ret_user, uint64_t *ret_system)
{
	const struct task *t;

	*ret_user = tg->utime_ns;
	*ret_system = tg->stime_ns;
	list_for_each(t, &tg->tasks, tg_node)
	{
		uint64_t user, sys;

		if (t->state >= TASK_ZOMBIE)
			continue; /* counted in tg */
		task_cpu_ns(t, &user, &sys);
		*ret_user += user;
		*ret_system += sys;
	}
}

uint64_t thread_group_anon(const struct thread_group *tg)
{
	struct mm *mm = tg->leader->mm ? mm_ref(tg->leader->mm) : NULL;
	struct mm_resident resident = { 0 };

	if (mm) {
		mm_resident(mm, &resident);
		mm_unref(mm);
	}
	return resident.anon;
}

int64_t task_restart_block(struct task *t, const struct restart_block *block)
{
	t->restart = *block;
	return -ERESTART_RESTARTBLOCK;
}

struct fs_context *fs_context_new(const struct path *root, const struct path *cwd, uint32_t umask)
{
	struct fs_context *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return NULL;
	fs->refs = 1;
	fs->root = path_ref(root);
	fs->cwd = path_ref(cwd);
	fs->umask = umask;
	return fs;
}

struct fs_context *fs_context_copy(const struct fs_context *fs)
{
	return fs_context_new(&fs->root, &fs->cwd, fs->umask);
}

void fs_context_unref(struct fs_context *fs)
{
	if (!fs || --fs->refs)
		return;
	path_unref(&fs->root);
	path_unref(&fs->cwd);
	free(fs);
}
