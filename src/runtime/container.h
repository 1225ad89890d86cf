/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/container.h - what the files of this room share about struct container (runtime.h).
 */
#pragma once

#include "base/cleanup.h"
#include "runtime/runtime.h"

DEFINE_AUTO(struct container *, container_free);

/* An empty container with this id; NULL: out of memory. */
struct container *container_new(const struct runtime *rt, const char *id);

/* Set c->status (and c->pid to 0 when it is stopped) from what the system says now. */
void container_observe(struct container *c);

/*
 * Whether it is a part of a pod's sandbox that is paused as a whole: then nothing in it runs, and
 * nobody there answers.
 */
bool container_sandbox_is_paused(const struct container *c);

/*
 * A pidfd of the init process that certainly is the one that state.json means; the caller's.
 * -ESRCH: "container not running".
 */
int container_open_init(const struct container *c, struct err *err);

/* The state document as text for a status of the caller's choice and a pid; *ret is the caller's.
 */
int container_state_text(const struct container *c, enum oci_status status, pid_t pid, char **ret,
			 struct err *err);

/* The specification that the container was made from: the copy of config.json in its directory. */
int container_load_spec(const struct container *c, struct oci_spec **ret, struct err *err);

/*
 * SIGKILL a process and wait until it is dead (a child is still to be reaped). A task in a v1
 * freezer, which the container may own, dies only when it is thawed: every group of `cg` (may be
 * NULL) is thawed again and again. 0, or -errno; -ETIMEDOUT after ten seconds.
 */
int container_kill_process(const struct cgroup *cg, int pidfd);

/* End all processes, whatever state the container is in, and wait for init. */
int container_end_processes(struct container *c, struct err *err);

/* Remove cgroups, RDT groups, run poststop hooks, remove the directory. All processes are gone. */
int container_destroy(struct container *c, const struct oci_spec *spec, struct err *err);
