/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/client.h - the one client of a supervisor's control server (wire/sentry_msg.h).
 *
 * The answers come from a process that a guest may have taken over: they are checked, and what they
 * say goes no further than text and numbers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "runtime/runtime.h"
#include "wire/sentry_msg.h"

/*
 * A connection to the supervisor of a container; the caller's. -ESRCH: "container not running";
 * -EBUSY: it is frozen. A supervisor that says nothing for CLIENT_WAIT_S, or takes nothing, is
 * -ETIMEDOUT here and below: who waits often holds the container's lock, and engines wait for them.
 */
int client_connect(const struct container *c, struct err *err);
#define CLIENT_WAIT_S 20

/* The same for what may take longer: client_be_patient(), also of one that is frozen. */
int client_connect_patient(const struct container *c, struct err *err);

/* From here on answers are waited for as long as they take: a program is loaded, events come. */
void client_be_patient(int sock);

/*
 * The container is paused and its supervisor with it, which answers nobody until it is resumed. Of
 * a part of a pod's sandbox that is so while the sandbox is paused as a whole.
 */
bool client_is_frozen(const struct container *c);

struct client_call {
	const struct container *of;    /* whose supervisor is asked: sentences name its sandbox */
	struct sentry_request request; /* version is set by the call */
	const void *tail;	       /* bytes behind it, or NULL */
	size_t tail_len;
	const int *fds; /* descriptors that go along */
	size_t fds_len;
	int *ret_fds;	    /* descriptors that come with the answer: the caller's; or NULL */
	size_t ret_fds_len; /* as many must come, or it is -EPROTO */
};

/*
 * Send, and wait for the reply of the same type. Its error is returned with the supervisor's
 * sentence; -EPIPE: it has hung up, because it is gone, or does not know the request. *ret_reply
 * and up to *len bytes behind it (NULL: none expected; more is -EPROTO) are the answer's; *len
 * becomes their number.
 */
int client_call(int sock, const struct client_call *call, struct sentry_reply *ret_reply,
		void *bytes, size_t *len, struct err *err);

/*
 * The same of a request for a container of a pod (SENTRY_CREATE, VMM_JOIN). One that had its id and
 * is deleted may still be leaving, if the sandbox was paused meanwhile: -EEXIST is asked again for
 * CLIENT_WAIT_S.
 */
int client_join(int sock, const struct client_call *call, struct err *err);

/* One more message of the call's type: SENTRY_EXITED, further items. 0, -EPIPE at the end. */
int client_recv(int sock, const struct client_call *call, struct sentry_reply *ret_reply,
		void *bytes, size_t *len, struct err *err);

/* -EPROTO, of an answer that cannot be one. */
int client_wrong(const struct client_call *call, struct err *err);

/*
 * Connect, send, do not wait for the reply: a frozen supervisor acts when it is thawed. -EAGAIN: it
 * has been left as many requests as it can have.
 */
int client_post(const struct container *c, const struct client_call *call, struct err *err);

/* What is answered by success alone: connect, call, close; or client_post() of a frozen one. */
int client_tell(const struct container *c, const struct client_call *call, struct err *err);

/*
 * The same of a container of a pod, of what comes true by itself when its sandbox is resumed: that
 * is not waited for once the sandbox is paused, before the answer, too. *ret_sock, the caller's, is
 * the connection.
 */
int client_hold(const struct container *c, const struct client_call *call, int *ret_sock,
		struct err *err);

/* Connect, one call without descriptors and bytes, close. */
int client_simple(const struct container *c, const struct sentry_request *request,
		  struct sentry_reply *ret_reply, struct err *err);

/* container_processes() of runtime.h, by SENTRY_PS. */
int client_processes(struct container *c, struct container_process **ret, size_t *ret_len,
		     struct err *err);

/* SENTRY_DEBUG with this value: lines of printable characters, appended. */
int client_debug(struct container *c, uint32_t what, struct buf *ret, struct err *err);
