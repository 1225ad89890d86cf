/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The default document needs about 6 KiB: one chunk, one malloc. */
#define CHUNK_BYTES 12288u
#define ALIGNMENT   _Alignof(max_align_t)

struct chunk {
	struct chunk *next;
	size_t used, size; /* bytes of data[] */
	_Alignas(max_align_t) unsigned char data[];
};

struct oci_arena {
	struct chunk *chunks; /* the first one is filled, the others are full or large */
	json_t *tree;
};

struct oci_arena *oci_arena_new(void)
{
	return calloc(1, sizeof(struct oci_arena));
}

void oci_arena_free(struct oci_arena *arena)
{
	struct chunk *next;

	if (!arena)
		return;
	for (struct chunk *c = arena->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	json_decref(arena->tree);
	free(arena);
}

static struct chunk *chunk_add(struct oci_arena *arena, size_t need)
{
	const size_t size = need > CHUNK_BYTES ? need : CHUNK_BYTES;
	struct chunk *c = malloc(sizeof(*c) + size);

	if (!c)
		return NULL;
	c->used = 0;
	c->size = size;
	/* A large object gets its own chunk behind the one that is being filled. */
	if (need > CHUNK_BYTES && arena->chunks) {
		c->next = arena->chunks->next;
		arena->chunks->next = c;
	} else {
		c->next = arena->chunks;
		arena->chunks = c;
	}
	return c;
}

void *oci_arena_alloc(struct oci_arena *arena, size_t count, size_t size)
{
	struct chunk *c = arena->chunks;
	size_t need;
	void *at;

	if (__builtin_mul_overflow(count, size, &need) || need > SIZE_MAX / 2)
		return NULL;
	need = need ? (need + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
	if (!c || c->size - c->used < need)
		c = chunk_add(arena, need);
	if (!c)
		return NULL;
	at = c->data + c->used;
	c->used += need;
	return memset(at, 0, need);
}

const char *oci_arena_printf(struct oci_arena *arena, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	text = n < 0 ? NULL : oci_arena_alloc(arena, (size_t)n + 1, 1);
	if (!text)
		return NULL;
	va_start(ap, fmt);
	(void)vsnprintf(text, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return text;
}

void oci_arena_keep_tree(struct oci_arena *arena, json_t *tree)
{
	assert(!arena->tree);
	arena->tree = tree;
}
