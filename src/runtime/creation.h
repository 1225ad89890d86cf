/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/creation.h - a container in the making, shared by create and run.
 *
 * Order, so that a runtime killed at any point leaves what `delete --force` can end and remove:
 *   1 read and judge the bundle; nothing exists yet
 *   2 directory, lock, state.json with the cgroups' paths and no pid
 *   3 the class clones the process; it dies with us
 *   4 state.json gets pid and start time; cgroups are made and entered, limits set; the process
 * goes on 5 hooks, console, gate 6 create: the process is released from dying with us; run: the
 * gate opens The directory is marked as unfinished until then (store.h).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "host/seccomp.h"
#include "runtime/isolation.h"
#include "runtime/runtime.h"

struct creation {
	const struct runtime *rt;
	const struct create_options *options;
	bool listen;   /* create: the process waits at a socket; otherwise run */
	bool detached; /* nobody stays with the terminal */

	struct container *c;
	struct container *sandbox; /* owned: of the pod that it becomes a part of, or NULL */
	const struct isolation_ops *ops;
	struct oci_spec *loaded;	 /* owned */
	struct buf config;		 /* the text it came from */
	struct oci_spec spec;		 /* *loaded with our additions; lists below */
	const char **env;		 /* owned array of process.env, or NULL: unchanged */
	struct oci_mount *mounts;	 /* owned array, or NULL: unchanged */
	struct oci_device_rule *devices; /* owned array, or NULL: unchanged */
	char *listen_fds, *notify_dir;	 /* owned texts that these point to, or NULL */
	struct seccomp_program seccomp;
	struct process_terminal terminal; /* console_socket is owned */
	unsigned int preserve_fds;	  /* LISTEN_FDS and --preserve-fds together */
	int gate_fd;			  /* owned: the listening socket, or -EBADF */
	int netns; /* borrowed: a network namespace that the process has yet to join, or -EBADF */
	bool has_directory;
	bool rdt_made; /* a class of resctrl, by whatever process of this creation */
	struct process process;
};

/* Steps 1 to 5. On failure nothing is left. creation_done() is due in any case. */
int creation_make(struct creation *creation, const struct runtime *rt,
		  const struct create_options *options, bool listen, struct err *err);

/* End the process and remove everything; for failures after creation_make(). */
void creation_undo(struct creation *creation);

/* Frees what the struct owns; processes and files stay. */
void creation_done(struct creation *creation);

/* pid file and pidfd socket: the last things that can fail before step 6. */
int creation_announce(struct creation *creation, struct err *err);

/* For the class: in the parent, with the pid, before the process goes on (step 4). */
int creation_on_process(void *creation, pid_t pid, struct err *err);

/* The process of step 4 has a successor, which inherited everything; state.json names that one now.
 */
int creation_on_forked(void *creation, pid_t pid, struct err *err);

/* In the parent when mounts are made: prestart and createRuntime hooks. */
int creation_on_environment(void *creation, pid_t pid, struct err *err);

/* In the child: createContainer hooks; startContainer hooks. */
int creation_on_container(void *creation, pid_t pid, struct err *err);
int creation_on_start(void *creation, pid_t pid, struct err *err);
