/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install/toml.h - the statements of a TOML file, one after the other: headers and keys, with the
 * text of a value left as it stands.
 *
 * No parser of TOML: it finds where a statement begins and ends and what it is called, which is all
 * that adding tables at the end of a file needs. What it does not know for certain (escapes in a
 * key, strings over several lines, text that is no statement) is -EBADMSG with a sentence that
 * names file and line, never a guess.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

#define TOML_FILE_MAX  (1u << 20) /* bytes */
#define TOML_PARTS_MAX 16	  /* of a key: a.b.c has three */
#define TOML_PART_MAX  96	  /* bytes with the NUL */
#define TOML_DEPTH_MAX 32	  /* of arrays and inline tables in a value */

enum toml_kind {
	TOML_TABLE, /* [a.b] */
	TOML_ARRAY, /* [[a.b]] */
	TOML_VALUE, /* a.b = ... */
};

struct toml_key {
	size_t len;
	char part[TOML_PARTS_MAX][TOML_PART_MAX];
};

struct toml_statement {
	enum toml_kind kind;
	unsigned int line;
	struct toml_key key; /* of a value as written, without the table it is in */
	const char *value;   /* borrowed from the text */
	size_t value_len;
};

struct toml_cursor {
	const char *text, *end;
	const char *name; /* in messages */
	unsigned int line;
};

void toml_begin(struct toml_cursor *cursor, const char *text, size_t len, const char *name);

/* 1: *ret is the next statement, 0: the end, -EBADMSG. */
int toml_next(struct toml_cursor *cursor, struct toml_statement *ret, struct err *err);

/* A value that is a whole number of 0 to 1000, or an array of strings; -EBADMSG. *ret is the
 * caller's (strv_free()). */
int toml_number(const struct toml_cursor *cursor, const struct toml_statement *s, unsigned int *ret,
		struct err *err);
int toml_strings(const struct toml_cursor *cursor, const struct toml_statement *s, char ***ret,
		 struct err *err);
