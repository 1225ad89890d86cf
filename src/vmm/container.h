/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/container.h - the containers of the machine: the first, with which the machine begins and
 * ends (boot.h, end.h), and those that joined it (VMM_JOIN, member.c), which come and go.
 *
 * The record of one that is over stays as long as a process or a connection speaks of it: what the
 * agent says late finds it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

struct client;
struct listener;
struct process;
struct vm;
struct watch;

#define CONTAINERS_MAX 64u /* of a machine, those that are over but spoken of included */

enum container_phase {
	CONTAINER_NEW,	 /* CREATE is not answered */
	CONTAINER_WAITS, /* at its gate */
	CONTAINER_RUNS,	 /* or its last words are under way */
	CONTAINER_ENDS,	 /* DELETE is to be asked, or is */
	CONTAINER_OVER,
};

/* error: 0 or -errno of the agent, with its sentence. */
typedef void container_started_fn(void *arg, int error, const char *text);

struct container {
	struct list_head node; /* of vm->containers */
	struct vm *vm;
	char *id; /* owned */
	enum container_phase phase;
	bool starting;	      /* START is asked */
	bool deleting;	      /* DELETE is asked */
	struct process *init; /* its first process; NULL before CREATE and at its end */
	int code; /* of that process, once it has ended; until then what is said of a lost one */
	container_started_fn *started; /* who opened the gate wants to know whether it did */
	void *started_arg;
	struct listener *listener; /* control.h */
	unsigned int kept;	   /* of SENTRY_CLIENTS_KEPT, those that are taken (control.h) */
	struct watch *watch;	   /* owned (watch.h); NULL: none */
	struct client *keeper;	   /* whose connection it lives by; NULL of the first */
	/* freezer.h */
	struct list_head askers; /* clients, who came last first */
	int freezer;		 /* owned: the file that says whether it is paused, or -EBADF */
	uint32_t freezing;	 /* enum sentry_freeze: what the agent is asked; FOLLOW: nothing */
	bool frozen;		 /* inside */
	bool unsettled;		 /* the agent is to be asked when there is room for a call */
};

/* -EEXIST: the id is known; -EMFILE. *ret is on the list. */
int container_new(struct vm *vm, const char *id, struct container **ret, struct err *err);
/* By its id, one that is not over; NULL: none. */
struct container *container_find(const struct vm *vm, const char *id);

/* Open the gate. -EINVAL: it is open, or being opened. */
int container_start(struct container *c, container_started_fn *fn, void *arg, struct err *err);
/* Who asked with `arg` is gone. */
void container_forget(struct vm *vm, const void *arg);

/*
 * Not of the first: it ends, whatever it does: DELETE is asked, as soon as there is room for it.
 * Then its clients are told, and with them the machine that waits for it (end_go_on()).
 */
void container_end(struct container *c);
/* DELETEs that had to wait for room among the calls. */
void container_go_on(struct vm *vm);
/* It is over, or the agent never heard of it; whoever speaks of it keeps the record. */
void container_over(struct container *c);
/* Nobody of these may speak of it any more. */
void container_let_go(struct container *c);
