/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/encode.h - a specification as JSON again, by the tables that read it (oci/decode.h).
 *
 * What is written reads back as an equal struct. What is absent in the struct is absent in the
 * text, and so is what cannot be told from absence: false, 0, an object without members. Keys that
 * the reader did not know are not in the struct and hence not in the text.
 *
 * A struct may have been edited since it was read; what the tables cannot write (a required string
 * that is NULL, a value without a word, a string that is not UTF-8, which JSON cannot hold) is
 * refused. Rules between fields are the reader's, and not judged here.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "oci/decode.h"
#include "oci/spec.h"
#include "oci/writer.h"

/* Append config.json as compact text. -EINVAL names the key; -ENOMEM, -E2BIG of the buffer. */
int oci_spec_write(const struct oci_spec *spec, struct buf *out, struct err *err);

/* ---- for the write functions of OCI_CUSTOM -------------------------------------------------- */

struct oci_encoder {
	struct oci_writer json; /* its errors are looked at when all is written */
	struct err *err;
};

/* key is NULL for items of arrays. Writes the object, also when it has no members. */
int oci_encode_object(struct oci_encoder *e, const char *key, const struct oci_object *object,
		      const void *from);

/* -EINVAL: not UTF-8. */
int oci_encode_string(struct oci_encoder *e, const char *key, const char *value);

/* The word for a value. -EINVAL: `words` has none. */
int oci_encode_word(struct oci_encoder *e, const char *key, const struct oci_word *words,
		    uint32_t value);

/* Refuse with "config.json: KEY: " and the sentence. Returns -EINVAL. */
int oci_encode_refuse(struct oci_encoder *e, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
