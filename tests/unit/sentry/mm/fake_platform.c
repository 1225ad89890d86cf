/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_platform.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/mem/memfile.h"
#include "sentry/vfs/file.h"

static struct fake_page *page_at(struct platform_space *s, uaddr_t addr)
{
	assert(addr >= ARENA_BASE && addr < ARENA_BASE + ARENA_PAGES * 4096ull);
	return &s->pages[(addr - ARENA_BASE) / 4096];
}

static int begin(struct platform_thread *t)
{
	const int r = t->fail_next;

	t->fail_next = 0;
	t->operations++;
	return r;
}

static int fake_map(struct platform_thread *t, const struct platform_map *map)
{
	const int r = begin(t);

	assert(map->addr % 4096 == 0 && map->len % 4096 == 0 && map->len);
	for (uint64_t at = 0; r >= 0 && at < map->len; at += 4096) {
		struct fake_page *p = page_at(t->space, map->addr + at);

		memset(p, 0, sizeof(*p));
		p->mapped = true;
		p->prot = map->prot;
		p->shared = map->shared;
	}
	return r;
}

static int fake_unmap(struct platform_thread *t, uaddr_t addr, uint64_t len)
{
	const int r = begin(t);

	assert(addr % 4096 == 0 && len % 4096 == 0 && len);
	for (uint64_t at = 0; r >= 0 && at < len; at += 4096)
		page_at(t->space, addr + at)->mapped = false;
	return r;
}

static int fake_protect(struct platform_thread *t, uaddr_t addr, uint64_t len, int prot)
{
	const int r = begin(t);

	for (uint64_t at = 0; r >= 0 && at < len; at += 4096) {
		struct fake_page *p = page_at(t->space, addr + at);

		assert(p->mapped);
		p->prot = prot;
	}
	return r;
}

static int fake_advise(struct platform_thread *t, uaddr_t addr, uint64_t len, int advice)
{
	const int r = begin(t);

	for (uint64_t at = 0; r >= 0 && at < len && advice == MADV_DONTNEED; at += 4096)
		memset(page_at(t->space, addr + at)->bytes, 0, 4096);
	return r;
}

static int fake_move(struct platform_thread *t, uaddr_t old_addr, uint64_t old_len,
		     uaddr_t new_addr, uint64_t new_len)
{
	const int r = begin(t);

	assert(old_len == new_len);
	if (t->fail_move)
		return -EFAULT;
	for (uint64_t at = 0; r >= 0 && at < old_len; at += 4096) {
		struct fake_page *p = page_at(t->space, old_addr + at);

		assert(p->mapped);
		*page_at(t->space, new_addr + at) = *p;
		p->mapped = false;
	}
	return r;
}

static ssize_t copy(struct platform_space *s, uaddr_t addr, void *dst, const void *src, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct fake_page *p = page_at(s, addr + done);
		const size_t in_page = (addr + done) % 4096;
		const size_t n = len - done < 4096 - in_page ? len - done : 4096 - in_page;

		if (!p->mapped || !(p->prot & (dst ? PROT_READ : PROT_WRITE)))
			break;
		if (dst)
			memcpy((uint8_t *)dst + done, p->bytes + in_page, n);
		else
			memcpy(p->bytes + in_page, (const uint8_t *)src + done, n);
		done += n;
	}
	return (ssize_t)done;
}

static ssize_t fake_read(struct platform_space *s, void *dst, uaddr_t src, size_t len)
{
	return copy(s, src, dst, NULL, len);
}

static ssize_t fake_write(struct platform_space *s, uaddr_t dst, const void *src, size_t len)
{
	return copy(s, dst, NULL, src, len);
}

static void fake_ref(struct platform_space *s)
{
	s->refs++;
}

static void fake_unref(struct platform_space *s)
{
	if (--s->refs == 0)
		free(s);
}

static struct platform_space *fake_space(struct platform_thread *t)
{
	return t->space;
}

static int fake_fork(struct platform_thread *t, struct platform_thread **ret)
{
	struct platform_thread *child = fake_thread_new();

	memcpy(child->space->pages, t->space->pages, sizeof(t->space->pages));
	*ret = child;
	return 0;
}

struct platform_thread *fake_thread_new(void)
{
	struct platform_thread *t = calloc(1, sizeof(*t));

	assert(t);
	t->space = calloc(1, sizeof(*t->space));
	assert(t->space);
	t->space->refs = 1;
	return t;
}

void fake_thread_free(struct platform_thread *t)
{
	fake_unref(t->space);
	free(t);
}

const struct platform_ops fake_platform = {
	.name = "fake",
	.thread_fork = fake_fork,
	.thread_free = fake_thread_free,
	.map = fake_map,
	.unmap = fake_unmap,
	.protect = fake_protect,
	.advise = fake_advise,
	.move = fake_move,
	.read = fake_read,
	.write = fake_write,
	.thread_space = fake_space,
	.space_ref = fake_ref,
	.space_unref = fake_unref,
};
