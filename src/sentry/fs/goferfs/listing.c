/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of one directory, as an array that only grows at its end: whoever reads it by position
 * meets every name once that was there all the time, whatever is made and removed meanwhile. A
 * removed name leaves a hole; holes are closed when nobody but the directory itself looks. A table
 * of hashes finds a name.
 */
#include "sentry/fs/goferfs/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define REMOVED	     (1u << 31) /* in an offset */
#define INDEX_LEAST  16u
#define COMPACT_FROM 64u /* entries */

_Static_assert(GOFERFS_LISTING_MAX < REMOVED, "an offset leaves room for the mark");

struct gofer_listing *gofer_listing_new(void)
{
	struct gofer_listing *l = calloc(1, sizeof(*l));

	if (l)
		l->refs = 1;
	return l;
}

void gofer_listing_unref(struct gofer_listing *l)
{
	if (!l || --l->refs > 0)
		return;
	free(l->index);
	free(l->offsets);
	free(l->bytes);
	free(l);
}

bool gofer_listing_entry(const struct gofer_listing *l, uint32_t i, struct gofer_dirent_view *ret)
{
	const struct gofer_answer a = { .tail = l->bytes, .tail_len = l->bytes_len };
	size_t at = l->offsets[i] & ~REMOVED;
	const int r = gofer_answer_dirent(&a, &at, ret);

	assert(r == 1); /* checked when it came */
	(void)r;
	return !(l->offsets[i] & REMOVED);
}

/* Room for so many more bytes and entries. */
static int reserve(struct gofer_listing *l, size_t bytes, size_t entries)
{
	size_t want = l->bytes_len + bytes, cap = l->bytes_cap ? l->bytes_cap : 256;
	void *grown;

	if (want > GOFERFS_LISTING_MAX)
		return -ENOMEM;
	while (cap < want)
		cap *= 2;
	if (cap > l->bytes_cap) {
		grown = realloc(l->bytes, cap);
		if (!grown)
			return -ENOMEM;
		l->bytes = grown;
		l->bytes_cap = (uint32_t)cap;
	}
	want = l->count + entries;
	cap = l->offsets_cap ? l->offsets_cap : 8;
	while (cap < want)
		cap *= 2;
	if (cap > l->offsets_cap) {
		grown = realloc(l->offsets, cap * sizeof(*l->offsets));
		if (!grown)
			return -ENOMEM;
		l->offsets = grown;
		l->offsets_cap = (uint32_t)cap;
	}
	return 0;
}

static uint32_t hash_of(const char *name, size_t len)
{
	const uint64_t h = hash64(HASH64_BEGIN, name, len);

	return (uint32_t)(h ^ h >> 32);
}

static void index_put(struct gofer_listing *l, uint32_t entry, const char *name, size_t len)
{
	uint32_t at = hash_of(name, len) & (l->index_len - 1);

	while (l->index[at])
		at = (at + 1) & (l->index_len - 1);
	l->index[at] = entry + 1;
}

/* Without memory there is no index, and names are compared one by one. */
static void index_build(struct gofer_listing *l)
{
	struct gofer_dirent_view e;
	uint32_t len = INDEX_LEAST;

	while (len < l->count * 2 + 2)
		len *= 2;
	free(l->index);
	l->index_len = 0;
	l->index = calloc(len, sizeof(*l->index));
	if (!l->index)
		return;
	l->index_len = len;
	for (uint32_t i = 0; i < l->count; i++) {
		if (gofer_listing_entry(l, i, &e))
			index_put(l, i, e.name, e.name_len);
	}
}

static bool is_named(const struct gofer_listing *l, uint32_t i, const struct vfs_name *name)
{
	struct gofer_dirent_view e;

	return gofer_listing_entry(l, i, &e) && e.name_len == name->len &&
	       memcmp(e.name, name->bytes, name->len) == 0;
}

int64_t gofer_listing_find(struct gofer_listing *l, const struct vfs_name *name)
{
	uint32_t at;

	if (!l->index)
		index_build(l);
	if (!l->index) {
		for (uint32_t i = 0; i < l->count; i++) {
			if (is_named(l, i, name))
				return i;
		}
		return -1;
	}
	at = hash_of(name->bytes, name->len) & (l->index_len - 1);
	for (; l->index[at]; at = (at + 1) & (l->index_len - 1)) {
		if (is_named(l, l->index[at] - 1, name))
			return l->index[at] - 1;
	}
	return -1;
}

int gofer_listing_append(struct gofer_listing *l, const struct gofer_answer *a)
{
	struct gofer_dirent_view view;
	size_t at = 0;
	const int r = reserve(l, a->tail_len, a->readdir.count);

	if (r < 0 || a->readdir.count == 0)
		return r;
	memcpy(l->bytes + l->bytes_len, a->tail, a->tail_len);
	for (uint32_t i = 0; i < a->readdir.count; i++) {
		l->offsets[l->count + i] = l->bytes_len + (uint32_t)at;
		(void)gofer_answer_dirent(a, &at, &view);
	}
	l->bytes_len += (uint32_t)a->tail_len;
	l->count += a->readdir.count;
	l->live += a->readdir.count;
	return 0;
}

int gofer_listing_add(struct gofer_listing *l, const struct vfs_name *name, uint64_t ino,
		      unsigned int type)
{
	const struct gofer_dirent d = { .ino = ino, .type = (uint8_t)type, .name_len = name->len };
	const size_t len = sizeof(d) + name->len + 1u;
	const int r = reserve(l, len, 1);
	char *at;

	if (r < 0)
		return r;
	at = l->bytes + l->bytes_len;
	memcpy(at, &d, sizeof(d));
	memcpy(at + sizeof(d), name->bytes, name->len);
	at[len - 1] = '\0';
	l->offsets[l->count++] = l->bytes_len;
	l->bytes_len += (uint32_t)len;
	l->live++;
	if (!l->index)
		return 0;
	if (l->count * 2 > l->index_len)
		index_build(l);
	else
		index_put(l, l->count - 1, name->bytes, name->len);
	return 0;
}

/* Positions change: nobody may be reading. */
static void compact(struct gofer_listing *l)
{
	struct gofer_listing fresh = { .refs = l->refs };

	for (uint32_t i = 0; i < l->count; i++) {
		struct gofer_dirent_view e;
		struct vfs_name name;

		if (!gofer_listing_entry(l, i, &e))
			continue;
		name = (struct vfs_name){ .bytes = e.name, .len = e.name_len };
		if (gofer_listing_add(&fresh, &name, e.ino, e.type) < 0) {
			free(fresh.bytes);
			free(fresh.offsets);
			return; /* it stays as it is */
		}
	}
	free(l->index);
	free(l->offsets);
	free(l->bytes);
	*l = fresh;
}

void gofer_listing_remove(struct gofer_listing *l, uint32_t i)
{
	l->offsets[i] |= REMOVED;
	l->live--;
	if (l->refs == 1 && l->count >= COMPACT_FROM && l->live < l->count / 2)
		compact(l);
}
