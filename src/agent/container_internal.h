/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/container_internal.h - what container.c, create.c and exec.c share.
 */
#pragma once

#include "agent/container.h"
#include "ns/ns.h"

#define GATE_NAME_MAX 16

/* container.c: of its record; what it had in the system is not touched. */
int container_new(struct agent *a, const char *id, struct container **ret, struct err *err);
void container_free(struct container *c); /* accepts NULL */
/* ... and what it may have in the system goes first, in a worker. */
void container_drop(struct container *c);
int container_allow_shell(struct container *c, const char *root, struct err *err);
/* The name of its start socket, below AGENT_GATES. */
void container_gate(const struct container *c, char name[static GATE_NAME_MAX]);
/*
 * In a worker: end its processes, remove its cgroup, unmount `storages`. All is tried; the first
 * failure is told.
 */
int container_clean(const struct container *c, struct storage_list *storages, struct err *err);

/* exec.c: parts of CREATE and EXEC. */
int container_config(const struct agent_bytes *config, struct oci_spec **ret, struct err *err);
int container_seccomp(const struct agent_bytes *bytes, uint32_t flags, struct seccomp_program *ret,
		      struct err *err);
struct ns_terminal container_terminal(const struct agent_io *io);
/* The answer to CREATE or EXEC, whose process runs or whose record goes. */
void container_answer_process(struct process *p, enum agent_call call, const struct err *result);
