/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/service.h - containerd.task.v2.Task, and v3, which has the same calls and messages: the
 * calls of containerd.
 *
 * Each function takes the call: it answers at once, or a worker's end does.
 */
#pragma once

#include "shim/shim.h"
#include "shim/worker.h"

struct Caisson__Shim__CreateTaskRequest; /* of task.pb-c.h */

#define SERVICE_TASK_3 "containerd.task.v3.Task"
#define SERVICE_TASKS  2

/* For ttrpc_server_new(), whose `arg` is the struct shim. */
extern const struct ttrpc_service service_tasks[SERVICE_TASKS];

/* service_life.c */
void service_create(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request);
void service_start(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request);
void service_delete(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request);
void service_exec(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request);

/* service_control.c */
void service_kill(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request);
void service_pause(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request);
void service_resume(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request);
void service_update(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request);
void service_stats(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request);
void service_checkpoint(void *shim, struct ttrpc_call *call, const ProtobufCMessage *request);

struct operation;

/* The ends of the operation's process are open (r 0), or are not: `err` says why. */
typedef void operation_begin_fn(struct operation *o, int r, const struct err *err);

/* A call that a worker serves: what its end needs. */
struct operation {
	struct task *task; /* a reference */
	struct proc *proc; /* busy, or NULL */
	struct ttrpc_call *call;
	const char *prefix;				 /* of a refusal */
	struct err failure;				 /* of Create: why all of it goes */
	struct Caisson__Shim__CreateTaskRequest *create; /* owned: a copy, of Create */
	/* readers.c */
	operation_begin_fn *begin;
	struct loop_source *readers_timer; /* NULL: it waits for none */
	int64_t readers_ms;		   /* it waits until then */
};

/* NULL: out of memory, and the call has been refused. */
struct operation *operation_new(struct task *t, struct proc *p, struct ttrpc_call *call,
				const char *prefix);
/* The call has been answered. */
void operation_free(struct operation *o);
/* False: its caller has given it up, or its container was deleted while it was being created. */
bool operation_is_wanted(const struct operation *o);
/* Run `job`, with `o` as its owner, in a worker; refuse the call when that cannot be. */
int operation_start(struct operation *o, struct worker_job *job);

/*
 * readers.c: open the streams of the operation's process when its client has opened the outputs,
 * and call `begin`; now, if it has. Without a reader after 10 s they are opened all the same; of a
 * call that nobody wants any more they are not (-ECANCELED), nor of one whose container has ended
 * (-EBUSY). The call is not answered here.
 */
void operation_when_read(struct operation *o, operation_begin_fn *begin);
