/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/agent_codec.h - bodies of wire/agent_msg.h as bytes, and back.
 *
 * Numbers are little-endian and as wide as their field; a text is its length (u32, NUL included)
 * and its bytes with the NUL; bytes and lists have their length before them. One table of fields
 * serves both directions. The decoder takes the bytes for hostile: lengths against limits and what
 * is left, texts with one NUL at their end, enums and flags that are known, indices below their
 * list's length, nothing left over. What is decoded points into the bytes.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "wire/agent_msg.h"

/*
 * Append the request's body to `b`; `body` is the struct that enum agent_call names (NULL:
 * nothing). -EINVAL names the field that is above its limit; -ENOMEM.
 */
int agent_request_encode(enum agent_call call, const void *body, struct buf *b, struct err *err);
int agent_answer_encode(enum agent_call call, const void *body, struct buf *b, struct err *err);
int agent_event_encode(enum agent_event event, const void *body, struct buf *b, struct err *err);

/*
 * Fill *ret, the struct of the call (nothing: NULL is allowed); what it holds after a failure means
 * nothing. -EBADMSG: "agent: CREATE: storages[3].target: cut off".
 */
int agent_request_decode(enum agent_call call, const void *bytes, size_t len, void *ret,
			 struct err *err);
int agent_answer_decode(enum agent_call call, const void *bytes, size_t len, void *ret,
			struct err *err);
int agent_event_decode(enum agent_event event, const void *bytes, size_t len, void *ret,
		       struct err *err);

/* Whether it takes as long as the container's files do (wire/agent_msg.h). */
bool agent_call_waits(enum agent_call call);

/* "CREATE"; "?" for a number that is none. */
const char *agent_call_name(unsigned int call);
const char *agent_event_name(unsigned int event);
