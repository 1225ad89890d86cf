/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/channel.h - the agent's channel in the loop: calls with an end to their patience.
 *
 * An answer that does not come in time, that cannot be decoded or that nobody asked for ends the
 * machine (end.h). Calls that take as long as the container's files do have all the time; while one
 * is unanswered and the agent says nothing it is asked with PING whether it lives. An answer that
 * is an error is the caller's affair.
 */
#pragma once

#include "base/err.h"
#include "wire/agent_msg.h"
#include "wire/mux.h"

struct vm;
struct channel;

/*
 * error: 0 or -errno, of the agent, with its sentence (NUL-terminated, printable). Else `answer` is
 * the struct of the call, NULL for a call that is answered by nothing. Borrowed for the call.
 */
typedef void channel_answer_fn(void *arg, int error, const void *answer);

struct channel_call {
	enum agent_call call;
	const void *request; /* the struct of the call, or NULL */
	const void *body;    /* instead of it: its bytes */
	size_t body_len;
	channel_answer_fn *fn; /* or NULL: nobody wants to know */
	void *arg;
};

/* `fd` becomes the channel's, also on failure. The greeting is on its way afterwards. */
int channel_new(struct vm *vm, int fd, struct channel **ret, struct err *err);
void channel_free(struct channel *c); /* accepts NULL */
struct mux *channel_mux(struct channel *c);

/*
 * -EBUSY: as many calls as there may be are unanswered (who can wait looks at
 * channel_has_room() before), -EINVAL, -ENOMEM.
 */
int channel_ask(struct channel *c, const struct channel_call *call, struct err *err);

/* A call of somebody else's that may wait; a few places are kept for the supervisor's own. */
bool channel_has_room(const struct channel *c);
/* One more call that takes as long as the container's files do (agent_call_waits()). */
bool channel_may_wait(const struct channel *c);

/*
 * The EXEC or UPDATE with this `arg`, if it is unanswered, is cancelled, and has to be answered as
 * soon as any call. false: it could not be asked, and may be tried again.
 */
bool channel_cancel(struct channel *c, const void *arg);

/* The machine ends: what is being deleted has VM_DELETE_MS more, and what will be that. */
void channel_hurry(struct channel *c);

/* Who asked with this `arg` is gone: answers for it are thrown away, but have to come. */
void channel_disown(struct channel *c, const void *arg);

/* What has gone over it, for metrics. */
struct channel_counts {
	uint64_t calls, answers, events, oom_kills, frames_in, bytes_in;
};
const struct channel_counts *channel_counts(const struct channel *c);
