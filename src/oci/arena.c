/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The tree and structs of the default document fit one chunk. */
#define CHUNK_BYTES 32768u
#define ALIGNMENT   _Alignof(max_align_t)

struct chunk {
	struct chunk *next;
	size_t used, size; /* bytes of data[] */
	_Alignas(max_align_t) unsigned char data[];
};

struct oci_arena {
	struct chunk *chunks; /* the first one is filled, the others are full or large */
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

/* `align` is a power of two. */
static void *take(struct oci_arena *arena, size_t need, size_t align)
{
	struct chunk *c = arena->chunks;
	size_t start = c ? (c->used + align - 1) & ~(align - 1) : 0;

	if (need > SIZE_MAX / 2)
		return NULL;
	if (!c || start > c->size || c->size - start < need) {
		c = chunk_add(arena, need);
		start = 0;
	}
	if (!c)
		return NULL;
	c->used = start + need;
	return c->data + start;
}

void *oci_arena_alloc(struct oci_arena *arena, size_t count, size_t size)
{
	size_t need;
	void *at;

	if (__builtin_mul_overflow(count, size, &need))
		return NULL;
	at = take(arena, need, ALIGNMENT);
	return at ? memset(at, 0, need) : NULL;
}

char *oci_arena_bytes(struct oci_arena *arena, size_t len)
{
	return take(arena, len, 1);
}

const char *oci_arena_printf(struct oci_arena *arena, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	text = n < 0 ? NULL : oci_arena_bytes(arena, (size_t)n + 1);
	if (!text)
		return NULL;
	va_start(ap, fmt);
	(void)vsnprintf(text, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return text;
}
