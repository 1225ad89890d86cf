/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/doc.h - a JSON document (RFC 8259) as a tree of values in an arena.
 *
 * The room has a reader of its own because the library that the other rooms use falls short here:
 * jansson 2.14 refuses integers above INT64_MAX, of which the specification is full
 * (18446744073709551615 is "unlimited" for an rlimit); it does not tell on which line a value
 * stands, which every refusal must; and when an allocation fails while it collects a string, it
 * drops bytes of that string and goes on. It is also five times slower.
 * tests/unit/oci/test_reader.c holds the two against each other: apart from large numbers they
 * accept the same documents.
 *
 * Strict: UTF-8 without NUL, no duplicate keys, no lone surrogates, nothing after the value.
 * Limits: OCI_CONFIG_MAX bytes, OCI_DEPTH_MAX nesting, OCI_VALUES_MAX values.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/arena.h"

#define OCI_DEPTH_MAX  512u
#define OCI_VALUES_MAX (1u << 20)

enum oci_type {
	OCI_NULL,
	OCI_BOOLEAN,
	OCI_INTEGER,
	OCI_REAL, /* a number with a fraction or an exponent; its value is not kept */
	OCI_TEXT,
	OCI_ARRAY,
	OCI_MEMBERS, /* an object */
};

struct oci_value {
	enum oci_type type;
	uint32_t at;		/* byte of the document where it begins */
	const char *key;	/* within an object, else NULL */
	struct oci_value *next; /* sibling */
	union {
		bool boolean;
		struct {
			uint64_t magnitude; /* UINT64_MAX when too_big */
			bool negative, too_big;
		} integer;
		struct {
			const char *bytes; /* NUL-terminated, no NUL within */
			size_t len;
		} text;
		struct {
			struct oci_value *first;
			size_t len;
		} list; /* of arrays and objects, in the order of the document */
	};
};

struct oci_doc {
	const char *name; /* for messages; borrowed */
	const char *text; /* borrowed, `len` bytes; needed until the last refusal */
	size_t len;
	const struct oci_value *root; /* set by oci_doc_parse(); in the arena */
};

/* Where a value stands: a chain of steps from the value up to the root (NULL), on callers' stacks.
 */
struct oci_path {
	const struct oci_path *up;
	const char *key; /* NULL: `index` counts in an array */
	size_t index;
};

/* Read the whole text. -EINVAL names file, line and column; -E2BIG; -ENOMEM. */
int oci_doc_parse(struct oci_doc *doc, struct oci_arena *arena, struct err *err);

/* The line (from 1) of the value at `at`, or of its nearest parent that is there. */
size_t oci_doc_line(const struct oci_doc *doc, const struct oci_path *at);

/* The line (from 1) of a byte. */
size_t oci_line_at(const struct oci_doc *doc, size_t at);

/* Set "NAME:LINE: PATH: " and the sentence. Returns `code`. */
int oci_doc_refuse(const struct oci_doc *doc, const struct oci_path *at, struct err *err, int code,
		   const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The length of the well-formed UTF-8 sequence at `s` (len 1 or more), or 0. */
size_t oci_utf8_len(const unsigned char *s, size_t len);

/* "object", "array", "string", "integer", "real number", "boolean", "null" */
const char *oci_type_name(enum oci_type type);
