/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/events.h"

#include "shim/answers.h"
#include "shim/task_events.pb-c.h"
#include "shim/task.pb-c.h"

#define TYPE(name) "containerd.events." name

static void tell(const struct task *t, const char *topic, const char *type,
		 const ProtobufCMessage *event)
{
	publisher_tell(t->shim->publisher, topic, type, event);
}

void event_create(const struct task *t, const Caisson__Shim__CreateTaskRequest *request)
{
	Caisson__Shim__TaskIO io = CAISSON__SHIM__TASK_IO__INIT;
	Caisson__Shim__TaskCreate e = CAISSON__SHIM__TASK_CREATE__INIT;

	io.stdin = t->init.streams.paths[0];
	io.stdout = t->init.streams.paths[1];
	io.stderr = t->init.streams.paths[2];
	io.terminal = t->init.streams.terminal;
	e.container_id = t->id;
	e.bundle = t->bundle;
	e.io = &io;
	e.pid = (uint32_t)t->init.pid;
	if (request) {
		e.rootfs = request->rootfs;
		e.n_rootfs = request->n_rootfs;
	}
	tell(t, "/tasks/create", TYPE("TaskCreate"), &e.base);
}

void event_start(const struct proc *p)
{
	const struct task *t = p->task;
	Caisson__Shim__TaskStart start = CAISSON__SHIM__TASK_START__INIT;
	Caisson__Shim__TaskExecStarted exec = CAISSON__SHIM__TASK_EXEC_STARTED__INIT;

	if (p == &t->init) {
		start.container_id = t->id;
		start.pid = (uint32_t)p->pid;
		tell(t, "/tasks/start", TYPE("TaskStart"), &start.base);
		return;
	}
	exec.container_id = t->id;
	exec.exec_id = p->exec_id;
	exec.pid = (uint32_t)p->pid;
	tell(t, "/tasks/exec-started", TYPE("TaskExecStarted"), &exec.base);
}

void event_exit(const struct proc *p)
{
	Caisson__Shim__TaskExit e = CAISSON__SHIM__TASK_EXIT__INIT;
	Caisson__Shim__Timestamp when;

	e.container_id = p->task->id;
	e.id = *p->exec_id ? p->exec_id : p->task->id;
	e.pid = (uint32_t)p->pid;
	e.exit_status = p->exit_status;
	e.exited_at = answer_time(&p->exited_at, &when);
	tell(p->task, "/tasks/exit", TYPE("TaskExit"), &e.base);
}

void event_delete(const struct task *t)
{
	Caisson__Shim__TaskDelete e = CAISSON__SHIM__TASK_DELETE__INIT;
	Caisson__Shim__Timestamp when;

	e.container_id = t->id;
	e.pid = (uint32_t)t->init.pid;
	e.exit_status = t->init.exit_status;
	e.exited_at = answer_time(&t->init.exited_at, &when);
	tell(t, "/tasks/delete", TYPE("TaskDelete"), &e.base);
}

void event_exec_added(const struct proc *p)
{
	Caisson__Shim__TaskExecAdded e = CAISSON__SHIM__TASK_EXEC_ADDED__INIT;

	e.container_id = p->task->id;
	e.exec_id = p->exec_id;
	tell(p->task, "/tasks/exec-added", TYPE("TaskExecAdded"), &e.base);
}

void event_paused(const struct task *t)
{
	Caisson__Shim__TaskPaused e = CAISSON__SHIM__TASK_PAUSED__INIT;

	e.container_id = t->id;
	tell(t, "/tasks/paused", TYPE("TaskPaused"), &e.base);
}

void event_resumed(const struct task *t)
{
	Caisson__Shim__TaskResumed e = CAISSON__SHIM__TASK_RESUMED__INIT;

	e.container_id = t->id;
	tell(t, "/tasks/resumed", TYPE("TaskResumed"), &e.base);
}

void event_oom(const struct task *t)
{
	Caisson__Shim__TaskOOM e = CAISSON__SHIM__TASK_OOM__INIT;

	e.container_id = t->id;
	tell(t, "/tasks/oom", TYPE("TaskOOM"), &e.base);
}
