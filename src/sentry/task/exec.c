/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/exec.c - see exec.h: the move of a task into its new program. */
#include "sentry/task/exec.h"

#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/core/klog.h"
#include "sentry/task/exec_load.h"
#include "sentry/task/futex.h"
#include "sentry/task/internal.h"
#include "sentry/task/posix_timers.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/run.h"
#include "sentry/task/seccomp.h"
#include "sentry/task/sigqueue.h"
#include "sentry/task/user_usage.h"
#include "sentry/task/wait.h"

#define EXEC_BYTES_MIN (32 * 4096u) /* ARG_MAX of POSIX times, as Linux guarantees */

size_t exec_bytes_max(const struct task *t)
{
	const uint64_t quarter = task_rlimit(t, RLIMIT_STACK) / 4;

	if (quarter > EXEC_BYTES_MAX)
		return EXEC_BYTES_MAX;
	return quarter < EXEC_BYTES_MIN ? EXEC_BYTES_MIN : (size_t)quarter;
}

/* The group's number goes to the thread that executes; the old leader is gone. */
static void take_leader_number(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct task *leader = tg->leader;
	struct pid *own = t->pid;

	if (leader == t)
		return;
	task_ref(leader);
	ptrace_forget(leader);
	task_release(leader);
	t->pid = pid_ref(tg->pid);
	tg->pid->task = t;
	tg->leader = t;
	own->task = NULL;
	pid_release(own);
	pid_unref(own);
	task_unref(leader);
}

/* Threads of which nothing is left that runs, but perhaps a zombie for who waits for it. */
static bool others_ended(const struct task *t)
{
	const struct task *other;

	list_for_each(other, &t->tg->tasks, tg_node)
	{
		if (other != t && other->state < TASK_ZOMBIE)
			return false;
	}
	return true;
}

int thread_group_alone(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct task *other;

	if (tg->group_exit || tg->exec_by)
		return -EAGAIN;
	tg->exec_by = t;
	list_for_each(other, &tg->tasks, tg_node)
	{
		if (other == t)
			continue;
		other->exec_kill = true;
		task_kick(other);
	}
	/* One that has begun to end may still park: it is the group's leader until it is a zombie.
	 */
	(void)WAIT_KILLABLE(t, &tg->exit_wait, others_ended(t));
	tg->exec_by = NULL;
	if (!others_ended(t) || signal_fatal_pending(t))
		return -EAGAIN;
	take_leader_number(t);
	return 0;
}

/* Handlers are the old program's; ignored signals stay ignored. */
static int reset_signals(struct task *t)
{
	struct thread_group *tg = t->tg;

	if (tg->sighand->refs > 1) {
		struct sighand *own = sighand_copy_exec(tg->sighand);

		if (!own)
			return -ENOMEM;
		sighand_unref(tg->sighand);
		tg->sighand = own;
	}
	for (int i = 0; i < KNSIG; i++) {
		struct kernel_sigaction *a = &tg->sighand->action[i];

		if (a->handler != (uint64_t)(uintptr_t)SIG_IGN)
			a->handler = (uint64_t)(uintptr_t)SIG_DFL;
		a->flags = 0;
		a->restorer = 0;
		a->mask = 0;
	}
	t->sig.altstack_addr = 0;
	t->sig.altstack_len = 0;
	t->sig.altstack_flags = SS_DISABLE;
	return 0;
}

static int own_files(struct task *t)
{
	struct fd_table *copy;
	int r;

	if (fd_table_refs(t->files) > 1) {
		r = fd_table_copy(t->files, &copy);
		if (r < 0)
			return r;
		fd_table_unref(t->files);
		t->files = copy;
	}
	return 0;
}

/* Nothing here fails any more. */
static void move_in(struct task *t, struct loaded_program *p)
{
	struct mm *old_mm = t->mm;
	struct platform_thread *old_thread = t->thread;
	uint64_t used = platform->thread_cpu_ns(old_thread);

	thread_group_memory_ends(t->tg, old_mm);
	t->mm = TAKE_PTR(p->mm);
	t->thread = TAKE_PTR(p->thread);
	t->regs = p->regs;
	task_regs_replaced(t);
	t->tg->utime_ns += used;
	vfork_release(t);
	mm_unref(old_mm);
	platform->thread_free(old_thread);
	platform->thread_affinity(t->thread, t->affinity);
	memcpy(t->comm, p->comm, sizeof(t->comm));
	if (p->raised)
		t->sig.pdeath_signal = 0;
	task_set_cred(t, TAKE_PTR(p->cred));
	t->tg->did_exec = true;
	t->tg->exit_signal = SIGCHLD;
	t->robust_list = 0;
	t->robust_list_len = 0;
	t->clear_child_tid = 0;
	t->rseq_addr = 0;
	t->restart.fn = NULL;
	fd_table_exec(t->files, t->files);
}

/* Somebody outside of this process could move its root under it (CLONE_FS). */
static bool shares_directories(const struct task *t)
{
	const struct task *other;
	unsigned int own = 0;

	list_for_each(other, &t->tg->tasks, tg_node) own += other->fs == t->fs;
	return t->fs->refs > own;
}

/* While the new program's credentials are made nobody comes who would have forbidden them. */
int task_exec_wait(struct task *t, struct thread_group *tg)
{
	return WAIT_KILLABLE(t, &tg->exit_wait, !tg->execs);
}

static int exec_alone(struct task *t, struct exec_request *req)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	const struct mm_limits limits = task_mm_limits(t);
	const struct load_options options = {
		.limits = &limits,
		.allow_setid = t->container->allow_setid,
		.unsafe = ptrace_hinders_setid(t) || shares_directories(t),
		.personality = t->personality,
		.container = t->container,
	};
	struct loaded_program p;
	int r;

	if (t->usage->tasks > task_rlimit(t, RLIMIT_NPROC) && t->tg->nproc_exceeded)
		return -EAGAIN;
	r = program_load(&ctx, &options, req, &p);
	if (r < 0)
		return r;
	r = own_files(t);
	if (r == 0)
		r = thread_group_alone(t);
	if (r == 0)
		r = reset_signals(t);
	if (r < 0) {
		loaded_program_done(&p);
		return r;
	}
	futex_task_exit(t);
	posix_timers_free(t->tg);
	move_in(t, &p);
	loaded_program_done(&p);
	klog(task, "%d executes %s", task_tid(t, task_pid_ns(t)), req->name);
	return 0;
}

int task_exec(struct task *t, struct exec_request *req)
{
	const int old_tid = task_tid(t, task_pid_ns(t));
	int r;

	t->tg->execs++;
	r = exec_alone(t, req);
	if (--t->tg->execs == 0)
		waitq_wake(&t->tg->exit_wait, POLLIN);
	if (r == 0)
		ptrace_exec(t, old_tid);
	return r;
}

/* What a first task has before its program is loaded. */
static int spawn_group(const struct task_spec *spec, struct task *t)
{
	struct thread_group *tg = thread_group_alloc(spec->container);

	if (!tg)
		return -ENOMEM;
	t->tg = tg;
	tg->sighand = sighand_new();
	if (!tg->sighand)
		return -ENOMEM;
	memcpy(tg->limits, spec->limits, sizeof(tg->limits));
	tg->exit_signal = SIGCHLD;
	tg->on_exit = spec->on_exit;
	tg->on_exit_arg = spec->on_exit_arg;
	t->usage = user_usage_get(spec->cred->uid);
	t->ns = namespaces_ref(spec->ns);
	t->fs = fs_context_new(&spec->root, &spec->cwd, spec->umask);
	t->files = fd_table_ref(spec->files);
	t->cred = cred_ref(spec->cred);
	t->seccomp = seccomp_filter_ref(spec->container->seccomp);
	memset(t->affinity, 0xff, sizeof(t->affinity));
	return t->usage && t->fs ? 0 : -ENOMEM;
}

static int spawn_strings(const struct task_spec *spec, struct exec_request *req)
{
	int r = 0;

	for (char *const *s = spec->argv; r == 0 && s && *s; s++)
		r = exec_strings_add(&req->argv, *s);
	for (char *const *s = spec->envp; r == 0 && s && *s; s++)
		r = exec_strings_add(&req->envp, *s);
	return r;
}

/* A session and a group of its own, or those of the parent. */
static int spawn_session(const struct task_spec *spec, struct thread_group *tg)
{
	struct session *session;
	struct process_group *pgrp;
	int r;

	if (!spec->new_session && spec->parent) {
		process_group_join(tg, spec->parent->pgrp);
		return 0;
	}
	r = session_new(tg->pid, &session);
	if (r < 0)
		return r;
	session->leader = tg;
	r = process_group_new(tg->pid, session, &pgrp);
	if (r == 0) {
		process_group_join(tg, pgrp);
		process_group_unref(pgrp);
	}
	session_unref(session);
	return r;
}

static int spawn_load(const struct task_spec *spec, struct task *t)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	const struct mm_limits limits = task_mm_limits(t);
	const struct load_options options = { .limits = &limits,
					      .allow_setid = spec->container->allow_setid,
					      .container = spec->container };
	struct exec_request req = { .name = spec->program, .walk = WALK_FOLLOW };
	struct loaded_program p;
	int r = spawn_strings(spec, &req);

	if (r == 0 && !req.name)
		req.name = req.argv.len ? req.argv.v[0] : "";
	if (r == 0)
		r = program_load(&ctx, &options, &req, &p);
	if (r == 0) {
		t->mm = TAKE_PTR(p.mm);
		t->thread = TAKE_PTR(p.thread);
		t->regs = p.regs;
		t->regs_valid = true;
		t->regs_dirty = true;
		memcpy(t->comm, p.comm, sizeof(t->comm));
		task_set_cred(t, TAKE_PTR(p.cred));
		fd_table_exec(t->files, t->files);
		loaded_program_done(&p);
	}
	exec_strings_done(&req.argv);
	exec_strings_done(&req.envp);
	return r;
}

int task_spawn(const struct task_spec *spec, struct task **ret)
{
	struct task *t = task_alloc(spec->container);
	struct pid *pid = NULL;
	int r;

	if (!t)
		return -ENOMEM;
	r = spawn_group(spec, t);
	if (r == 0)
		r = spawn_load(spec, t);
	if (r == 0)
		r = task_may_create(NULL, spec->container);
	if (r == 0)
		r = pid_alloc(spec->ns->pid_for_children, &pid);
	if (r < 0) {
		task_unref(t);
		return r;
	}
	task_publish(t, pid);
	if (!pid_ns_init(pid_ns_of(pid))) {
		pid_ns_set_init(pid_ns_of(pid), t->tg);
		t->tg->keep_init = true;
	}
	t->tg->parent = spec->parent;
	if (spec->parent)
		list_add_tail(&t->tg->sibling, &spec->parent->children);
	r = spawn_session(spec, t->tg);
	if (r < 0) {
		t->exiting = true;
		t->exit_code = SIGKILL;
		t->tg->on_exit = NULL;
		task_exit(t);
		return r;
	}
	*ret = t;
	return 0;
}
