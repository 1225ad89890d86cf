/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/resident.c - what of an address space is in memory: the platform is asked, area by
 * area.
 *
 * Where it cannot be, what it said last counts; where it never said anything, what is mapped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/mm/vma.h"

/* Pages that are looked at for one answer. Behind them the peak is the only bound. */
#define LOOK_MAX (8ull << 18)

static int resident_pages(struct mm *mm, uaddr_t addr, size_t pages, uint8_t *ret)
{
	int r;

	if (!platform->space_resident)
		return -EOPNOTSUPP;
	r = platform->space_resident(mm->space, addr, pages, ret);
	for (size_t i = 0; r == 0 && i < pages; i++)
		ret[i] &= 1;
	return r;
}

void mm_mincore(struct mm *mm, uaddr_t addr, size_t pages, uint8_t *ret)
{
	const uaddr_t end = addr + pages * MM_PAGE;

	kmutex_lock(&mm->lock);
	if (resident_pages(mm, addr, pages, ret) < 0)
		memset(ret, 1, pages);
	for (struct vma *v = mm_find_from(mm, addr); v && v->start < end; v = vma_next(v)) {
		const uaddr_t from = v->start > addr ? v->start : addr;
		const uaddr_t to = v->end < end ? v->end : end;

		if (v->flags & MAP_LOCKED)
			memset(ret + (from - addr) / MM_PAGE, 1, (to - from) / MM_PAGE);
	}
	kmutex_unlock(&mm->lock);
}

static uint64_t usable(const struct vma *vma)
{
	return vma->prot == PROT_NONE || vma->flags & MAP_NORESERVE ? 0 : vma_len(vma);
}

/* A look at areas in order of their addresses: answers are of more than one where they touch. */
struct look {
	struct mm *mm;
	uint64_t left; /* pages that may still be looked at */
	uaddr_t start, end;
	uint8_t pages[PLATFORM_RESIDENT_MAX]; /* of [start, end) */
};

/* Ask about addr in the area and what touches it from there on. 0 or -errno. */
static int look_at(struct look *l, struct vma *vma, uaddr_t addr)
{
	const uaddr_t most = addr + PLATFORM_RESIDENT_MAX * MM_PAGE;
	const struct vma *next = vma_next(vma);
	uaddr_t end = vma->end;
	int r;

	for (; next && next->start == end && end < most; next = vma_next((struct vma *)next))
		end = next->end;
	if (end > most)
		end = most;
	if ((end - addr) / MM_PAGE > l->left)
		end = addr + l->left * MM_PAGE;
	r = resident_pages(l->mm, addr, (end - addr) / MM_PAGE, l->pages);
	l->start = addr;
	l->end = r < 0 ? addr : end;
	l->left -= (end - addr) / MM_PAGE;
	return r;
}

/* Bytes of an area, or -errno. */
static int64_t look(struct look *l, struct vma *vma)
{
	uint64_t found = 0;

	for (uaddr_t at = vma->start; at < vma->end; at += MM_PAGE) {
		int r = 0;

		if (at < l->start || at >= l->end) {
			if (l->left == 0)
				return (int64_t)(found * MM_PAGE +
						 (usable(vma) ? vma->end - at : 0));
			r = look_at(l, vma, at);
		}
		if (r < 0)
			return r;
		found += l->pages[(at - l->start) / MM_PAGE];
	}
	return (int64_t)(found * MM_PAGE);
}

static struct look *look_new(struct mm *mm)
{
	struct look *l = calloc(1, sizeof(*l));

	if (l) {
		l->mm = mm;
		l->left = LOOK_MAX;
	}
	return l;
}

/* The kind of memory that an area's pages are; a written private page of a file is anonymous. */
static uint64_t *kind_of(const struct vma *vma, struct mm_resident *ret)
{
	if (vma->memfile)
		return &ret->shmem;
	if (!vma->file || (vma->prot & PROT_WRITE && !(vma->flags & MAP_SHARED)))
		return &ret->anon;
	return &ret->file;
}

uint64_t mm_area_resident(struct mm *mm, struct vma *vma)
{
	AUTO_FREE struct look *l = look_new(mm);
	const int64_t r = l ? look(l, vma) : -ENOMEM;

	return r < 0 ? usable(vma) : (uint64_t)r;
}

/* No more than there ever was at once: what a host file has in memory, this process may not use. */
static void clip(struct mm_resident *r, uint64_t peak)
{
	uint64_t *const parts[] = { &r->anon, &r->shmem, &r->file };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (*parts[i] > peak)
			*parts[i] = peak;
		peak -= *parts[i];
	}
}

void mm_resident(struct mm *mm, struct mm_resident *ret)
{
	struct mm_resident found = { 0 };
	AUTO_FREE struct look *l = look_new(mm);
	int64_t n = l ? 0 : -ENOMEM;

	kmutex_lock(&mm->lock);
	for (struct vma *v = mm_find_from(mm, 0); v && n >= 0; v = vma_next(v)) {
		n = look(l, v);
		if (n >= 0)
			*kind_of(v, &found) += (uint64_t)n;
	}
	if (n < 0 && !mm->resident_known) {
		found = (struct mm_resident){ 0 };
		for (struct vma *v = mm_find_from(mm, 0); v; v = vma_next(v))
			*kind_of(v, &found) += usable(v);
	}
	kmutex_unlock(&mm->lock);
	if (n >= 0 || !mm->resident_known)
		mm->resident = found;
	mm->resident_known = mm->resident_known || n >= 0;
	mm_usage(mm);
	if (n >= 0 && mm->usage.max_rss)
		clip(&mm->resident, mm->usage.max_rss);
	*ret = mm->resident;
}

const struct platform_usage *mm_usage(struct mm *mm)
{
	struct platform_usage now;

	if (platform->space_usage && platform->space_usage(mm->space, &now) == 0)
		mm->usage = now;
	else if (!platform->space_usage)
		mm->usage.max_rss = mm->total > mm->usage.max_rss ? mm->total : mm->usage.max_rss;
	return &mm->usage;
}

uint64_t mm_peak(const struct mm *mm)
{
	const struct platform_usage *u = &mm->usage;

	if (u->max_rss)
		return u->max_rss;
	if (u->min_flt && u->min_flt < mm->total / MM_PAGE)
		return u->min_flt * MM_PAGE;
	return mm->total;
}
