/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/decode.h - JSON objects to C structs by tables; oci/encode.h goes the other way.
 *
 * A struct oci_object is the schema of one JSON object: its keys, the type of each and where in a C
 * struct its value goes. Reading follows the specification and Go's encoding/json, which every
 * engine writes for: an unknown key is ignored, null means absent, a number must be an integer in
 * the range of its Go type. Everything else is refused with file, line, JSON path and what was
 * expected.
 *
 * Recursion is as deep as the tables nest, not as deep as the document does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/arena.h"
#include "oci/doc.h"

#define OCI_STRING_MAX (1u << 20) /* bytes of one string; execve(2) takes 128 KiB */
#define OCI_LIST_MAX   65536u	  /* items of one list or map */

struct oci_decoder {
	const struct oci_doc *doc;
	struct oci_arena *arena;
	struct err *err;
	const char **warnings; /* sentences, in the arena */
	size_t warnings_len, warnings_cap;
};

enum oci_kind {
	OCI_BOOL,	/* bool */
	OCI_OPT_BOOL,	/* struct oci_opt_bool */
	OCI_STRING,	/* const char *; empty: NULL, or refused when required */
	OCI_STRINGS,	/* struct oci_strs */
	OCI_STRINGMAP,	/* struct oci_kvs */
	OCI_INT32,	/* int32_t or int, in [min, max] */
	OCI_UINT32,	/* uint32_t, in [min, max] */
	OCI_INT64,	/* int64_t */
	OCI_UINT64,	/* uint64_t */
	OCI_OPT_INT64,	/* struct oci_opt_i64 */
	OCI_OPT_UINT64, /* struct oci_opt_u64 */
	OCI_WORD,	/* int or uint32_t: the value of a word of `words` */
	OCI_FLAGS,	/* uint64_t: the values of a list of words, or-ed */
	OCI_OBJECT,	/* the struct that `object` describes, in place */
	OCI_LIST,	/* T *items at offset, size_t at len_offset; T described by `object` */
	OCI_CUSTOM,	/* `read` and `write` do it */
};

struct oci_word {
	const char *word; /* NULL ends a table */
	uint32_t value;
};

struct oci_object;
struct oci_encoder;

struct oci_field {
	const char *key;
	enum oci_kind kind;
	bool required;
	size_t offset, len_offset; /* in the parent's struct */
	int64_t min;
	uint64_t max;
	const struct oci_word *words;
	const struct oci_object *object; /* of OCI_CUSTOM: of its items, for who walks the tables */
	int (*read)(struct oci_decoder *d, const struct oci_path *at, const struct oci_value *value,
		    void *to);
	/* The reverse (oci/encode.h): writes nothing when there is nothing. */
	int (*write)(struct oci_encoder *e, const char *key, const void *from);
};

#define OCI_FIELDS_MAX 64 /* per object: one bit each for `required` */

struct oci_object {
	const struct oci_field *fields;
	size_t fields_len;
	size_t size;	/* of the C struct, for lists */
	bool sets_flag; /* the struct begins with `bool set`, which becomes true */
	/* Judges the object as a whole once its fields are read; may be NULL. */
	int (*check)(struct oci_decoder *d, const struct oci_path *at, void *object);
};

/* Read `value`, which must be an object, into `to`. */
int oci_decode_object(struct oci_decoder *d, const struct oci_path *at,
		      const struct oci_value *value, const struct oci_object *object, void *to);

/* Read a JSON array of objects: *items gets len structs in the arena. */
int oci_decode_list(struct oci_decoder *d, const struct oci_path *at, const struct oci_value *value,
		    const struct oci_object *object, void *items, size_t *len);

/* The array or object must not be longer than OCI_LIST_MAX. */
int oci_decode_size(struct oci_decoder *d, const struct oci_path *at, size_t len);

/* *ret is borrowed from the tree. -EINVAL if it is no string or too long. */
int oci_decode_string(struct oci_decoder *d, const struct oci_path *at,
		      const struct oci_value *value, const char **ret);

/* An integer in the range of f->kind, [f->min, f->max] if given, stored as f->kind says. */
int oci_decode_integer(struct oci_decoder *d, const struct oci_path *at,
		       const struct oci_value *value, const struct oci_field *f, void *to);

/* Refuse with "expected WANT, got TYPE". */
int oci_refuse_type(struct oci_decoder *d, const struct oci_path *at, const char *want,
		    const struct oci_value *value);

/* Refuse with a sentence. at may be NULL: the document as a whole. Returns -EINVAL. */
#define oci_refuse(d, at, ...) oci_doc_refuse((d)->doc, at, (d)->err, -EINVAL, __VA_ARGS__)

/* The same for a key of the object at `at`. */
#define oci_refuse_key(d, at, name, ...) \
	oci_refuse(d, (&(const struct oci_path){ .up = (at), .key = (name) }), __VA_ARGS__)

int oci_refuse_memory(struct oci_decoder *d);

/* Remember a sentence for the caller's log. 0 or -ENOMEM. */
int oci_warn(struct oci_decoder *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The value of a word; false if the table has none such. */
bool oci_word_find(const struct oci_word *words, const char *word, uint32_t *ret);

/* The word for a value, or NULL. */
const char *oci_word_name(const struct oci_word *words, uint32_t value);
