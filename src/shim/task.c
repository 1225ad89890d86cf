/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "shim/address.h"
#include "shim/answers.h"
#include "shim/events.h"
#include "shim/jobs.h"
#include "shim/manage.h"
#include "shim/shim.h"
#include "shim/worker.h"

#define TELL_CHECK_MS 2
#define TELL_MAX_MS   250
#define END_CHECK_MS  10
#define END_MAX_MS    4000 /* containerd waits three seconds for an end */

struct waiter {
	struct list_head node;
	struct ttrpc_call *call;
};

static int proc_init(struct proc *p, struct task *t, const char *exec_id)
{
	p->task = t;
	list_init(&p->node);
	list_init(&p->waiters);
	p->exec_id = strdup(exec_id);
	return p->exec_id ? 0 : -ENOMEM;
}

static struct ttrpc_call *take_waiter(struct proc *p, struct waiter *w)
{
	struct ttrpc_call *call = w->call;

	list_del(&w->node);
	p->task->waiters_len--;
	free(w);
	return call;
}

static void proc_done(struct proc *p)
{
	struct waiter *w, *next;

	list_for_each_safe(w, next, &p->waiters, node)
	{
		ttrpc_fail(take_waiter(p, w), TTRPC_NOT_FOUND, "the process was deleted");
	}
	if (p->delete_call)
		ttrpc_fail(p->delete_call, TTRPC_NOT_FOUND, "the container was deleted");
	loop_remove(p->delete_timer);
	loop_remove(p->tell_timer);
	list_del(&p->node);
	streams_done(&p->streams);
	free(p->exec_id);
	free(p->spec);
}

/* ---- Tasks ---- */

int task_new(struct shim *s, const char *id, const char *bundle, struct task **ret, struct err *err)
{
	static const char *const none[3] = { "", "", "" };
	struct task *t = calloc(1, sizeof(*t));

	if (!t)
		return err_sys(err, -ENOMEM, "container %s", id);
	t->shim = s;
	t->refs = 1;
	for (int i = 0; i < OOM_WATCHES; i++)
		t->oom[i] = (struct oom_watch){ .task = t, .fd = -EBADF };
	t->isolation = ISOLATION_UNSET;
	list_init(&t->node);
	list_init(&t->execs);
	t->id = strdup(id);
	t->bundle = strdup(bundle);
	if (proc_init(&t->init, t, "") < 0 || !t->id || !t->bundle ||
	    streams_init(&t->init.streams, s->loop, none, false, err) < 0) {
		task_put(t);
		return err_sys(err, -ENOMEM, "container %s", id);
	}
	list_add_tail(&t->node, &s->tasks);
	*ret = t;
	return 0;
}

void task_get(struct task *t)
{
	t->refs++;
}

void task_put(struct task *t)
{
	if (--t->refs > 0)
		return;
	while (!list_empty(&t->execs))
		proc_free(list_first(&t->execs, struct proc, node));
	proc_done(&t->init);
	oom_stop(t);
	settings_free(t->settings);
	free(t->id);
	free(t->bundle);
	free(t);
}

void task_remove(struct task *t)
{
	if (list_empty(&t->node))
		return;
	list_del(&t->node);
	task_put(t);
}

struct task *task_find(const struct shim *s, const char *id)
{
	struct task *t;

	list_for_each(t, &s->tasks, node)
	{
		if (str_eq(t->id, id))
			return t;
	}
	return NULL;
}

/* ---- Processes ---- */

int proc_new(struct task *t, const char *exec_id, struct proc **ret, struct err *err)
{
	struct proc *p = calloc(1, sizeof(*p));

	if (!p || proc_init(p, t, exec_id) < 0) {
		free(p);
		return err_sys(err, -ENOMEM, "process %s", exec_id);
	}
	list_add_tail(&p->node, &t->execs);
	*ret = p;
	return 0;
}

void proc_free(struct proc *p)
{
	proc_done(p);
	free(p);
}

struct proc *proc_find(struct task *t, const char *exec_id)
{
	struct proc *p;

	if (!*exec_id)
		return &t->init;
	list_for_each(p, &t->execs, node)
	{
		if (str_eq(p->exec_id, exec_id))
			return p;
	}
	return NULL;
}

static void drop_unwanted_waiters(struct proc *p)
{
	struct waiter *w, *next;

	list_for_each_safe(w, next, &p->waiters, node)
	{
		if (!ttrpc_call_is_wanted(w->call))
			ttrpc_fail(take_waiter(p, w), TTRPC_CANCELED, "nobody waits any more");
	}
}

int proc_add_waiter(struct proc *p, struct ttrpc_call *call)
{
	struct task *t = p->task;
	struct waiter *w;
	struct proc *exec;

	if (t->waiters_len >= WAITERS_MAX) {
		drop_unwanted_waiters(&t->init);
		list_for_each(exec, &t->execs, node) drop_unwanted_waiters(exec);
	}
	if (t->waiters_len >= WAITERS_MAX)
		return -EAGAIN;
	w = malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->call = call;
	list_add_tail(&w->node, &p->waiters);
	t->waiters_len++;
	return 0;
}

/* ---- The end of a process ---- */

static void tell_end(struct proc *p)
{
	struct waiter *w, *next;

	loop_remove(TAKE_PTR(p->tell_timer));
	oom_look(p->task);
	p->state = PROC_STOPPED;
	if (p == &p->task->init)
		p->task->paused = false;
	event_exit(p);
	list_for_each_safe(w, next, &p->waiters, node)
	{
		answer_wait(take_waiter(p, w), p);
	}
}

/* A first process is the last whose end is told. */
static bool waits_for_others(const struct proc *p)
{
	const struct proc *exec;

	if (p != &p->task->init)
		return false;
	list_for_each(exec, &p->task->execs, node)
	{
		if (exec->tell_timer)
			return true;
	}
	return false;
}

static void on_tell_timer(void *arg)
{
	struct proc *p = arg;

	if ((!streams_read(&p->streams) || waits_for_others(p)) && clock_ms() < p->tell_ms &&
	    loop_set_timer(p->tell_timer, TELL_CHECK_MS) == 0)
		return;
	tell_end(p);
}

/*
 * There are clients (containerd's own until 1.7) that close a stream when they hear of the end,
 * and lose what they have not read. Who does not read does not hold the end for long.
 */
static void tell_when_read(struct proc *p)
{
	streams_ended(&p->streams);
	p->tell_ms = clock_ms() + TELL_MAX_MS;
	if ((streams_read(&p->streams) && !waits_for_others(p)) ||
	    loop_add_timer(p->task->shim->loop, TELL_CHECK_MS, on_tell_timer, p, &p->tell_timer) <
		    0)
		tell_end(p);
}

static void on_rest_killed(void *owner, struct worker_answer *answer)
{
	struct proc *p = owner;
	struct task *t = p->task;

	if (answer->err.code < 0 && answer->err.code != -ESRCH && answer->err.code != -ENOENT)
		log_warning("container %s: end what its first process left: %s", t->id,
			    answer->err.msg);
	/* The others' ends come before. */
	task_reap(t);
	p->busy = false;
	/* Who deletes the container meanwhile has told it. */
	if (p->state != PROC_STOPPED)
		tell_when_read(p);
	task_put(t);
}

/* The processes of a container with a pid namespace of others do not end with the first. */
static bool kill_rest(struct proc *p)
{
	struct task *t = p->task;
	struct kill_args args = {
		.settings = t->settings, .id = t->id, .signal = SIGKILL, .all = true
	};
	const struct worker_job job = {
		.what = "kill", .run = job_kill, .arg = &args, .done = on_rest_killed, .owner = p
	};
	struct err err = { 0 };

	if (p != &t->init || !t->shared_pid || t->deleting)
		return false;
	task_get(t);
	p->busy = true;
	if (worker_start(t->shim, &job, &err) == 0)
		return true;
	log_warning("container %s: %s", t->id, err.msg);
	p->busy = false;
	task_put(t);
	return false;
}

void proc_settle(struct proc *p)
{
	if (!p->ended || p->busy || p->tell_timer || p->state == PROC_STOPPED)
		return;
	if (!kill_rest(p))
		tell_when_read(p);
}

static struct proc *find_pid(struct shim *s, pid_t pid)
{
	struct task *t;
	struct proc *p;

	list_for_each(t, &s->tasks, node)
	{
		if (t->init.pid == pid && !t->init.ended)
			return &t->init;
		list_for_each(p, &t->execs, node)
		{
			if (p->pid == pid && !p->ended)
				return p;
		}
	}
	return NULL;
}

static void on_ended(struct proc *p, int status)
{
	p->ended = true;
	p->exit_status = WIFSIGNALED(status) ? 128u + (uint32_t)WTERMSIG(status)
					     : (uint32_t)WEXITSTATUS(status);
	(void)clock_gettime(CLOCK_REALTIME, &p->exited_at);
	proc_settle(p);
}

static void reap(struct proc *p)
{
	int status;

	if (!p->ended && p->pid > 0 && waitpid(p->pid, &status, WNOHANG) == p->pid)
		on_ended(p, status);
}

void task_reap(struct task *t)
{
	struct proc *p;

	list_for_each(p, &t->execs, node) reap(p);
	reap(&t->init);
}

static void tell_if_ended(struct proc *p)
{
	if (p->ended && p->state != PROC_STOPPED)
		tell_end(p);
}

void task_tell_ends(struct task *t)
{
	struct proc *p;

	list_for_each(p, &t->execs, node) tell_if_ended(p);
	tell_if_ended(&t->init);
}

void proc_tell_end(struct proc *p)
{
	if (!p->tell_timer)
		return;
	if (p == &p->task->init)
		task_tell_ends(p->task);
	else
		tell_end(p);
}

void shim_reap(struct shim *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct proc *p;

		/* What a worker has made became our child when it had told so. */
		worker_hear_all(s);
		if (worker_ended(s, pid) || publisher_ended(s->publisher, pid, status))
			continue;
		p = find_pid(s, pid);
		if (p)
			on_ended(p, status);
	}
}

/* ---- The end of the shim ---- */

static void on_end_timer(void *arg)
{
	struct shim *s = arg;

	if ((s->workers_len == 0 && publisher_idle(s->publisher) &&
	     ttrpc_server_quiet(s->server)) ||
	    clock_ms() >= s->end_ms)
		loop_quit(s->loop, 0);
	else
		(void)loop_set_timer(s->end_timer, END_CHECK_MS);
}

void shim_unlink(struct shim *s)
{
	char manage[ADDRESS_MAX];

	if (!s->socket)
		return;
	/* A new shim makes its own when the other has gone, and not before. */
	if (s->manage && manage_path(s->socket, manage, sizeof(manage)) == 0)
		(void)unlink(manage);
	(void)unlink(s->socket);
	s->socket = NULL;
}

void shim_end(struct shim *s)
{
	if (s->end_timer)
		return;
	shim_unlink(s);
	s->end_ms = clock_ms() + END_MAX_MS;
	if (loop_add_timer(s->loop, 0, on_end_timer, s, &s->end_timer) < 0)
		loop_quit(s->loop, 0);
}
