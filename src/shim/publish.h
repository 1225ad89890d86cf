/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/publish.h - events for containerd, in order, one after the other.
 *
 * Over its ttrpc socket (TTRPC_ADDRESS, containerd 1.3 and later) or, where there is none, by
 * running its publish binary for each. What is not taken is told again, also to a containerd that
 * was started anew; a queue that is full forgets its oldest.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/loop.h"

#define PUBLISH_QUEUE_MAX 4096u
#define PUBLISH_TRIES_MAX 30u /* of the binary, for one event */

struct publisher;

/* Texts are borrowed for good; `ttrpc` may be NULL. */
struct publisher_options {
	const char *ns;
	const char *address; /* of containerd */
	const char *ttrpc;   /* of its ttrpc service: a path */
	const char *binary;
};

int publisher_new(struct loop *loop, const struct publisher_options *options,
		  struct publisher **ret, struct err *err);
void publisher_free(struct publisher *p); /* accepts NULL; what was not told is forgotten */

/* `type` is the event's full name ("containerd.events.TaskExit"). A failure is logged. */
void publisher_tell(struct publisher *p, const char *topic, const char *type,
		    const ProtobufCMessage *event);

/* All has been told. */
bool publisher_idle(const struct publisher *p);

struct publisher_counts {
	uint64_t told, forgotten; /* and done with; because the queue was full */
	unsigned int waiting;
};
struct publisher_counts publisher_counts(const struct publisher *p);

/* `pid` was reaped: whether it was the binary. */
bool publisher_ended(struct publisher *p, pid_t pid, int status);
