/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/writer.h - JSON text, indented or compact, straight into a buffer.
 *
 * Used instead of jansson's json_dumps() because that (2.14) ignores a failed allocation while it
 * writes a key, and hands back a document without it. Here errors are those of the buffer and
 * stick: a run of calls is judged once with buf_error(). Strings are escaped as JSON demands; bytes
 * that are not UTF-8 (a path may hold any) become U+FFFD, as Go's encoder does it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "oci/spec.h"

struct oci_writer {
	struct buf *out;
	unsigned int indent; /* blanks per level */
	unsigned int depth;
	bool filled;  /* the open container has a member */
	bool compact; /* no blanks and lines */
};

/* key is NULL for the root and for items of arrays; bracket is '{' or '['. */
void oci_write_begin(struct oci_writer *w, const char *key, char bracket);
void oci_write_end(struct oci_writer *w, char bracket);
void oci_write_string(struct oci_writer *w, const char *key, const char *value);
void oci_write_int(struct oci_writer *w, const char *key, int64_t value);
void oci_write_uint(struct oci_writer *w, const char *key, uint64_t value);
void oci_write_bool(struct oci_writer *w, const char *key, bool value);

/* An array of strings that ends with NULL; nothing at all when the list is NULL. */
void oci_write_words(struct oci_writer *w, const char *key, const char *const *list);

/* An object of strings, sorted by key as Go does it. -ENOMEM also sticks in the buffer. */
void oci_write_pairs(struct oci_writer *w, const char *key, const struct oci_kvs *pairs);
