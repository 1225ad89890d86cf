/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/str.h - strings: comparison, strict numbers, NULL-terminated string lists (strv).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whether a component of the path is "..". */
bool str_path_leaves(const char *path);

/* The rest of `s` after `prefix`, or NULL. */
static inline const char *str_after(const char *s, const char *prefix)
{
	const size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

bool str_ends(const char *s, const char *suffix);

/* The length of s[0..len) without a UTF-8 sequence that was cut at its end. */
size_t str_whole_utf8(const char *s, size_t len);

/*
 * Whole-string decimal numbers: no blanks, no sign but '-' for i64, no empty text.
 * 0, -EINVAL (not a number) or -ERANGE (outside [min, max]); *ret is set on success only.
 */
int str_to_u64(const char *s, uint64_t max, uint64_t *ret);
int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *ret);

/* A size with an optional unit k, m, g, t (powers of 1024, either case, optional "b" or "iB"). */
int str_to_size(const char *s, uint64_t *ret_bytes);

/* asprintf(3) with an errno: 0 or -ENOMEM; *ret is set on success only. */
int str_printf(char **ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A list of owned strings, NULL-terminated; the empty list may be NULL. */
size_t strv_len(char *const *list);

/* Append a copy of `s`, or (strv_push) the string itself, which is freed on failure. 0 or -ENOMEM.
 */
int strv_add(char ***list, const char *s);
int strv_push(char ***list, char *s);

void strv_free(char **list);
DEFINE_AUTO(char **, strv_free);
#define AUTO_STRV AUTO(strv_free_p)
