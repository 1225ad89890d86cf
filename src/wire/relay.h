/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/relay.h - a connected socket of TCP behind two streams of a mux, one for each direction:
 * both ends of a forwarded connection have one.
 *
 * The end of what one side says is passed on, and the other direction goes on (shutdown(2)). A
 * connection that broke at one end is reset at the other, behind what had come until then; who does
 * not read that within RELAY_LAST_MS has his connection reset without it. As of pumps, no more than
 * AGENT_STREAM_CREDIT bytes of a direction are held here.
 */
#pragma once

#include <stdbool.h>

#include "wire/pump.h"

#define RELAY_LAST_MS 5000

struct relay;

/* Both directions are over. The callee may free it. */
typedef void relay_over_fn(void *arg, struct relay *relay);

struct relay {
	struct mux *mux;
	struct loop *loop;
	struct loop_source *last; /* owned: since the other end has broken, or NULL */
	int fd;			  /* owned; -EBADF: it has not come yet */
	struct pump *in, *out; /* owned; NULL: over. in: socket to stream, out: stream to socket */
	bool reset;	       /* the other end has broken, or never came */
	bool attaching;	       /* over() waits for the end of relay_attach() */
	relay_over_fn *over;
	void *arg;
};
#define RELAY_INIT           \
	{                    \
		.fd = -EBADF \
	}

/*
 * The streams are open afterwards; what comes until relay_attach() is kept. The caller has set
 * over() and arg, and calls relay_done() also on failure.
 */
int relay_open(struct relay *relay, struct loop *loop, struct mux *mux, uint32_t in, uint32_t out,
	       struct err *err);
/*
 * A non-blocking socket, which becomes the relay's, also on failure. over() may be called, last and
 * without an error.
 */
int relay_attach(struct relay *relay, int fd, struct err *err);
/*
 * Descriptors and streams are closed; with `reset` set the connection is. A stream that is not over
 * is ended with an error, so that the other end does not wait.
 */
void relay_done(struct relay *relay);

/* The pump of a stream; NULL: not one of ours. */
struct pump *relay_pump(const struct relay *relay, uint32_t stream);
/* What the owner of the mux passes on: an END of the stream of `pump`. */
void relay_end(struct relay *relay, struct pump *pump, int error);
