/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install/json_edit.h - members of objects in JSON text, put in and taken out with the rest left as
 * it stands: order, blanks and newlines are the owner's.
 *
 * Every edit is judged by the JSON reader: the result must parse, and must be the tree of before
 * with just this change, otherwise it is -EBADMSG (after any failure the text is of no use). What
 * was put in last is taken out byte for byte.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#define JSON_EDIT_MAX (1u << 20) /* bytes of a document */

/* Parse; the document must be an object. *ret is a new reference. */
int json_edit_read(const struct buf *text, const char *name, json_t **ret, struct err *err);

/*
 * Put `key` with the value `value` into the object that is the member `object` of the document; the
 * object is made where there is none. -EEXIST if the key is there. `text` is replaced.
 */
int json_edit_put(struct buf *text, const char *name, const char *object, const char *key,
		  const json_t *value, struct err *err);

/* Take `key` out of the member `object`, or (object NULL) out of the document. -ENOENT. */
int json_edit_cut(struct buf *text, const char *name, const char *object, const char *key,
		  struct err *err);
