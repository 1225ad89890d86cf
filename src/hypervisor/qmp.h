/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypervisor/qmp.h - client of QEMU's machine protocol (QMP, docs/interop/qmp-spec in QEMU's
 * documentation): JSON objects, one a line, over a connected stream socket.
 *
 * QEMU runs a guest that nobody trusts and may speak for it: lines have a limit, an answer must be
 * that of the oldest question, and every wait has an end. After an error of the protocol or of the
 * socket the client is of no more use: all further calls return the same error.
 *
 * One thread. Nothing is read but by these functions; who has an event loop polls qmp_fd() for
 * input and calls qmp_pump().
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"

/* Bytes of one line of QEMU's; parsed it may take forty times as much of the supervisor's memory.
 */
#define QMP_LINE_MAX	(128u << 10)
#define QMP_PENDING_MAX 16u /* questions without an answer */

struct qmp;

/*
 * An event of QEMU's; name and data (an object, or NULL) are borrowed for the call, which may not
 * use the client.
 */
typedef void qmp_event_fn(void *arg, const char *name, const json_t *data);

/*
 * A client on `fd`, a connected stream socket, which becomes the client's (also on failure) and
 * non-blocking. on_event may be NULL: events are read and forgotten. -ENOMEM.
 */
int qmp_new(int fd, qmp_event_fn *on_event, void *arg, struct qmp **ret);
void qmp_free(struct qmp *qmp); /* accepts NULL */
int qmp_fd(const struct qmp *qmp);

/*
 * Ask without waiting: the commands of one start may lie in the socket before QEMU reads the first.
 * `arguments` (or NULL) is the callee's reference in any case. The question of qmp_capabilities is
 * the first that any client asks; the greeting need not have come. Waits only while the socket is
 * full. -EBUSY: QMP_PENDING_MAX wait already.
 */
int qmp_ask(struct qmp *qmp, const char *command, json_t *arguments, int timeout_ms,
	    struct err *err);

/*
 * qmp_ask() with a descriptor, which the command takes ("getfd", "add-fd"); it stays the caller's.
 */
int qmp_ask_with(struct qmp *qmp, const char *command, json_t *arguments, int fd, int timeout_ms,
		 struct err *err);

/*
 * The answer to the oldest question, which comes within timeout_ms; events on the way are
 * delivered. *ret (may be NULL) is the caller's reference. -EREMOTEIO with QEMU's class and
 * sentence when it refuses, -ETIMEDOUT, -EPIPE at the end of the connection, -EPROTO, -ENOENT
 * without a question. All name the command.
 */
int qmp_answer(struct qmp *qmp, int timeout_ms, json_t **ret, struct err *err);

/* The oldest question has its answer: qmp_answer() does not wait. */
bool qmp_has_answer(const struct qmp *qmp);

/* qmp_ask() and qmp_answer(); nothing else may be pending (-EBUSY). */
int qmp_call(struct qmp *qmp, const char *command, json_t *arguments, int timeout_ms, json_t **ret,
	     struct err *err);

/*
 * Read what has come, a bounded part of it, without waiting, and deliver events. An answer that
 * comes meanwhile is kept for qmp_answer(). 0, -EPIPE, -EPROTO.
 */
int qmp_pump(struct qmp *qmp, struct err *err);

static inline void qmp_free_auto(struct qmp **qmp)
{
	qmp_free(*qmp);
}
#define AUTO_QMP AUTO(qmp_free_auto)
