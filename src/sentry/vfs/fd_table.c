/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/fd_table.c - descriptor tables: an array that grows, and a bitmap of used numbers.
 *
 * A reserved number is used in the bitmap and has no file yet: to every look-up it is not open.
 */
#include "sentry/vfs/fd_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/vfs/internal.h"

#define FD_FIRST_SIZE 64u

struct fd_table {
	unsigned int refs;
	unsigned int size; /* numbers below it have a place; a multiple of 64 */
	unsigned int next; /* every number below is used */
	struct file **files;
	uint64_t *used, *cloexec;
};

static bool bit_get(const uint64_t *bits, unsigned int n)
{
	return bits[n / 64] >> (n % 64) & 1;
}

static void bit_set(uint64_t *bits, unsigned int n, bool on)
{
	const uint64_t bit = 1ull << (n % 64);

	if (on)
		bits[n / 64] |= bit;
	else
		bits[n / 64] &= ~bit;
}

static int grow_array(void *array, size_t old_bytes, size_t new_bytes)
{
	char **p = array;
	char *grown = realloc(*p, new_bytes);

	if (!grown)
		return -ENOMEM;
	memset(grown + old_bytes, 0, new_bytes - old_bytes);
	*p = grown;
	return 0;
}

static int table_grow(struct fd_table *t, unsigned int fd)
{
	const size_t old = t->size;
	size_t size = old ? old : FD_FIRST_SIZE;

	while (size <= fd)
		size *= 2;
	if (size > FD_TABLE_MAX)
		size = FD_TABLE_MAX;
	if (fd >= size)
		return -EMFILE;
	if (grow_array(&t->files, old * sizeof(*t->files), size * sizeof(*t->files)) < 0 ||
	    grow_array(&t->used, old / 8, size / 8) < 0 ||
	    grow_array(&t->cloexec, old / 8, size / 8) < 0)
		return -ENOMEM;
	t->size = (unsigned int)size;
	return 0;
}

int fd_table_new(struct fd_table **ret)
{
	struct fd_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->refs = 1;
	if (table_grow(t, 0) < 0) {
		fd_table_unref(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

int fd_table_copy(struct fd_table *table, struct fd_table **ret)
{
	struct fd_table *t;
	int r = fd_table_new(&t);

	if (r < 0)
		return r;
	if (table->size > t->size && table_grow(t, table->size - 1) < 0) {
		fd_table_unref(t);
		return -ENOMEM;
	}
	for (unsigned int fd = 0; fd < table->size; fd++) {
		if (!table->files[fd])
			continue;
		t->files[fd] = file_ref(table->files[fd]);
		bit_set(t->used, fd, true);
		bit_set(t->cloexec, fd, bit_get(table->cloexec, fd));
	}
	*ret = t;
	return 0;
}

struct fd_table *fd_table_ref(struct fd_table *table)
{
	table->refs++;
	return table;
}

void fd_table_unref(struct fd_table *table)
{
	if (!table || --table->refs > 0)
		return;
	for (unsigned int fd = 0; fd < table->size; fd++) {
		struct file *f = table->files[fd];

		if (!f)
			continue;
		table->files[fd] = NULL;
		(void)file_close_one(f, table);
		file_unref(f);
	}
	free(table->files);
	free(table->used);
	free(table->cloexec);
	free(table);
}

unsigned int fd_table_refs(const struct fd_table *table)
{
	return table->refs;
}

static struct file *peek(const struct fd_table *table, int fd)
{
	return fd < 0 || (unsigned int)fd >= table->size ? NULL : table->files[fd];
}

struct file *fd_get_any(struct fd_table *table, int fd)
{
	struct file *f = peek(table, fd);

	return f ? file_ref(f) : NULL;
}

struct file *fd_get(struct fd_table *table, int fd)
{
	struct file *f = peek(table, fd);

	return f && !(f->mode & FMODE_PATH) ? file_ref(f) : NULL;
}

/* The first unused number >= min; may be the size of the table. */
static unsigned int find_free(const struct fd_table *t, unsigned int min)
{
	unsigned int fd = min;

	while (fd < t->size) {
		const uint64_t unused = ~t->used[fd / 64] >> (fd % 64);

		if (unused)
			return fd + (unsigned int)__builtin_ctzll(unused);
		fd = (fd / 64 + 1) * 64;
	}
	return fd;
}

int fd_reserve(struct fd_table *table, int min, uint64_t limit)
{
	unsigned int fd;
	int r;

	if (min < 0)
		return -EINVAL;
	if (limit > FD_TABLE_MAX)
		limit = FD_TABLE_MAX;
	fd = (unsigned int)min > table->next ? (unsigned int)min : table->next;
	fd = find_free(table, fd);
	if (fd >= limit)
		return -EMFILE;
	if (fd >= table->size) {
		r = table_grow(table, fd);
		if (r < 0)
			return r;
	}
	bit_set(table->used, fd, true);
	bit_set(table->cloexec, fd, false);
	if ((unsigned int)min <= table->next)
		table->next = fd + 1;
	return (int)fd;
}

void fd_publish(struct fd_table *table, int fd, struct file *f, bool cloexec)
{
	assert(bit_get(table->used, (unsigned int)fd) && !table->files[fd]);
	table->files[fd] = f;
	bit_set(table->cloexec, (unsigned int)fd, cloexec);
}

void fd_release(struct fd_table *table, int fd)
{
	assert(bit_get(table->used, (unsigned int)fd) && !table->files[fd]);
	bit_set(table->used, (unsigned int)fd, false);
	if ((unsigned int)fd < table->next)
		table->next = (unsigned int)fd;
}

int fd_install(struct fd_table *table, struct file *f, bool cloexec, uint64_t limit)
{
	const int fd = fd_reserve(table, 0, limit);

	if (fd < 0) {
		file_unref(f);
		return fd;
	}
	fd_publish(table, fd, f, cloexec);
	return fd;
}

int fd_replace(struct fd_table *table, int fd, struct file *f, bool cloexec, uint64_t limit)
{
	struct file *old;
	int r = 0;

	if (fd < 0 || (uint64_t)fd >= limit)
		r = -EBADF;
	else if ((unsigned int)fd >= table->size)
		r = table_grow(table, (unsigned int)fd) < 0 ? -ENOMEM : 0;
	if (r == 0 && bit_get(table->used, (unsigned int)fd) && !table->files[fd])
		r = -EBUSY;
	if (r < 0) {
		file_unref(f);
		return r;
	}
	old = table->files[fd];
	bit_set(table->used, (unsigned int)fd, true);
	bit_set(table->cloexec, (unsigned int)fd, cloexec);
	table->files[fd] = f;
	if (old) {
		(void)file_close_one(old, table);
		file_unref(old);
	}
	return 0;
}

int fd_close(struct fd_table *table, int fd, const void *owner)
{
	struct file *f = peek(table, fd);
	int r;

	if (!f)
		return -EBADF;
	table->files[fd] = NULL;
	fd_release(table, fd);
	r = file_close_one(f, owner ? owner : table);
	file_unref(f);
	return r;
}

int fd_get_cloexec(struct fd_table *table, int fd)
{
	return peek(table, fd) ? bit_get(table->cloexec, (unsigned int)fd) : -EBADF;
}

int fd_set_cloexec(struct fd_table *table, int fd, bool cloexec)
{
	if (!peek(table, fd))
		return -EBADF;
	bit_set(table->cloexec, (unsigned int)fd, cloexec);
	return 0;
}

void fd_table_exec(struct fd_table *table, const void *owner)
{
	for (unsigned int word = 0; word < table->size / 64; word++) {
		uint64_t bits;

		while ((bits = table->cloexec[word] & table->used[word]) != 0) {
			const unsigned int fd = word * 64 + (unsigned int)__builtin_ctzll(bits);

			bit_set(table->cloexec, fd, false);
			(void)fd_close(table, (int)fd, owner);
		}
	}
}

int fd_table_next(struct fd_table *table, int from)
{
	for (unsigned int fd = from < 0 ? 0 : (unsigned int)from; fd < table->size; fd++)
		if (table->files[fd])
			return (int)fd;
	return -1;
}
