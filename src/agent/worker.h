/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/worker.h - calls that may wait for a container's files, its memory or its share of the CPU:
 * each is served by a process of its own, so that the agent answers everything else meanwhile.
 *
 * A worker is a copy of the agent, with its memory of that moment and few of its descriptors. It
 * tells what it has made (a process, with its pidfd and its terminal, and its carriers) and how it
 * went; what it made becomes a child of the agent when it ends, whose news are read before anybody
 * is reaped. A worker that hangs in the kernel is given up at once (worker_cancel()) and ends when
 * it can.
 */
#pragma once

#include "agent/agent.h"
#include "ns/ns.h"

#define WORKERS_MAX    192u /* also of those that were given up and have not ended */
#define WORKERS_SIGNAL 16u  /* more for SIGNAL and RESUME; and for DELETE one of each container */

struct container;
struct worker;

struct worker_job {
	enum agent_call call; /* for sentences, and to find it by */
	uint32_t serial;
	struct container *container; /* or NULL */
	/* In the worker: 0 or -errno with its sentence. */
	int (*run)(struct worker *w, void *arg, struct err *err);
	void *arg; /* of run() */
	/* What run() needs beside 0, 1, 2, the log, AGENT_GATES and /dev/null; negative: none. */
	const int *keep;
	size_t keep_len;
	/* In the agent, or NULL. `child` is what run() has told: its descriptors may be taken. */
	int (*made)(void *owner, struct ns_child *child, const pid_t carriers[3], struct err *err);
	/* Once; the worker is gone afterwards. */
	void (*done)(void *owner, const struct err *result);
	/* In place of done() where it was cancelled or has died: nobody has undone what it did. */
	void (*lost)(void *owner, const struct err *result); /* or NULL: done() */
	void *owner;					     /* of made(), done() and lost() */
};

/* 1: done() will be called. -EAGAIN: there are too many. done() is not called after an error. */
int worker_start(struct agent *a, const struct worker_job *job, struct err *err);

/* In the worker: the process that was made so far; it is the agent's to end from now on. */
int worker_tell(struct worker *w, const struct ns_child *child, const pid_t carriers[3],
		struct err *err);

/* End one that serves the request `serial`, or all of a container: done() with -ECANCELED. */
void worker_cancel(struct agent *a, enum agent_call call, uint32_t serial);
void worker_cancel_all(struct agent *a, const struct container *c);
/* Whether one serves such a call of the container. */
bool worker_serves(const struct agent *a, const struct container *c, enum agent_call call);
/*
 * The process of one that was given up, or has died, and is not reaped: what it is in the middle of
 * may happen yet. A pidfd, borrowed, or -EBADF.
 */
int worker_given_up(const struct agent *a, const struct container *c, enum agent_call call);

/* Read what the workers have told. Before a child is looked at that was reaped. */
void worker_hear_all(struct agent *a);
/* `pid` was reaped: true if it was a worker. */
bool worker_ended(struct agent *a, pid_t pid);

/*
 * Close what may be the last descriptor of a terminal's master (negative: nothing): the kernel
 * waits then for whoever writes to the terminal, and he may wait for a file. A child of the agent
 * waits in its place, unless there can be none.
 */
void agent_close(int fd);
