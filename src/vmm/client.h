/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/client.h - one connection to the control server: shared by control.c (connections) and the
 * files that answer requests.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/list.h"
#include "wire/vmm_msg.h"

struct container;
struct loop_source;
struct process;
struct vm;

#define CLIENT_FDS_MAX	6u /* of VMM_JOIN */
#define CLIENT_EXEC_FDS 4u /* an EXEC's description and its 0, 1, 2 */

struct client {
	struct list_head node;
	struct vm *vm;
	struct container *container; /* whose socket it came by, or that it has made */
	int fd;			     /* owned */
	struct loop_source *source;  /* NULL: its peer has gone, and the agent cannot be asked */
	uint64_t since;		     /* vm_now_ns() of its last request, or of its beginning */
	struct list_head out;	     /* messages that the socket has not taken */
	bool busy;		 /* a request of its is not answered: the next one is not read */
	bool stalled;		 /* ... nor before the agent can be asked again */
	bool watches;		 /* it is told of AGENT_OOM */
	bool waits;		 /* a WAIT for the first process is unanswered */
	bool gone;		 /* to be closed */
	bool kept;		 /* it has one of its container's own places */
	bool flushed;		 /* told the end: nothing more is answered */
	bool keeps;		 /* the container is its own, and ends with it (member.h) */
	bool is_exec;		 /* its pid 0 is its EXEC's process */
	struct list_head asks;	 /* of container.askers; freezer.h */
	uint32_t wants;		 /* ... enum sentry_freeze */
	uint32_t asked;		 /* type of the request that is not answered */
	struct process *process; /* of its EXEC, until that has ended */
};

/* A request with what came along. The descriptors are owned; taken ones are -EBADF. */
struct request {
	struct sentry_request head;
	const char *tail;
	size_t tail_len;
	int fds[CLIENT_FDS_MAX];
	size_t fds_len;
};

/*
 * Size, version, type, flags of its type, reserved field, bytes behind it. 0 or -EPROTO; fds are
 * not touched.
 */
int request_decode(const void *message, size_t len, struct request *ret);

/*
 * Serve one: answered at once, or c->busy until an answer comes. -EPROTO: the connection is of no
 * use.
 */
int request_serve(struct client *c, struct request *request);
/* EXEC and DEBUG of it. */
int client_exec(struct client *c, struct request *request);
int client_debug(struct client *c, uint32_t what);

/* Send, now or when the peer reads. What cannot be kept ends the connection. */
void client_send(struct client *c, const struct sentry_reply *reply, const void *bytes, size_t len);
/* The answer to what was asked: an error with its sentence (NULL: none), or plain success. */
void client_answer(struct client *c, int value, int error, const char *text);
/* Text of any length in as many replies as it needs, and the last one with count 0. */
void client_answer_text(struct client *c, const char *text, size_t len);
