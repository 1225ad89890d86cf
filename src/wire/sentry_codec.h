/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/sentry_codec.h - descriptions of wire/sentry_msg.h as bytes, and back.
 *
 * The form is a head (magic, version, kind, size) and the fields in the order of the structs:
 * numbers of 32 and 64 bits, texts and lists with their length before them. One table of fields
 * serves both directions, so that they cannot differ.
 *
 * The decoder takes the bytes for hostile: it checks every length against the limits of
 * wire/sentry_msg.h and against what is left, that texts hold no NUL, that enums are known, that
 * paths are absolute, and that nothing is left over. Decoded structs own all they point to.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "wire/sentry_msg.h"

/* Append to `b`. -EINVAL names the field that is above its limit; -ENOMEM. */
int sentry_container_encode(const struct sentry_container *c, struct buf *b, struct err *err);
int sentry_process_encode(const struct sentry_process *p, struct buf *b, struct err *err);

/*
 * -EBADMSG: "description: mounts[3].destination: not an absolute path", -EPROTO for another
 * version, -ENOMEM. *ret is the caller's.
 */
int sentry_container_decode(const void *bytes, size_t len, struct sentry_container **ret,
			    struct err *err);
int sentry_process_decode(const void *bytes, size_t len, struct sentry_process **ret,
			  struct err *err);
void sentry_container_free(struct sentry_container *c); /* accepts NULL */
void sentry_process_free(struct sentry_process *p);	/* accepts NULL */

/*
 * A control request: size, version, type, reserved field, flags of its type. *ret_tail is what lies
 * behind it. 0 or -EPROTO.
 */
int sentry_request_decode(const void *message, size_t len, struct sentry_request *ret,
			  const void **ret_tail, size_t *ret_tail_len);
