/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brk(2). The stub maps the heap in steps of BRK_STEP, so that most calls need nothing of it: the
 * books (and /proc/PID/maps) end at brk, the stub's mapping at brk_mapped. A guest that touches
 * what lies between gets zero pages instead of a fault, and nobody else's.
 */
#include <sys/mman.h>

#include "sentry/mm/vma.h"

#define BRK_STEP (1ull << 20) /* bytes */

int brk_forget_reserve(struct mm *mm, struct platform_thread *t, uaddr_t start, uaddr_t end)
{
	const uaddr_t top = page_up(mm->brk);
	int r;

	if (mm->brk_mapped <= top || end <= top || start >= mm->brk_mapped)
		return 0;
	r = platform->unmap(t, top, mm->brk_mapped - top);
	if (r >= 0)
		mm->brk_mapped = top;
	return r;
}

static int brk_shrink(struct mm *mm, struct platform_thread *t, uaddr_t old_top, uaddr_t new_top,
		      struct list_head *dead)
{
	int r = brk_forget_reserve(mm, t, old_top, old_top + MM_PAGE);

	if (r >= 0)
		r = munmap_locked(mm, t, new_top, old_top, dead);
	if (r >= 0)
		mm->brk_mapped = new_top;
	return r;
}

/* The stub's mapping reaches at least to `top`, and a step further if there is room. */
static int brk_reserve(struct mm *mm, struct platform_thread *t, uaddr_t old_top, uaddr_t top,
		       int prot)
{
	const struct vma *next = mm_find_from(mm, old_top);
	const uaddr_t from = mm->brk_mapped > old_top ? mm->brk_mapped : old_top;
	uaddr_t to = (top + BRK_STEP - 1) & ~(BRK_STEP - 1);
	struct platform_map map = { .prot = prot, .host_fd = -1 };
	int r;

	if (top <= mm->brk_mapped)
		return 0;
	if (next && to > next->start)
		to = next->start;
	if (to > PLATFORM_GUEST_TOP)
		to = PLATFORM_GUEST_TOP;
	map.addr = from;
	map.len = to - from;
	r = platform->map(t, &map);
	if (r >= 0)
		mm->brk_mapped = to;
	return r;
}

static int brk_grow(struct mm *mm, struct platform_thread *t, const struct mm_limits *limits,
		    uaddr_t old_top, uaddr_t new_top)
{
	int prot = PROT_READ | PROT_WRITE, r;
	struct vma *vma;

	if (new_top > PLATFORM_GUEST_TOP || !vma_range_free(mm, old_top, new_top) ||
	    mm->vma_count >= MM_AREAS_MAX)
		return -ENOMEM;
	r = vma_may_expand(mm, limits, new_top - old_top, prot, MAP_PRIVATE, mm->lock_future);
	if (r < 0)
		return r;
	vma = vma_new(NULL);
	if (!vma)
		return -ENOMEM;
	vma->start = old_top;
	vma->end = new_top;
	vma->prot = prot;
	vma->max_prot = PROT_READ | PROT_WRITE | PROT_EXEC;
	vma->flags = MAP_PRIVATE | (mm->lock_future ? MAP_LOCKED : 0);
	vma->kind = VMA_HEAP;
	r = brk_reserve(mm, t, old_top, new_top, prot);
	if (r < 0) {
		vma_free(vma);
		return r;
	}
	vma_insert(mm, vma);
	return 0;
}

/* RLIMIT_DATA counts the heap from its start (brk(2)). */
static bool within_data(const struct mm *mm, const struct mm_limits *limits, uaddr_t brk)
{
	return brk - mm->brk_start <= limits->data;
}

uaddr_t mm_brk(struct mm *mm, struct platform_thread *t, const struct mm_limits *limits,
	       uaddr_t brk)
{
	struct list_head dead;
	uaddr_t old_top, new_top;
	int r = 0;

	list_init(&dead);
	kmutex_lock(&mm->lock);
	if (brk >= mm->brk_start && brk <= PLATFORM_GUEST_TOP && within_data(mm, limits, brk)) {
		old_top = page_up(mm->brk);
		new_top = page_up(brk);
		if (new_top < old_top)
			r = brk_shrink(mm, t, old_top, new_top, &dead);
		else if (new_top > old_top)
			r = brk_grow(mm, t, limits, old_top, new_top);
		if (r >= 0)
			mm->brk = brk;
	}
	brk = mm->brk;
	kmutex_unlock(&mm->lock);
	vma_free_list(&dead);
	return brk;
}
