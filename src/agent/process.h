/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/process.h - a process that the host asked for: a container's first one or one of exec, its
 * streams, and its end.
 *
 * Its record is there before the process is, so that what comes for its streams is kept; it lives
 * until the host was told AGENT_EXITED, which is when it is reaped and its
 * output streams have ended: what lay in its pipes has then been sent. Children that it left behind
 * with its pipes do not delay that.
 */
#pragma once

#include "agent/agent.h"
#include "agent/carrier.h"
#include "agent/stdio.h"
#include "ns/ns.h"
#include "wire/pump.h"

struct container;

struct process {
	struct list_head node; /* agent.processes */
	struct agent *agent;
	struct container *container; /* borrowed; NULL once that is deleted */
	char *id;		     /* owned: the container's */
	pid_t pid;		     /* 0: it is being made */
	int pidfd;		     /* owned, or -EBADF */
	int master;	 /* owned: the terminal's, for its size and foreground group; or -EBADF */
	uint32_t serial; /* of the request that is to be answered with its pid */
	bool exited;
	int code;		     /* exit code or 128 + signal */
	struct carrier carriers[3];  /* of its 0, 1, 2 */
	struct loop_source *look;    /* at carriers that may be stuck; NULL while it runs */
	struct pump *in, *out, *err; /* owned; NULL: none, or over. Of a terminal `out` is both
					directions when they have one number */
};

/* A process that is to be made, with its streams: our ends of `stdio` are taken. */
int process_new(struct agent *a, struct container *c, const struct agent_io *io,
		struct process_stdio *stdio, struct process **ret, struct err *err);
/* ns has made it: its pidfd and master are taken. On failure it is the caller's to end. */
int process_made(struct process *p, struct ns_child *child, const pid_t carriers[3],
		 struct err *err);
void process_free(struct process *p); /* accepts NULL */

/* The process of a container by its number; 0: the first one. NULL: none. */
struct process *process_find(const struct agent *a, const struct container *c, pid_t pid);
/* Whose stream this is; *ret_pump is it. NULL: nobody's. */
struct process *process_of_stream(const struct agent *a, uint32_t stream, struct pump **ret_pump);

/* Reap whatever has ended, ours and what lost its parent. */
void process_reap_all(struct agent *a);
/* The mux has room for every stream again. */
void process_room(const struct agent *a);
/* The host forgot all streams (a HELLO of a new one). */
void process_forget_streams(struct agent *a);

int process_signal(struct process *p, int signal, bool foreground, struct err *err);
int process_resize(struct process *p, uint32_t rows, uint32_t cols, struct err *err);
