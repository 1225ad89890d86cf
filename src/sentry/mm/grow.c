/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Areas that grow down. The stack of a program is mapped whole, so this is for MAP_GROWSDOWN of
 * mmap(2) and for a stack whose limit was raised.
 */
#include <sys/mman.h>

#include "sentry/mm/vma.h"

#define GUARD_GAP (256 * MM_PAGE) /* Linux's stack_guard_gap */

/* The area that would have to grow to reach addr, or NULL. */
static struct vma *find_growing(struct mm *mm, uaddr_t addr)
{
	struct vma *vma = mm_find_from(mm, addr), *below;

	if (!vma || vma->start <= addr || !(vma->flags & MAP_GROWSDOWN))
		return NULL;
	below = vma_prev(vma);
	if (below && below->prot && !(below->flags & MAP_GROWSDOWN) &&
	    page_down(addr) < below->end + GUARD_GAP)
		return NULL;
	return vma;
}

static int grow(struct mm *mm, struct platform_thread *t, const struct mm_limits *limits,
		struct vma *vma, uaddr_t start)
{
	const uint64_t more = vma->start - start;
	int r;

	if (start < PLATFORM_GUEST_BOTTOM || vma->end - start > limits->stack)
		return -ENOMEM;
	r = vma_may_expand(mm, limits, more, PROT_NONE, vma->flags, vma->flags & MAP_LOCKED);
	if (r >= 0)
		r = brk_forget_reserve(mm, t, start, vma->start);
	if (r >= 0)
		r = vma_map_host(t, vma, start, vma->start);
	if (r < 0)
		return r;
	vma_uncharge(mm, vma);
	vma->start = start;
	vma_charge(mm, vma);
	vma_merge(mm, vma);
	return 0;
}

bool mm_grow_down(struct mm *mm, struct platform_thread *t, const struct mm_limits *limits,
		  uaddr_t addr)
{
	struct vma *vma;
	bool grown = false;

	if (addr >= PLATFORM_GUEST_TOP)
		return false;
	kmutex_lock(&mm->lock);
	vma = find_growing(mm, addr);
	if (vma)
		grown = grow(mm, t, limits, vma, page_down(addr)) == 0;
	kmutex_unlock(&mm->lock);
	return grown;
}
