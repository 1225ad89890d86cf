/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/pump.h - descriptors behind the streams of a mux: what a process writes goes to the other
 * end, what comes from there is written to its standard input.
 *
 * A pump has one stream and one descriptor, of which it reads or writes or, for a terminal, both.
 * It stops reading while the stream has no room, and gives credit back only for what was written,
 * so that at most AGENT_STREAM_CREDIT bytes of a stream are held here.
 *
 * An END with an error also goes against the stream: who cannot write any more sends it (EPIPE),
 * and who reads for him closes its descriptor, so that its writer learns of it.
 *
 * SIGPIPE is blocked or ignored by the program. Fastest are descriptors whose description is
 * non-blocking already: own ends of pipes and terminals should be made so before. For a
 * terminal that is shared and blocking SIGALRM and ITIMER_REAL are used (wire/pump_io.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "wire/mux.h"

struct pump;

enum pump_direction {
	PUMP_IN = 1,  /* descriptor -> stream */
	PUMP_OUT = 2, /* stream -> descriptor */
	PUMP_BOTH = 3,
};

/*
 * The pump is over, and what had come for the descriptor is written; the callee may free it. Of
 * PUMP_BOTH either side's end is enough: the terminal has hung up.
 */
typedef void pump_done_fn(void *arg, struct pump *pump);

/*
 * Open `stream` in the mux and serve it in the loop. `fd` becomes the pump's (also on failure). It
 * may be shared with others (a terminal, a pipe of the engine): its O_NONBLOCK flag is not touched
 * where that would change theirs; regular files are read and written as they are.
 */
int pump_new(struct loop *loop, struct mux *mux, uint32_t stream, int fd,
	     enum pump_direction direction, pump_done_fn *done, void *arg, struct pump **ret,
	     struct err *err);
/*
 * The same for a descriptor that comes later: what comes from the stream until then is kept.
 * pump_attach() brings it; it becomes the pump's, also on failure, and done() may be called.
 */
int pump_new_open(struct loop *loop, struct mux *mux, uint32_t stream,
		  enum pump_direction direction, pump_done_fn *done, void *arg, struct pump **ret,
		  struct err *err);
int pump_attach(struct pump *pump, int fd, struct err *err);
/*
 * A terminal's master whose slaves are all closed is no end: somebody may open one again. Its owner
 * ends it with pump_drain() when nobody can.
 */
void pump_await_slaves(struct pump *pump);
/*
 * The descriptor is one end of a pair of sockets, whose other end somebody has who writes on what
 * comes there: out is over when he has closed it, which the end of what comes asks of him.
 */
void pump_await_carrier(struct pump *pump);
/* Of such a pump whose stream ends now, with whatever is queued: wait_ms for that, at most. */
void pump_finish(struct pump *pump, int64_t wait_ms);
/* Closes descriptor and stream; before loop and mux are freed. Accepts NULL. */
void pump_free(struct pump *pump);
uint32_t pump_stream(const struct pump *pump);
int pump_fd(const struct pump *pump); /* -EBADF before it has come and once it was closed */

/* What the owner of the mux passes on to the pump of a stream. */
void pump_data(struct pump *pump, const void *bytes, size_t len);
void pump_end(struct pump *pump, int error);
void pump_room(struct pump *pump);
/* Read what lies in the descriptor, then end: its writers may outlive the process. */
void pump_drain(struct pump *pump);
