/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/worker.h - calls that may wait, each in a process of its own, so that the shim goes on
 * serving and a crash is that call's error alone.
 *
 * A worker is a copy of the shim without its other descriptors: it calls the runtime (runtime.h)
 * and answers with one message. What it makes becomes the shim's child when it ends (the shim is a
 * subreaper), after the answer has been sent: read the answers before reaping.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define WORKERS_MAX	   256u
#define WORKER_PAYLOAD_MAX (32u << 10)

struct shim;

enum worker_flags {
	WORKER_SHARED_PID = 1u << 0, /* the container has no pid namespace of its own */
};

/* What a worker made or found out. */
struct worker_answer {
	struct err err; /* code 0: it went well */
	pid_t pid;
	uint32_t flags;	   /* WORKER_* */
	int32_t isolation; /* enum isolation */
	int fd;		   /* a terminal's master or a watch, the receiver's; or -EBADF */
	size_t payload_len;
	uint8_t payload[WORKER_PAYLOAD_MAX];
};

struct worker_job {
	const char *what; /* for sentences: "create" */
	/* In the worker: 0, or -errno with its sentence. */
	int (*run)(void *arg, struct worker_answer *answer, struct err *err);
	void *arg;
	const int *stdio; /* three descriptors; NULL or negative ones: /dev/null */
	const int *keep;  /* more that run() needs; negative ones are none */
	size_t keep_len;
	/* In the shim, once; answer->fd may be taken. */
	void (*done)(void *owner, struct worker_answer *answer);
	void *owner;
};

/* 0: done() will be called, not before this returns. -EAGAIN: WORKERS_MAX. */
int worker_start(struct shim *s, const struct worker_job *job, struct err *err);

/* The same in this process, for calls that do not wait; done() is called before it returns. */
void worker_run_here(const struct worker_job *job);

/* Read what all have answered. */
void worker_hear_all(struct shim *s);
/* `pid` was reaped: whether it was a worker. */
int worker_ended(struct shim *s, pid_t pid);
