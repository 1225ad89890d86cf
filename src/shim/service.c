/* SPDX-License-Identifier: Apache-2.0 */
/* shim/service.c - the calls that are answered from what the shim knows. */
#include "shim/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "shim/answers.h"
#include "shim/task_options.pb-c.h"
#include "shim/worker.h"
#include "shim/task.pb-c.h"

#define VERSION_TEXT "caisson " CAISSON_VERSION

/* ---- Operations ---- */

struct operation *operation_new(struct task *t, struct proc *p, struct ttrpc_call *call,
				const char *prefix)
{
	struct operation *o = calloc(1, sizeof(*o));

	if (!o) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "%s: out of memory", prefix);
		return NULL;
	}
	*o = (struct operation){ .task = t, .proc = p, .call = call, .prefix = prefix };
	task_get(t);
	if (p)
		p->busy = true;
	return o;
}

void operation_free(struct operation *o)
{
	if (o->proc)
		o->proc->busy = false;
	task_put(o->task);
	if (o->create)
		caisson__shim__create_task_request__free_unpacked(o->create, NULL);
	free(o);
}

bool operation_is_wanted(const struct operation *o)
{
	return !o->task->unwanted && ttrpc_call_is_wanted(o->call);
}

int operation_start(struct operation *o, struct worker_job *job)
{
	struct err err = { 0 };
	int r;

	job->owner = o;
	r = worker_start(o->task->shim, job, &err);
	if (r < 0) {
		answer_error(o->call, o->prefix, &err);
		operation_free(o);
	}
	return r;
}

/* ---- Calls ---- */

static Caisson__Shim__Status status_of(const struct proc *p)
{
	switch (p->state) {
	case PROC_CREATED:
		return CAISSON__SHIM__STATUS__CREATED;
	case PROC_RUNNING:
		return p->task->paused ? CAISSON__SHIM__STATUS__PAUSED
				       : CAISSON__SHIM__STATUS__RUNNING;
	case PROC_STOPPED:
		return CAISSON__SHIM__STATUS__STOPPED;
	default:
		return CAISSON__SHIM__STATUS__UNKNOWN;
	}
}

static void state(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__StateRequest *q = (const void *)request;
	const struct proc *p = answer_find_proc(shim, call, q->id, q->exec_id);
	Caisson__Shim__StateResponse response = CAISSON__SHIM__STATE_RESPONSE__INIT;
	Caisson__Shim__Timestamp when;

	if (!p)
		return;
	response.id = *p->exec_id ? p->exec_id : p->task->id;
	response.bundle = p->task->bundle;
	response.pid = (uint32_t)p->pid;
	response.status = status_of(p);
	response.stdin = p->streams.paths[0];
	response.stdout = p->streams.paths[1];
	response.stderr = p->streams.paths[2];
	response.terminal = p->streams.terminal;
	if (p->state == PROC_STOPPED) {
		response.exit_status = p->exit_status;
		response.exited_at = answer_time(&p->exited_at, &when);
	}
	response.exec_id = p->exec_id;
	ttrpc_answer(call, &response.base);
}

static void wait_for(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__WaitRequest *q = (const void *)request;
	struct proc *p = answer_find_proc(shim, call, q->id, q->exec_id);
	int r;

	if (!p)
		return;
	if (p->state == PROC_STOPPED) {
		answer_wait(call, p);
		return;
	}
	r = proc_add_waiter(p, call);
	if (r == -EAGAIN)
		ttrpc_fail(call, TTRPC_UNAVAILABLE, "wait: %u calls wait for container %s already",
			   WAITERS_MAX, p->task->id);
	else if (r < 0)
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "wait: out of memory");
}

static void resize_pty(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__ResizePtyRequest *q = (const void *)request;
	const struct proc *p = answer_find_proc(shim, call, q->id, q->exec_id);
	struct err err = { 0 };
	int r;

	if (!p)
		return;
	r = streams_resize(&p->streams, q->height, q->width);
	if (r < 0) {
		(void)err_sys(&err, r, "%u by %u", q->width, q->height);
		answer_error(call, "resize the terminal", &err);
		return;
	}
	answer_empty(call);
}

static void close_io(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__CloseIORequest *q = (const void *)request;
	struct proc *p = answer_find_proc(shim, call, q->id, q->exec_id);

	if (!p)
		return;
	if (q->stdin)
		streams_close_stdin(&p->streams);
	answer_empty(call);
}

static void connect_to(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__ConnectRequest *q = (const void *)request;
	const struct task *t = task_find(shim, q->id);
	Caisson__Shim__ConnectResponse response = CAISSON__SHIM__CONNECT_RESPONSE__INIT;

	response.shim_pid = (uint32_t)getpid();
	response.task_pid = t ? (uint32_t)t->init.pid : 0;
	response.version = (char[]){ VERSION_TEXT };
	ttrpc_answer(call, &response.base);
}

static void shut_down(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const struct shim *s = shim;

	(void)request;
	answer_empty(call);
	if (list_empty(&s->tasks))
		shim_end(shim);
}

/* ---- Pids ---- */

/* A process of exec is named. */
static int describe(struct task *t, pid_t pid, Caisson__Shim__ProcessInfo *ret,
		    Caisson__Shim__Any *any)
{
	const struct proc *p;

	*ret = (Caisson__Shim__ProcessInfo)CAISSON__SHIM__PROCESS_INFO__INIT;
	ret->pid = (uint32_t)pid;
	list_for_each(p, &t->execs, node)
	{
		Caisson__Shim__ProcessDetails details = CAISSON__SHIM__PROCESS_DETAILS__INIT;

		if (p->pid != pid || p->ended)
			continue;
		details.exec_id = p->exec_id;
		*any = (Caisson__Shim__Any)CAISSON__SHIM__ANY__INIT;
		any->type_url = (char *)"containerd.runc.v1.ProcessDetails";
		any->value.data = malloc(protobuf_c_message_get_packed_size(&details.base) + 1);
		if (!any->value.data)
			return -ENOMEM;
		any->value.len = protobuf_c_message_pack(&details.base, any->value.data);
		ret->info = any;
	}
	return 0;
}

static void answer_pids(struct task *t, struct ttrpc_call *call, const pid_t *pids, size_t len)
{
	Caisson__Shim__PidsResponse response = CAISSON__SHIM__PIDS_RESPONSE__INIT;
	AUTO_FREE Caisson__Shim__ProcessInfo *infos = calloc(len + 1, sizeof(*infos));
	AUTO_FREE Caisson__Shim__ProcessInfo **list = calloc(len + 1, sizeof(*list));
	AUTO_FREE Caisson__Shim__Any *anys = calloc(len + 1, sizeof(*anys));
	int r = infos && list && anys ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < len; i++) {
		r = describe(t, pids[i], &infos[i], &anys[i]);
		list[response.n_processes++] = &infos[i];
	}
	response.processes = list;
	if (r < 0)
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "processes: out of memory");
	else
		ttrpc_answer(call, &response.base);
	for (size_t i = 0; anys && i < len; i++)
		free(anys[i].value.data);
}

static void pids(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	const Caisson__Shim__PidsRequest *q = (const void *)request;
	struct task *t = answer_find_task(shim, call, q->id);
	struct container *c = NULL;
	AUTO_FREE pid_t *list = NULL;
	struct err err = { 0 };
	size_t len = 0;
	int r;

	if (!t)
		return;
	r = container_load(&t->settings->rt, t->id, false, &c, &err);
	if (r == 0)
		r = container_pids(c, &list, &len, &err);
	container_free(c);
	if (r < 0)
		answer_error(call, "processes", &err);
	else
		answer_pids(t, call, list, len);
}

static const struct ttrpc_method methods[] = {
	{ "State", &caisson__shim__state_request__descriptor, state },
	{ "Create", &caisson__shim__create_task_request__descriptor, service_create },
	{ "Start", &caisson__shim__start_request__descriptor, service_start },
	{ "Delete", &caisson__shim__delete_request__descriptor, service_delete },
	{ "Pids", &caisson__shim__pids_request__descriptor, pids },
	{ "Pause", &caisson__shim__pause_request__descriptor, service_pause },
	{ "Resume", &caisson__shim__resume_request__descriptor, service_resume },
	{ "Checkpoint", &caisson__shim__checkpoint_task_request__descriptor, service_checkpoint },
	{ "Kill", &caisson__shim__kill_request__descriptor, service_kill },
	{ "Exec", &caisson__shim__exec_process_request__descriptor, service_exec },
	{ "ResizePty", &caisson__shim__resize_pty_request__descriptor, resize_pty },
	{ "CloseIO", &caisson__shim__close_iorequest__descriptor, close_io },
	{ "Update", &caisson__shim__update_task_request__descriptor, service_update },
	{ "Wait", &caisson__shim__wait_request__descriptor, wait_for },
	{ "Stats", &caisson__shim__stats_request__descriptor, service_stats },
	{ "Connect", &caisson__shim__connect_request__descriptor, connect_to },
	{ "Shutdown", &caisson__shim__shutdown_request__descriptor, shut_down },
};

const struct ttrpc_service service_tasks[SERVICE_TASKS] = {
	{ .name = "containerd.task.v2.Task",
	  .methods = methods,
	  .methods_len = ARRAY_LEN(methods) },
	{ .name = SERVICE_TASK_3, .methods = methods, .methods_len = ARRAY_LEN(methods) },
};
