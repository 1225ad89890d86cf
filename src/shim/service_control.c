/* SPDX-License-Identifier: Apache-2.0 */
/* shim/service_control.c - what is done to tasks that are there. */
#include <errno.h>
#include <signal.h>

#include "base/cleanup.h"
#include "shim/answers.h"
#include "shim/events.h"
#include "shim/jobs.h"
#include "shim/service.h"
#include "shim/ttrpc_frame.h"
#include "shim/task.pb-c.h"

/* ---- Kill ---- */

static void on_killed(void *owner, struct worker_answer *answer)
{
	struct operation *o = owner;

	/* That it has ended meanwhile is what clients look for. */
	if (answer->err.code == -ENOENT)
		answer->err.code = -ESRCH;
	if (answer->err.code < 0)
		answer_error(o->call, o->prefix, &answer->err);
	else
		answer_empty(o->call);
	operation_free(o);
}

static void kill_exec(const struct proc *p, struct ttrpc_call *call, int sig)
{
	struct err err = { 0 };

	if (p->state == PROC_CREATED) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "kill: the process is not started");
		return;
	}
	/* Our child, and not reaped: the number is its own. */
	if (p->ended || kill(p->pid, sig) < 0) {
		(void)err_set(&err, p->ended ? -ESRCH : -errno, "process already finished");
		answer_error(call, "kill", &err);
		return;
	}
	answer_empty(call);
}

void service_kill(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__KillRequest *q = (const void *)request;
	struct proc *p = answer_find_proc(shim, call, q->id, q->exec_id);
	struct kill_args args = { 0 };
	struct worker_job job = {
		.what = "kill", .run = job_kill, .arg = &args, .done = on_killed
	};
	struct operation *o;

	if (!p)
		return;
	if (q->signal > (uint32_t)SIGRTMAX) {
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "kill: signal %u", q->signal);
		return;
	}
	proc_tell_end(p);
	if (p->state == PROC_STOPPED) {
		ttrpc_fail(call, TTRPC_NOT_FOUND, "kill: process already finished");
		return;
	}
	if (p != &p->task->init) {
		kill_exec(p, call, (int)q->signal);
		return;
	}
	args = (struct kill_args){ .settings = p->task->settings,
				   .id = p->task->id,
				   .signal = (int)q->signal,
				   .all = q->all };
	o = operation_new(p->task, NULL, call, "OCI runtime kill failed");
	if (o)
		(void)operation_start(o, &job);
}

/* ---- Pause and resume ---- */

static void on_paused(void *owner, struct worker_answer *answer)
{
	struct operation *o = owner;

	if (answer->err.code < 0) {
		answer_error(o->call, o->prefix, &answer->err);
	} else {
		o->task->paused = true;
		event_paused(o->task);
		answer_empty(o->call);
	}
	operation_free(o);
}

static void on_resumed(void *owner, struct worker_answer *answer)
{
	struct operation *o = owner;

	if (answer->err.code < 0) {
		answer_error(o->call, o->prefix, &answer->err);
	} else {
		o->task->paused = false;
		event_resumed(o->task);
		answer_empty(o->call);
	}
	operation_free(o);
}

static void with_id(struct task *t, struct ttrpc_call *call, struct worker_job *job,
		    const char *prefix)
{
	struct id_args args = { .settings = t->settings, .id = t->id, .bundle = t->bundle };
	struct operation *o = operation_new(t, NULL, call, prefix);

	job->arg = &args;
	if (o)
		(void)operation_start(o, job);
	job->arg = NULL; /* of this function */
}

void service_pause(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__PauseRequest *q = (const void *)request;
	struct task *t = answer_find_task(shim, call, q->id);
	struct worker_job job = { .what = "pause", .run = job_pause, .done = on_paused };

	if (t)
		with_id(t, call, &job, "OCI runtime pause failed");
}

void service_resume(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__ResumeRequest *q = (const void *)request;
	struct task *t = answer_find_task(shim, call, q->id);
	struct worker_job job = { .what = "resume", .run = job_resume, .done = on_resumed };

	if (t)
		with_id(t, call, &job, "OCI runtime resume failed");
}

void service_checkpoint(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__CheckpointTaskRequest *q = (const void *)request;
	struct task *t = answer_find_task(shim, call, q->id);

	if (t)
		ttrpc_fail(call, TTRPC_UNIMPLEMENTED,
			   "container %s: checkpoint is not supported by caisson", t->id);
}

/* ---- Update ---- */

static void on_updated(void *owner, struct worker_answer *answer)
{
	struct operation *o = owner;

	if (answer->err.code < 0)
		answer_error(o->call, o->prefix, &answer->err);
	else
		answer_empty(o->call);
	operation_free(o);
}

void service_update(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__UpdateTaskRequest *q = (const void *)request;
	struct task *t = answer_find_task(shim, call, q->id);
	struct update_args args = { .resources = q->resources };
	struct worker_job job = {
		.what = "update", .run = job_update, .arg = &args, .done = on_updated
	};
	struct operation *o;

	if (!t)
		return;
	if (!q->resources) {
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "update: there are no resources");
		return;
	}
	args.settings = t->settings;
	args.id = t->id;
	o = operation_new(t, NULL, call, "OCI runtime update failed");
	if (o)
		(void)operation_start(o, &job);
}

/* ---- Stats ---- */

static void on_stats(void *owner, struct worker_answer *answer)
{
	AUTO_TTRPC_MESSAGE struct ttrpc_message any = TTRPC_MESSAGE_INIT;
	Caisson__Shim__StatsResponse response = CAISSON__SHIM__STATS_RESPONSE__INIT;
	struct operation *o = owner;

	if (answer->err.code == 0 && ttrpc_unpack(&caisson__shim__any__descriptor, answer->payload,
						  answer->payload_len, &any) < 0)
		(void)err_set(&answer->err, -EPROTO, "no metrics came");
	if (answer->err.code < 0) {
		answer_error(o->call, o->prefix, &answer->err);
	} else {
		response.stats = (Caisson__Shim__Any *)any.root;
		ttrpc_answer(o->call, &response.base);
	}
	operation_free(o);
}

void service_stats(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__StatsRequest *q = (const void *)request;
	struct task *t = answer_find_task(shim, call, q->id);
	struct id_args args = { 0 };
	struct worker_job job = {
		.what = "stats", .run = job_stats, .arg = &args, .done = on_stats
	};

	if (!t)
		return;
	/* Of class ns these are files of the kernel; a sandbox is asked. */
	if (t->isolation != ISOLATION_NS) {
		with_id(t, call, &job, "metrics");
		return;
	}
	args = (struct id_args){ .settings = t->settings, .id = t->id };
	job.owner = operation_new(t, NULL, call, "metrics");
	if (job.owner)
		worker_run_here(&job);
}
