/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/client.h - the one client of a supervisor's control server (wire/sentry_msg.h).
 *
 * The answers come from a process that a guest may have taken over: they are checked, and what they
 * say goes no further than text and numbers.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "runtime/runtime.h"
#include "wire/sentry_msg.h"

/*
 * A connection to the supervisor of a container; the caller's. -ESRCH: "container not running". A
 * supervisor that says nothing for CLIENT_WAIT_S, or takes nothing, is -ETIMEDOUT here and below:
 * who waits often holds the container's lock, and engines wait for them.
 */
int client_connect(const struct container *c, struct err *err);
#define CLIENT_WAIT_S 20

/* From here on answers are waited for as long as they take: a program is loaded, events come. */
void client_be_patient(int sock);

struct client_call {
	struct sentry_request request; /* version is set by the call */
	const void *tail;	       /* bytes behind it, or NULL */
	size_t tail_len;
	const int *fds; /* descriptors that go along */
	size_t fds_len;
};

/*
 * Send, and wait for the reply of the same type. Its error is returned with the supervisor's
 * sentence. *ret_reply and up to *len bytes behind it (NULL: none expected; more is -EPROTO) are
 * the answer's; *len becomes their number.
 */
int client_call(int sock, const struct client_call *call, struct sentry_reply *ret_reply,
		void *bytes, size_t *len, struct err *err);

/* One more message of an answer: SENTRY_EXITED, further items. 0, -EPIPE at the end. */
int client_recv(int sock, uint32_t type, struct sentry_reply *ret_reply, void *bytes, size_t *len,
		struct err *err);

/* Connect, send, do not wait for the reply: a frozen supervisor acts when it is thawed. */
int client_post(const struct container *c, const struct client_call *call, struct err *err);

/* Connect, one call without descriptors and bytes, close. */
int client_simple(const struct container *c, const struct sentry_request *request,
		  struct sentry_reply *ret_reply, struct err *err);

/* container_processes() of runtime.h, by SENTRY_PS. */
int client_processes(struct container *c, struct container_process **ret, size_t *ret_len,
		     struct err *err);

/* SENTRY_DEBUG with this value: lines of printable characters, appended. */
int client_debug(struct container *c, uint32_t what, struct buf *ret, struct err *err);
