/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/doc.h - a JSON document with what jansson alone does not give: integers of all 64 bits and
 * the line on which a value stands.
 *
 * Integers. jansson keeps a signed 64-bit number and refuses a document that holds a larger one,
 * yet the specification is full of uint64 (18446744073709551615 is "unlimited" for an rlimit). When
 * a document fails to parse, the numbers that jansson cannot hold are lifted: the text is copied
 * with each of them written as a string that begins with NUL, and parsed again. A document cannot
 * contain such a string itself, because a NUL in a string is refused; so a lifted number is never
 * mistaken for a string, nor a string for a number. Only oci_json_*() below know of this form.
 *
 * Lines. Only a refusal needs one, so nothing is recorded while parsing: oci_doc_line() follows the
 * path of the value through the text a second time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

/* Where a value stands: a chain of steps from the value up to the root (NULL), on callers' stacks.
 */
struct oci_path {
	const struct oci_path *up;
	const char *key; /* NULL: `index` counts in an array */
	size_t index;
};

struct oci_doc {
	const char *name; /* for messages; borrowed */
	const char *text; /* borrowed, `len` bytes */
	size_t len;
};

/* Parse. *ret is a new reference. -EINVAL names file, line and column; -ENOMEM. */
int oci_doc_parse(const struct oci_doc *doc, json_t **ret, struct err *err);

/* The line (from 1) of the value at `at`, or of its nearest parent that is there. */
size_t oci_doc_line(const struct oci_doc *doc, const struct oci_path *at);

/* Set "NAME:LINE: PATH: " and the sentence. Returns `code`. */
int oci_doc_refuse(const struct oci_doc *doc, const struct oci_path *at, struct err *err, int code,
		   const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* "object", "array", "string", "integer", "real number", "boolean", "null" */
const char *oci_json_type(const json_t *value);

/* A string that is not a lifted number, or NULL. Borrowed from the tree. */
const char *oci_json_string(const json_t *value);

/*
 * An integer of 64 bits, signed or not: *ret_magnitude with the sign apart. False if `value` is no
 * integer. A number that does not fit 64 bits reads as UINT64_MAX with *ret_too_big set.
 */
bool oci_json_integer(const json_t *value, bool *ret_negative, uint64_t *ret_magnitude,
		      bool *ret_too_big);
