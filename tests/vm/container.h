/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vm/container.h - a container of one shell command, as the host asks an agent for it.
 */
#pragma once

#include "vm/host.h"

struct container_plan {
	const char *id, *root, *command;
	const struct agent_storage *storage; /* NULL: none */
	const char *more;		     /* JSON for the top, with a comma before it; or NULL */
	const char *namespaces; /* JSON: besides mount and cgroup; NULL: new pid, ipc and uts */
	const char *maps;	/* JSON of linux, with a comma before it; or NULL */
	unsigned int uid, gid;
	bool terminal;
	bool shell;	       /* allowed; and what container_run() asks for */
	uint32_t in, out, err; /* streams; numbered by container_make() */
};

/* CREATE, which must succeed: the pid. */
int32_t container_make(struct host *h, struct container_plan *p);
/* The same, with the agent's answer. */
int container_try(struct host *h, struct container_plan *p, int32_t *ret_pid);
/* CREATE and EXEC without waiting: the serial. */
uint32_t container_make_begin(struct host *h, struct container_plan *p);
uint32_t container_run_begin(struct host *h, struct container_plan *p, const char *command);
/* START: its answer. */
int container_begin(struct host *h, const struct container_plan *p);
/* EXEC of a shell command with streams numbered like a container's: its answer. */
int container_run(struct host *h, struct container_plan *p, const char *command, int32_t *ret_pid);
void container_kill(struct host *h, const struct container_plan *p, int signal);
/* DELETE, which must succeed. */
void container_end(struct host *h, const struct container_plan *p);
