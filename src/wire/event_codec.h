/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/event_codec.h - event records as bytes, and back, and as JSON.
 *
 * The decoder takes the bytes for hostile: a sentry that a guest has taken over may have written
 * them. Nothing of a guest's text gets out of the JSON unescaped.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "wire/event_msg.h"

/* "open" of EVENT_open; NULL: there is no such event, or it is `common`. */
const char *event_name(uint32_t type);

/* Bits (1 << type) of "all" or names with commas; "" is none. -EINVAL names the word. */
int event_mask_parse(const char *list, uint32_t *ret, struct err *err);

/* A NUL-terminated text of at most EVENT_TEXT_MAX bytes; NULL is "". */
struct event_text event_text(const char *text);

/* Add a text, while the list's limits allow: then it is marked as cut. */
void event_list_add(struct event_list *list, const char *text);

/*
 * Write a record of common fields and `fields` (struct event_NAME of the type) to `bytes`, which
 * has room for EVENT_RECORD_MAX. Returns its size.
 */
size_t event_encode(const struct event_head *head, const struct event_common *common,
		    const void *fields, void *bytes);

/* Change the number in a written record. */
void event_set_sequence(void *bytes, uint64_t sequence);

/*
 * The first record of `len` bytes. Texts point into `bytes`. 1: *ret is filled, *ret_size bytes
 * were used; 0: an event or a field that we do not know, *ret_size bytes are to be skipped (a type
 * that is known is filled as far as it goes); -EAGAIN: more bytes are needed; -EBADMSG: this is no
 * record; -EPROTO: of another version.
 */
int event_decode(const void *bytes, size_t len, struct event_record *ret, size_t *ret_size);

/*
 * One line of JSON without its newline. A text's bytes are the code points 0 to 255 of the JSON
 * string, escaped beyond printable ASCII, so that text.encode("latin-1") gives them back.
 */
void event_to_json(const struct event_record *record, struct buf *b);
