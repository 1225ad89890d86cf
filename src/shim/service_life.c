/* SPDX-License-Identifier: Apache-2.0 */
/* shim/service_life.c - how tasks and their processes begin and go. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "shim/answers.h"
#include "shim/events.h"
#include "shim/jobs.h"
#include "shim/service.h"
#include "shim/task.pb-c.h"

#define CREATE_PREFIX "OCI runtime create failed"
#define START_PREFIX  "OCI runtime start failed"
#define EXEC_PREFIX   "OCI runtime exec failed"
#define DELETE_PREFIX "OCI runtime delete failed"

/* Delete waits for the outputs: somebody may hold the terminal, or not read. */
#define CARRY_MAX_MS   2000
#define CARRY_CHECK_MS 10

/* The terminal that a worker has sent; without it the process runs all the same. */
static void take_terminal(struct proc *p, struct worker_answer *answer)
{
	struct err err = { 0 };
	int r;

	if (!p->streams.terminal)
		return;
	r = answer->fd < 0 ? err_set(&err, -EPROTO, "no terminal was sent")
			   : streams_take_master(&p->streams, TAKE_FD(answer->fd), &err);
	if (r == 0)
		return;
	log_warning("container %s: %s", p->task->id, err.msg);
	/* Nothing will be carried: its client sees the end. */
	streams_abort(&p->streams);
}

static void answer_pid(struct ttrpc_call *call, pid_t pid)
{
	/* The same on the wire as StartResponse. */
	Caisson__Shim__CreateTaskResponse response = CAISSON__SHIM__CREATE_TASK_RESPONSE__INIT;

	response.pid = (uint32_t)pid;
	ttrpc_answer(call, &response.base);
}

/* ---- Create ---- */

/* The create has failed, and nothing is left of it. */
static void refuse_create(struct operation *o, const struct err *err)
{
	struct task *t = o->task;
	struct shim *s = t->shim;
	const bool unwanted = t->unwanted || !ttrpc_call_is_wanted(o->call);

	answer_error(o->call, o->prefix, err);
	task_remove(t);
	operation_free(o);
	/* Whoever gave it up has said Shutdown before, in vain. */
	if (unwanted && list_empty(&s->tasks))
		shim_end(s);
}

static void on_taken_back(void *owner, struct worker_answer *answer)
{
	struct operation *o = owner;

	if (answer->err.code < 0)
		log_warning("container %s: remove what its create has left: %s", o->task->id,
			    answer->err.msg);
	refuse_create(o, &o->failure);
}

/* Remove what there may be of a container that shall not be, and refuse the call then. */
static void take_back(struct operation *o)
{
	const struct task *t = o->task;
	struct id_args args = { .settings = t->settings, .id = t->id, .bundle = t->bundle };
	const struct worker_job job = {
		.what = "delete", .run = job_delete, .arg = &args, .done = on_taken_back, .owner = o
	};
	struct err err = { 0 };

	if (worker_start(t->shim, &job, &err) == 0)
		return;
	log_warning("container %s: remove what its create has left: %s", t->id, err.msg);
	refuse_create(o, &o->failure);
}

static void on_created(void *owner, struct worker_answer *answer)
{
	struct operation *o = owner;
	struct task *t = o->task;
	struct proc *p = &t->init;

	streams_given(&p->streams);
	/* A worker that died may have left anything, even all of it. */
	if (answer->err.code == -EPROTO) {
		o->failure = answer->err;
		take_back(o);
		return;
	}
	if (answer->err.code < 0) {
		refuse_create(o, &answer->err);
		return;
	}
	p->pid = answer->pid;
	if (!operation_is_wanted(o)) {
		(void)err_set(&o->failure, -ECANCELED, "it was given up meanwhile");
		take_back(o);
		return;
	}
	p->state = PROC_CREATED;
	t->isolation = (enum isolation)answer->isolation;
	t->shared_pid = answer->flags & WORKER_SHARED_PID;
	take_terminal(p, answer);
	oom_watch_cgroup(t);
	event_create(t, o->create);
	answer_pid(o->call, p->pid);
	p->busy = false;
	proc_settle(p);
	operation_free(o);
}

static int check_create(struct shim *s, const Caisson__Shim__CreateTaskRequest *q, struct err *err)
{
	int r = container_id_check(q->id, err);

	if (r < 0)
		return r;
	if (s->end_timer)
		return err_set(err, -EAGAIN, "the shim is about to end");
	if (task_find(s, q->id))
		return err_set(err, -EEXIST, "container %s exists already", q->id);
	if (q->bundle[0] != '/')
		return err_set(err, -EINVAL, "the bundle's path is not absolute");
	if (*q->checkpoint)
		return err_set(err, -ENOTSUP, "restoring from a checkpoint is not supported");
	return 0;
}

static int save_settings(const struct task *t, struct err *err)
{
	AUTO_CLOSE int bundle = open(t->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (bundle < 0)
		return err_sys(err, -errno, "open bundle %s", t->bundle);
	return settings_save(t->settings, bundle, err);
}

static int prepare(struct task *t, const Caisson__Shim__CreateTaskRequest *q, struct err *err)
{
	const char *const paths[3] = { q->stdin, q->stdout, q->stderr };
	int r = settings_new(t->shim->program, t->shim->ns, q->options, &t->settings, err);

	if (r == 0)
		r = save_settings(t, err);
	if (r == 0) {
		streams_done(&t->init.streams);
		r = streams_init(&t->init.streams, t->shim->loop, paths, q->terminal, err);
	}
	return r;
}

/* As the event has it, when the request has gone. */
static Caisson__Shim__CreateTaskRequest *copy_of(const Caisson__Shim__CreateTaskRequest *q)
{
	const size_t len = caisson__shim__create_task_request__get_packed_size(q);
	AUTO_FREE uint8_t *bytes = malloc(len + 1);

	if (!bytes)
		return NULL;
	(void)caisson__shim__create_task_request__pack(q, bytes);
	return caisson__shim__create_task_request__unpack(NULL, len, bytes);
}

static void begin_create(struct operation *o, int r, const struct err *err)
{
	struct task *t = o->task;
	struct create_args args = { .settings = t->settings,
				    .request = o->create,
				    .streams = &t->init.streams,
				    .ns = t->shim->ns };
	struct worker_job job = { .what = "create",
				  .run = job_create,
				  .arg = &args,
				  .stdio = t->init.streams.theirs,
				  .keep = t->init.streams.logger,
				  .keep_len = 2,
				  .done = on_created };

	if (r < 0)
		refuse_create(o, err);
	else if (operation_start(o, &job) < 0)
		task_remove(t);
}

void service_create(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__CreateTaskRequest *q = (const void *)request;
	struct shim *s = shim;
	struct operation *o;
	struct task *t = NULL;
	struct err err = { 0 };
	int r = check_create(s, q, &err);

	if (r == 0)
		r = task_new(s, q->id, q->bundle, &t, &err);
	if (r == 0)
		r = prepare(t, q, &err);
	if (r < 0) {
		answer_error(call, CREATE_PREFIX, &err);
		if (t)
			task_remove(t);
		return;
	}
	o = operation_new(t, &t->init, call, CREATE_PREFIX);
	if (!o) {
		task_remove(t);
		return;
	}
	o->create = copy_of(q);
	if (o->create) {
		operation_when_read(o, begin_create);
		return;
	}
	(void)err_sys(&err, -ENOMEM, "container %s", t->id);
	refuse_create(o, &err);
}

/* ---- Start ---- */

static void on_started(void *owner, struct worker_answer *answer)
{
	struct operation *o = owner;
	struct proc *p = o->proc;

	if (answer->err.code < 0) {
		answer_error(o->call, o->prefix, &answer->err);
	} else {
		p->state = PROC_RUNNING;
		if (answer->fd >= 0)
			oom_watch_sandbox(o->task, TAKE_FD(answer->fd));
		event_start(p);
		answer_pid(o->call, p->pid);
	}
	p->busy = false;
	proc_settle(p);
	operation_free(o);
}

static void on_exec_started(void *owner, struct worker_answer *answer)
{
	struct operation *o = owner;
	struct proc *p = o->proc;

	if (answer->err.code < 0) {
		streams_abort(&p->streams);
		answer_error(o->call, o->prefix, &answer->err);
	} else {
		streams_given(&p->streams);
		p->pid = answer->pid;
		p->state = PROC_RUNNING;
		take_terminal(p, answer);
		event_start(p);
		answer_pid(o->call, p->pid);
	}
	p->busy = false;
	proc_settle(p);
	operation_free(o);
}

static void begin_exec(struct operation *o, int r, const struct err *err)
{
	struct proc *p = o->proc;
	struct task *t = o->task;
	struct exec_args args = { .settings = t->settings,
				  .id = t->id,
				  .bundle = t->bundle,
				  .streams = &p->streams,
				  .ns = t->shim->ns,
				  .exec_id = p->exec_id,
				  .spec = p->spec,
				  .spec_len = p->spec_len };
	struct worker_job job = { .what = "exec",
				  .run = job_exec,
				  .arg = &args,
				  .stdio = p->streams.theirs,
				  .keep = p->streams.logger,
				  .keep_len = 2,
				  .done = on_exec_started };

	task_get(t);
	if (r < 0) {
		answer_error(o->call, o->prefix, err);
		operation_free(o);
	} else {
		r = operation_start(o, &job);
	}
	if (r < 0)
		streams_abort(&p->streams);
	task_put(t);
}

void service_start(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__StartRequest *q = (const void *)request;
	struct proc *p = answer_find_proc(shim, call, q->id, q->exec_id);
	struct id_args args = { 0 };
	struct worker_job job = {
		.what = "start", .run = job_start, .arg = &args, .done = on_started
	};
	struct operation *o;

	if (!p)
		return;
	if (p->state != PROC_CREATED || p->busy || p->ended || p->task->deleting) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION,
			   "cannot start a process that is not created, or starts already");
		return;
	}
	if (p != &p->task->init) {
		o = operation_new(p->task, p, call, EXEC_PREFIX);
		if (o)
			operation_when_read(o, begin_exec);
		return;
	}
	args = (struct id_args){ .settings = p->task->settings, .id = p->task->id };
	o = operation_new(p->task, p, call, START_PREFIX);
	if (o)
		(void)operation_start(o, &job);
}

/* ---- Exec ---- */

static int fill_exec(struct proc *p, const Caisson__Shim__ExecProcessRequest *q, struct err *err)
{
	const char *const paths[3] = { q->stdin, q->stdout, q->stderr };
	int r = streams_init(&p->streams, p->task->shim->loop, paths, q->terminal, err);

	if (r < 0)
		return r;
	p->spec = malloc(q->spec->value.len + 1);
	if (!p->spec)
		return err_sys(err, -ENOMEM, "process %s", p->exec_id);
	memcpy(p->spec, q->spec->value.data, q->spec->value.len);
	p->spec_len = q->spec->value.len;
	p->state = PROC_CREATED;
	return 0;
}

void service_exec(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__ExecProcessRequest *q = (const void *)request;
	struct task *t = answer_find_task(shim, call, q->id);
	struct proc *p = NULL;
	struct err err = { 0 };
	int r;

	if (!t)
		return;
	r = container_id_check(q->exec_id, &err);
	if (r == 0 && proc_find(t, q->exec_id))
		r = err_set(&err, -EEXIST, "process %s exists already", q->exec_id);
	if (r == 0 && (t->init.state == PROC_STOPPED || t->init.ended || t->deleting))
		r = err_set(&err, -EBUSY, "container %s has stopped", t->id);
	if (r == 0 && (!q->spec || q->spec->value.len == 0))
		r = err_set(&err, -EINVAL, "process %s: there is no specification", q->exec_id);
	if (r == 0)
		r = proc_new(t, q->exec_id, &p, &err);
	if (r == 0)
		r = fill_exec(p, q, &err);
	if (r < 0) {
		if (p)
			proc_free(p);
		answer_error(call, EXEC_PREFIX, &err);
		return;
	}
	event_exec_added(p);
	answer_empty(call);
}

/* ---- Delete ---- */

static void answer_delete(struct ttrpc_call *call, const struct proc *p)
{
	Caisson__Shim__DeleteResponse response = CAISSON__SHIM__DELETE_RESPONSE__INIT;
	Caisson__Shim__Timestamp when;

	response.pid = (uint32_t)p->pid;
	response.exit_status = p->exit_status;
	response.exited_at = answer_time(&p->exited_at, &when);
	ttrpc_answer(call, &response.base);
}

static void on_deleted(void *owner, struct worker_answer *answer)
{
	struct operation *o = owner;
	struct task *t = o->task;

	/* It has ended whatever was there: one that was never started, processes of exec. */
	task_reap(t);
	task_tell_ends(t);
	if (answer->err.code < 0) {
		t->deleting = false;
		answer_error(o->call, o->prefix, &answer->err);
	} else {
		event_delete(t);
		task_remove(t);
		/* containerd cleans up after a shim that dies before this answer, not after it. */
		if (list_empty(&t->shim->tasks))
			shim_unlink(t->shim);
		answer_delete(o->call, &t->init);
	}
	operation_free(o);
}

static void delete_now(struct proc *p, struct ttrpc_call *call)
{
	struct task *t = p->task;
	struct id_args args = { .settings = t->settings, .id = t->id, .bundle = t->bundle };
	struct worker_job job = {
		.what = "delete", .run = job_delete, .arg = &args, .done = on_deleted
	};
	struct operation *o;

	if (p != &t->init) {
		answer_delete(call, p);
		proc_free(p);
		return;
	}
	o = operation_new(t, NULL, call, DELETE_PREFIX);
	if (!o || operation_start(o, &job) < 0)
		t->deleting = false;
}

static void on_delete_timer(void *arg)
{
	struct proc *p = arg;

	if (!streams_carried(&p->streams) && clock_ms() < p->delete_ms &&
	    loop_set_timer(p->delete_timer, CARRY_CHECK_MS) == 0)
		return;
	loop_remove(TAKE_PTR(p->delete_timer));
	delete_now(p, TAKE_PTR(p->delete_call));
}

/* Until all that it has written is with its reader, who may be slow. */
static void delete_later(struct proc *p, struct ttrpc_call *call)
{
	p->delete_ms = clock_ms() + CARRY_MAX_MS;
	if (loop_add_timer(p->task->shim->loop, CARRY_CHECK_MS, on_delete_timer, p,
			   &p->delete_timer) == 0)
		p->delete_call = call;
	else
		delete_now(p, call);
}

void service_delete(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__DeleteRequest *q = (const void *)request;
	struct task *t = task_find(shim, q->id);
	struct proc *p = answer_find_proc(shim, call, q->id, q->exec_id);

	if (t && t->init.state == PROC_NEW && !*q->exec_id)
		t->unwanted = true;
	if (!t || !p)
		return;
	proc_tell_end(p);
	if ((p->state != PROC_STOPPED && p->state != PROC_CREATED) || p->busy || t->deleting ||
	    p->delete_call) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION,
			   "cannot delete a process that runs, or is being deleted");
		return;
	}
	if (p == &t->init) {
		t->deleting = true;
		oom_stop(t);
	}
	if (p->state == PROC_STOPPED && !streams_carried(&p->streams))
		delete_later(p, call);
	else
		delete_now(p, call);
}
