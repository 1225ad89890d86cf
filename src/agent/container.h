/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/container.h - the containers of the machine and the calls that concern them.
 */
#pragma once

#include "agent/agent.h"
#include "agent/process.h"
#include "agent/storage.h"
#include "agent/volumes.h"
#include "host/cgroup.h"

struct container {
	struct list_head node; /* agent.containers */
	struct agent *agent;
	char *id;	     /* owned */
	unsigned int number; /* its start socket is AGENT_GATES/NUMBER */
	struct cgroup *cgroup;
	struct process *init; /* borrowed; NULL once the host was told of its end */
	/* If a debug shell is allowed; owned: its root file system, the cgroup of its shells. */
	char *root;
	struct cgroup *shells;
	bool user_namespace;
	bool started;
	bool paused;   /* the last of PAUSE and RESUME that went well */
	bool deleting; /* DELETE is asked */
	bool cleaned;  /* ... and under way */
	struct storage_list storages;
	struct volumes volumes;
	bool refreshing;	 /* a worker looks at them */
	bool refresh_again;	 /* ... and they have changed since it began */
	struct loop_source *oom; /* owned, with its descriptor */
	int oom_fd;
	uint64_t oom_kills;
	uint32_t start_serial, delete_serial; /* of the requests that are to be answered */
};

/* The container with this id, or NULL with -ENOENT and a sentence. */
struct container *container_find(const struct agent *a, const char *id, struct err *err);
void container_forget_process(struct container *c, const struct process *p);
/* AGENT_OOM, if its kernel has killed one of its processes since it was told last. */
void container_tell_oom(struct container *c);

/*
 * 1: a worker (worker.h) answers `serial` later. An error is the caller's to answer.
 */
int container_create(struct agent *a, uint32_t serial, const struct agent_create *call,
		     struct err *err);
int container_start(struct container *c, uint32_t serial, struct err *err);
int container_exec(struct container *c, uint32_t serial, const struct agent_exec *call,
		   struct err *err);
int container_update(struct container *c, uint32_t serial, const struct agent_update *call,
		     struct err *err);
/* End all its processes and remove what it had; the container is gone also after a failure. */
int container_delete(struct container *c, uint32_t serial, struct err *err);

/* tasks.c: every process of it. 0 or 1; PAUSE and RESUME. */
int container_signal_all(struct container *c, uint32_t serial, int signal, struct err *err);
int container_freeze(struct container *c, uint32_t serial, enum agent_call call, struct err *err);

/* refresh.c: copies of volumes are brought up to date, soon. */
int container_refresh(struct container *c, struct err *err);

/* stats.c */
int container_stats(const struct container *c, struct agent_stats *ret, struct err *err);
/* ps.c: 0 or 1: it is answered, now or later. */
int container_ps(struct container *c, uint32_t serial, struct err *err);
