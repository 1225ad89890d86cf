/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/jobs.h - what workers do (worker.h): calls into the runtime, which may wait for locks, files
 * and sandboxes. Arguments are borrowed.
 */
#pragma once

#include "shim/settings.h"
#include "shim/streams.h"
#include "shim/worker.h"

struct Caisson__Shim__Any;		 /* of task.pb-c.h */
struct Caisson__Shim__CreateTaskRequest; /* of task.pb-c.h */

/* The container, created: pid, isolation, WORKER_SHARED_PID; fd: its terminal. */
struct create_args {
	const struct settings *settings;
	const struct Caisson__Shim__CreateTaskRequest *request;
	const struct streams *streams;
	const char *ns;
};
int job_create(void *create_args, struct worker_answer *answer, struct err *err);

/* fd: container_oom_fd(), of a class that has one. */
struct id_args {
	const struct settings *settings;
	const char *id;
	const char *bundle;
};
int job_start(void *id_args, struct worker_answer *answer, struct err *err);
int job_pause(void *id_args, struct worker_answer *answer, struct err *err);
int job_resume(void *id_args, struct worker_answer *answer, struct err *err);
/* End it if it runs, and remove all of it; the root file system is unmounted. */
int job_delete(void *id_args, struct worker_answer *answer, struct err *err);
/* payload: a packed Any of StatsResponse. */
int job_stats(void *id_args, struct worker_answer *answer, struct err *err);

/* A process: pid; fd: its terminal. */
struct exec_args {
	const struct settings *settings;
	const char *id, *bundle;
	const struct streams *streams;
	const char *ns;
	const char *exec_id;
	const uint8_t *spec; /* JSON */
	size_t spec_len;
};
int job_exec(void *exec_args, struct worker_answer *answer, struct err *err);

struct kill_args {
	const struct settings *settings;
	const char *id;
	int signal;
	bool all;
};
int job_kill(void *kill_args, struct worker_answer *answer, struct err *err);

struct update_args {
	const struct settings *settings;
	const char *id;
	const struct Caisson__Shim__Any *resources;
};
int job_update(void *update_args, struct worker_answer *answer, struct err *err);
