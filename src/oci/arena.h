/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/arena.h - one owner for everything a parsed document consists of.
 *
 * Memory is handed out from a few large chunks and freed all at once. An arena belongs to one
 * thread at a time.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

struct oci_arena;

/* NULL: out of memory. */
struct oci_arena *oci_arena_new(void);

/* Frees every allocation. Accepts NULL. */
void oci_arena_free(struct oci_arena *arena);
DEFINE_AUTO(struct oci_arena *, oci_arena_free);

/* Zeroed memory for `count` objects of `size` bytes, aligned for any type; NULL: out of memory. */
void *oci_arena_alloc(struct oci_arena *arena, size_t count, size_t size);

/* Room for bytes, neither zeroed nor aligned; NULL: out of memory. */
char *oci_arena_bytes(struct oci_arena *arena, size_t len);

/* printf(3) into the arena; NULL: out of memory. */
const char *oci_arena_printf(struct oci_arena *arena, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
