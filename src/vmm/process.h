/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/process.h - the processes that were asked of the agent, CREATE's and EXEC's, and their
 * streams: who is told when one has ended and its last words are written.
 */
#pragma once

#include "base/err.h"
#include "base/list.h"
#include "wire/agent_msg.h"

struct pump;
struct container;
struct vm;
struct loop_source;

/* It has ended, and what it said is written; it is freed afterwards. */
typedef void process_end_fn(void *arg, int code);

struct process {
	struct list_head node; /* of vm->processes */
	struct vm *vm;
	struct container *container; /* borrowed: it is there as long as we are */
	int32_t pid;		     /* in the guest; 0: the agent has not answered yet */
	struct pump *in, *out, *err; /* NULL: none, or over; of a terminal `out` has both */
	uint32_t waits_for;	     /* bits of PROCESS_OUT...: the agent has not ended them */
	bool terminal;
	bool input_waits; /* as of struct process_stdio */
	bool exited;
	bool kill;   /* as soon as its pid is known: nobody wants it any more */
	bool killed; /* ... and the agent was asked to, or to cancel its EXEC */
	int code;
	struct loop_source *drain; /* the end of the patience with a terminal's reader */
	process_end_fn *fn;	   /* or NULL */
	void *arg;
};

/* A process's 0, 1, 2; negative: /dev/null. */
struct process_stdio {
	int fd[3];
	uint32_t carried; /* VMM_CARRIED() of them, among other bits */
	bool input_waits; /* the carrier of 0 reads nothing before process_open_input() */
};

/*
 * A process that is about to be asked for: `stdio` is taken over, also on failure. io->terminal,
 * rows and cols are given, the rest of *io becomes what the agent is told. With a terminal 0 is its
 * host's end, which counts alone.
 */
int process_new(struct container *c, const struct process_stdio *stdio, struct agent_io *io,
		struct process **ret, struct err *err);
/* With its streams, at once. Accepts NULL. */
void process_free(struct process *p);

/* The agent has told its pid. -EPROTO: it cannot be that one. */
int process_set_pid(struct process *p, int32_t pid, struct err *err);
/* Its program runs: the carrier of its 0, if there is one, begins to read. Once; accepts NULL. */
void process_open_input(struct process *p);
/* The machine has ended: what carriers have of its words goes home, in PROCESS_FINISH_MS. */
#define PROCESS_FINISH_MS 500
void process_finish(struct process *p);
/* Killed, and its words are no longer waited for; nobody is told. It goes by itself. */
void process_abandon(struct process *p);
/* Kills that had to wait for room among the calls. */
void process_go_on(struct vm *vm);
/* By its pid; NULL: none. */
struct process *process_find(const struct vm *vm, int32_t pid);

/* The size of its host's terminal. -ENOTTY: it has none. */
int process_terminal_size(const struct process *p, uint32_t *ret_rows, uint32_t *ret_cols);

/* What the channel passes on. */
int process_on_exited(struct vm *vm, const struct agent_exited *exited, struct err *err);
