/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/mux.h - one end of the agent's channel: frames of wire/agent_msg.h over one descriptor.
 *
 * Nothing here waits: whoever has the event loop polls mux_fd() for mux_events() and calls
 * mux_ready(). Callbacks run inside mux_ready() alone (but for `poll`); they may use the mux, but
 * not free it. What is sent outside of them goes to the descriptor at once, as far as it takes it.
 *
 * Memory is bounded in both directions. In: one frame, one body of AGENT_REQUEST_MAX or
 * AGENT_ANSWER_MAX. Out: a request or answer waits in the buffer until the descriptor takes it,
 * DATA is taken only as far as the other end's credit and MUX_BUFFER reach (mux_room()), so that a
 * stream whose reader does not read stops alone.
 *
 * After an error of the protocol or of the descriptor the mux is of no more use: all calls return
 * the same error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/agent_msg.h"

struct mux;

#define MUX_BUFFER (1u << 20) /* bytes that wait for the descriptor before DATA is refused */

enum mux_role { MUX_HOST, MUX_AGENT };

/* All but `arg` may be NULL: what comes for it is a protocol error then. */
struct mux_ops {
	/* The other end's greeting; of the agent it has our nonce. */
	void (*hello)(void *arg, const struct agent_hello *hello);
	/* A whole request; the agent answers it sooner or later with mux_answer(). */
	void (*request)(void *arg, uint32_t serial, enum agent_call call, const void *body,
			size_t len);
	/*
	 * The answer to a request of ours: error 0 or -errno; the body, or the sentence of the
	 * error (NUL-terminated, printable).
	 */
	void (*answer)(void *arg, uint32_t serial, enum agent_call call, int error,
		       const void *body, size_t len);
	void (*event)(void *arg, enum agent_event event, const void *body, size_t len);
	/*
	 * Bytes of an open stream. They are the callee's to keep; credit is given back by
	 * mux_credit() when they are used up.
	 */
	void (*data)(void *arg, uint32_t stream, const void *bytes, size_t len);
	void (*end)(void *arg, uint32_t stream, int error);
	/* mux_room() of the stream (0: of every one) has become more than 0. */
	void (*room)(void *arg, uint32_t stream);
	/* mux_events() has changed. Also outside mux_ready(), from any call that sends. */
	void (*poll)(void *arg);
};

/*
 * `fd` becomes the mux's (also on failure) and non-blocking. The host's end draws a nonce and has
 * its HELLO in the buffer; until the agent has answered it every other frame is an error.
 */
int mux_new(int fd, enum mux_role role, const struct mux_ops *ops, void *arg, struct mux **ret);
void mux_free(struct mux *mux); /* accepts NULL */
int mux_fd(const struct mux *mux);
short mux_events(const struct mux *mux); /* POLLIN, POLLOUT */

/*
 * Read and write what can be without waiting, a bounded part. 0; -EPIPE: the other end is gone;
 * -EPROTO with a sentence that names what was wrong ("agent: DATA of 70000 bytes").
 */
int mux_ready(struct mux *mux, short revents, struct err *err);
bool mux_greeted(const struct mux *mux);

/*
 * Host: ask. *ret_serial joins the answer. -EBUSY: AGENT_PENDING_MAX wait already; -E2BIG; -ENOMEM.
 */
int mux_ask(struct mux *mux, enum agent_call call, const void *body, size_t len,
	    uint32_t *ret_serial, struct err *err);
/* Host: forget a request; its answer, should it come, is thrown away. */
void mux_forget(struct mux *mux, uint32_t serial);

/* Agent: the answer to a request; with an error `body` is the sentence. */
int mux_answer(struct mux *mux, uint32_t serial, enum agent_call call, int error, const void *body,
	       size_t len);
int mux_tell(struct mux *mux, enum agent_event event, const void *body, size_t len);
/* Agent: the answer to the host's HELLO; `hello` without version and nonce, which are set here. */
int mux_greet(struct mux *mux, const struct agent_hello *hello);

/*
 * A stream exists from here on at this end; both ends open it before the first byte (the host when
 * it asks CREATE or EXEC, the agent while request() runs: the next frame may be for it). The
 * host counts an agent's frame for a stream that was never open as a lie; the agent, whose request
 * may have failed, throws it away. A number should not be used again while another is free. Each
 * direction starts with AGENT_STREAM_CREDIT. -EEXIST, -EMFILE (AGENT_STREAMS_MAX), -EINVAL (number
 * 0 or above 65535).
 */
int mux_open(struct mux *mux, uint32_t stream);
/* How many bytes mux_send() would take now. 0 for a stream that is not open. */
size_t mux_room(const struct mux *mux, uint32_t stream);
/* Send up to `len` bytes: the number that was taken, which may be 0. -EPIPE: it has ended. */
ssize_t mux_send(struct mux *mux, uint32_t stream, const void *bytes, size_t len);
/* No more bytes from this side. `error`: 0 or a positive errno, why. */
int mux_end(struct mux *mux, uint32_t stream, int error);
/* `len` bytes of data() are used up. */
int mux_credit(struct mux *mux, uint32_t stream, size_t len);
/* Forget a stream; frames for it that are still on their way are thrown away. Accepts any number.
 */
void mux_close(struct mux *mux, uint32_t stream);
