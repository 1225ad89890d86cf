/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mremap(2). Growth in place maps the rest; private anonymous memory moves by the stub's own
 * mremap; anything else is mapped anew at the new place (a stub never remaps what a descriptor
 * stands behind), and what the guest had written into a private mapping is copied.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/mm/vma.h"

#define COPY_CHUNK (64u << 10) /* bytes */

struct remap {
	struct platform_thread *t;
	const struct mm_limits *limits;
	uaddr_t old_addr, new_addr;
	uint64_t old_len, new_len;
	int flags;
	struct list_head *dead;
};

/* Copy the pages of a private mapping that differ; what cannot be read (beyond a file's end) stays.
 */
static int copy_pages(struct mm *mm, uaddr_t from, uaddr_t to, uint64_t len)
{
	AUTO_FREE uint8_t *old = malloc(COPY_CHUNK);
	AUTO_FREE uint8_t *now = malloc(COPY_CHUNK);

	if (!old || !now)
		return -ENOMEM;
	for (uint64_t done = 0; done < len; done += COPY_CHUNK) {
		const size_t want = len - done < COPY_CHUNK ? len - done : COPY_CHUNK;
		const ssize_t n = platform->read(mm->space, old, from + done, want);
		const ssize_t m = n > 0 ? platform->read(mm->space, now, to + done, (size_t)n) : 0;

		if (n < 0 || m < 0)
			return n < 0 ? (int)n : (int)m;
		for (ssize_t at = 0; at < n; at += (ssize_t)MM_PAGE) {
			const size_t page = n - at < (ssize_t)MM_PAGE ? (size_t)(n - at) : MM_PAGE;

			if (at + (ssize_t)page <= m && !memcmp(old + at, now + at, page))
				continue;
			if (platform->write(mm->space, to + done + (uint64_t)at, old + at, page) !=
			    (ssize_t)page)
				return -EFAULT;
		}
		fiber_resched();
	}
	return 0;
}

/* Map `vma`, which describes the new place, and fill it with what the old one holds. */
static int rebuild(struct mm *mm, const struct remap *m, const struct vma *old, struct vma *vma)
{
	struct vma open = *vma;
	const uint64_t len = m->old_len < m->new_len ? m->old_len : m->new_len;
	int r;

	if (!(vma->flags & MAP_PRIVATE))
		return vma_map_host(m->t, vma, vma->start, vma->end);
	/* Readable and writable while the pages are copied. */
	open.prot = PROT_READ | PROT_WRITE;
	r = vma_map_host(m->t, &open, vma->start, vma->end);
	if (r >= 0 && !(old->prot & PROT_READ))
		r = platform->protect(m->t, m->old_addr, len, PROT_READ);
	if (r >= 0)
		r = copy_pages(mm, m->old_addr, vma->start, len);
	if (r >= 0 && vma->prot != open.prot)
		r = platform->protect(m->t, vma->start, vma_len(vma), vma->prot);
	if (r < 0)
		(void)platform->unmap(m->t, vma->start, vma_len(vma));
	if (!(old->prot & PROT_READ))
		(void)platform->protect(m->t, m->old_addr, len, old->prot);
	return r;
}

/*
 * What lies behind, then the stub's own mremap: when one of them fails, the pages are where they
 * were.
 */
static int move_anon(const struct remap *m, const struct vma *vma)
{
	const uint64_t len = m->old_len < m->new_len ? m->old_len : m->new_len;
	int r = 0;

	if (m->new_len > len)
		r = vma_map_host(m->t, vma, vma->start + len, vma->end);
	if (r >= 0)
		r = platform->move(m->t, m->old_addr, len, vma->start, len);
	return r;
}

/* The new place: fixed, or chosen. */
static int64_t new_place(struct mm *mm, struct remap *m)
{
	int r;

	if (!(m->flags & MREMAP_FIXED))
		return vma_pick(mm, 0, m->new_len, 0);
	if (!range_len(m->new_addr, m->new_len) ||
	    (m->new_addr < m->old_addr + m->old_len && m->old_addr < m->new_addr + m->new_len))
		return -EINVAL;
	if (m->new_addr < PLATFORM_GUEST_BOTTOM)
		return -EPERM;
	r = munmap_locked(mm, m->t, m->new_addr, m->new_addr + m->new_len, m->dead);
	return r < 0 ? r : (int64_t)m->new_addr;
}

/* What is left at the old place: nothing, or empty pages (MREMAP_DONTUNMAP). */
static int clear_old(struct mm *mm, const struct remap *m, bool moved)
{
	struct vma *old = mm_find(mm, m->old_addr);

	if (!m->old_len)
		return 0;
	if (!(m->flags & MREMAP_DONTUNMAP))
		return munmap_locked(mm, m->t, m->old_addr, m->old_addr + m->old_len, m->dead);
	if (!moved || !old)
		return platform->advise(m->t, m->old_addr, m->old_len, MADV_DONTNEED);
	return vma_map_host(m->t, old, m->old_addr, m->old_addr + m->old_len);
}

static int64_t move_area(struct mm *mm, struct remap *m)
{
	AUTO(vma_free_p) struct vma *vma = NULL;
	const struct vma *old;
	bool anon, moved = false;
	int64_t start;
	int r;

	/* The new area, two cuts at the old place and one at the new. */
	if (mm->vma_count + 4 > MM_AREAS_MAX)
		return -ENOMEM;
	start = new_place(mm, m);
	if (start < 0)
		return start;
	old = mm_find(mm, m->old_addr); /* after new_place(), which may have cut it */
	if (!old)
		return -EFAULT; /* or removed it: a duplicate onto its own source */
	anon = !old->file && !old->memfile && old->flags & MAP_PRIVATE;
	vma = vma_new(old);
	if (!vma)
		return -ENOMEM;
	vma->offset = old->offset + (m->old_addr - old->start);
	vma->start = (uaddr_t)start;
	vma->end = vma->start + m->new_len;
	r = brk_forget_reserve(mm, m->t, vma->start, vma->end);
	if (r >= 0 && anon && m->old_len)
		moved = move_anon(m, vma) >= 0;
	if (r >= 0 && !moved)
		r = rebuild(mm, m, old, vma);
	if (r < 0)
		return r;
	vma_insert(mm, TAKE_PTR(vma));
	r = clear_old(mm, m, moved);
	return r < 0 ? r : start;
}

static int64_t grow_in_place(struct mm *mm, const struct remap *m, struct vma *vma)
{
	struct vma *more = vma_new(vma);
	const uaddr_t end = m->old_addr + m->old_len;

	if (!more)
		return -ENOMEM;
	more->offset = vma->offset + (end - vma->start);
	more->start = end;
	more->end = m->old_addr + m->new_len;
	if (mm->vma_count >= MM_AREAS_MAX ||
	    brk_forget_reserve(mm, m->t, more->start, more->end) < 0 ||
	    vma_map_host(m->t, more, more->start, more->end) < 0) {
		vma_free(more);
		return -ENOMEM;
	}
	vma_insert(mm, more);
	return (int64_t)m->old_addr;
}

static bool room_behind(struct mm *mm, const struct remap *m, const struct vma *vma)
{
	const uaddr_t end = m->old_addr + m->old_len;

	return vma->end == end && range_len(m->old_addr, m->new_len) &&
	       vma_range_free(mm, end, m->old_addr + m->new_len);
}

/* The old range lies in one area, and the limits allow the new one. */
static int judge_area(struct mm *mm, const struct remap *m, const struct vma *vma)
{
	const uint64_t more = m->new_len > m->old_len ? m->new_len - m->old_len : 0;

	if (!vma || m->old_len > vma->end - m->old_addr)
		return -EFAULT;
	if (!m->old_len && !(vma->flags & MAP_SHARED))
		return -EINVAL;
	if (vma->kind == VMA_VDSO || vma->kind == VMA_VVAR)
		return -EINVAL;
	return vma_may_expand(mm, m->limits, m->flags & MREMAP_DONTUNMAP ? m->new_len : more,
			      vma->prot, vma->flags, vma->flags & MAP_LOCKED);
}

static int64_t mremap_locked(struct mm *mm, struct remap *m)
{
	struct vma *vma = mm_find(mm, m->old_addr);
	const bool move = m->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	int r = 0;

	/* What is cut off may lie in other areas, or nowhere. */
	if (vma && !move && m->old_len && m->new_len <= m->old_len) {
		if (m->new_len < m->old_len)
			r = munmap_locked(mm, m->t, m->old_addr + m->new_len,
					  m->old_addr + m->old_len, m->dead);
		return r < 0 ? r : (int64_t)m->old_addr;
	}
	r = judge_area(mm, m, vma);
	if (r < 0)
		return r;
	if (move)
		return move_area(mm, m);
	if (m->old_len && room_behind(mm, m, vma))
		return grow_in_place(mm, m, vma);
	return m->flags & MREMAP_MAYMOVE ? move_area(mm, m) : -ENOMEM;
}

int64_t mm_mremap(struct mm *mm, struct platform_thread *t, const struct mm_limits *limits,
		  uaddr_t old_addr, uint64_t old_len, uint64_t new_len, int flags, uaddr_t new_addr)
{
	struct list_head dead;
	struct remap m = { .t = t,
			   .limits = limits,
			   .old_addr = old_addr,
			   .new_addr = new_addr,
			   .flags = flags,
			   .dead = &dead };
	int64_t r;

	if (flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP) || old_addr % MM_PAGE)
		return -EINVAL;
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if (old_len > PLATFORM_GUEST_TOP || new_len > PLATFORM_GUEST_TOP || !new_len)
		return -EINVAL;
	m.old_len = page_up(old_len);
	m.new_len = page_up(new_len);
	if (flags & MREMAP_DONTUNMAP && m.old_len != m.new_len)
		return -EINVAL;
	list_init(&dead);
	kmutex_lock(&mm->lock);
	r = mremap_locked(mm, &m);
	kmutex_unlock(&mm->lock);
	vma_free_list(&dead);
	return r;
}
