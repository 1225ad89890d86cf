/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/json.h - jansson with limits and errors that name the object.
 *
 * The one place that includes <jansson.h>; rooms that need JSON values include this header.
 * Documents are untrusted: size is limited by the caller, depth by jansson (2048), duplicate keys
 * are refused.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

/*
 * Before the first use in a program: jansson would read its hash seed from /dev/urandom; the kernel
 * already gave every process 16 random bytes (getauxval(3), AT_RANDOM).
 */
void json_setup(void);

/* json_dumps() that is whole or NULL, also for want of memory; flags of jansson. The caller frees
 * it. */
char *json_text(const json_t *value, size_t flags);

/* Parse `text`; `name` stands for it in messages ("NAME:LINE:COLUMN: ..."). *ret is a new
 * reference. */
int json_parse(const char *text, size_t len, const char *name, json_t **ret, struct err *err);

/* Read at most max_bytes from `path` below dirfd and parse. -ENOENT and others of open(2), -E2BIG.
 */
int json_read_file(int dirfd, const char *path, size_t max_bytes, json_t **ret, struct err *err);

/* Serialise with the flags of json_dumps() and replace the file atomically (fd_replace_file()). */
int json_replace_file(int dirfd, const char *path, const json_t *value, size_t flags,
		      struct err *err);

static inline void json_decref_auto(json_t **value)
{
	json_decref(*value);
}
#define AUTO_JSON AUTO(json_decref_auto)
