/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that change properties of areas and not their place: mprotect(2), mlock(2) and kin,
 * msync(2).
 *
 * They walk a range area by area; range_step() isolates the part of an area that lies in the range,
 * so that the change has whole areas to work on.
 */
#include <sys/mman.h>
#include <sys/personality.h>

#include "sentry/mm/vma.h"

/* Cut `vma` so that it lies within [start, end); *ret is the part. 0, -ENOMEM. */
static int isolate(struct mm *mm, struct vma *vma, uaddr_t start, uaddr_t end, struct vma **ret)
{
	const unsigned int cuts = (vma->start < start) + (vma->end > end);
	AUTO(vma_free_p) struct vma *head_tail = NULL, *tail = NULL;

	if (cuts && mm->vma_count + cuts > MM_AREAS_MAX)
		return -ENOMEM;
	if (vma->start < start) {
		head_tail = vma_new(vma);
		if (!head_tail)
			return -ENOMEM;
	}
	if (vma->end > end) {
		tail = vma_new(vma);
		if (!tail)
			return -ENOMEM;
	}
	if (tail)
		vma_split(mm, vma, end, TAKE_PTR(tail));
	if (head_tail) {
		*ret = head_tail;
		vma_split(mm, vma, start, TAKE_PTR(head_tail));
	} else {
		*ret = vma;
	}
	return 0;
}

static int protect_area(struct mm *mm, struct platform_thread *t, struct vma *vma, uaddr_t start,
			uaddr_t end, int prot)
{
	int r;

	if (mm->personality & READ_IMPLIES_EXEC && prot & PROT_READ && vma->max_prot & PROT_EXEC)
		prot |= PROT_EXEC;
	if (prot & ~vma->max_prot)
		return -EACCES;
	if (prot == vma->prot)
		return 0;
	r = isolate(mm, vma, start, end, &vma);
	if (r >= 0)
		r = platform->protect(t, vma->start, vma_len(vma), prot);
	if (r >= 0) {
		vma_uncharge(mm, vma);
		vma->prot = prot;
		vma_charge(mm, vma);
	}
	/* Also after a failure: the cut is healed. */
	vma_merge(mm, vma);
	return r;
}

/* PROT_GROWSDOWN: from the start of the stack's area (mprotect(2) of glibc's executable stacks). */
static int grows_down(struct mm *mm, uaddr_t *addr, uint64_t *len)
{
	struct vma *vma = mm_find(mm, *addr);

	if (!vma)
		return -ENOMEM;
	if (vma->kind != VMA_STACK && !(vma->flags & MAP_GROWSDOWN))
		return -EINVAL;
	*len += *addr - vma->start;
	*addr = vma->start;
	return 0;
}

static int mprotect_locked(struct mm *mm, struct platform_thread *t, uaddr_t addr, uint64_t len,
			   int prot)
{
	const uaddr_t end = addr + len;

	while (addr < end) {
		struct vma *vma = mm_find(mm, addr);
		uaddr_t next;
		int r;

		if (!vma)
			return -ENOMEM;
		next = vma->end < end ? vma->end : end;
		r = protect_area(mm, t, vma, addr, next, prot);
		if (r < 0)
			return r;
		addr = next;
	}
	return 0;
}

int mm_mprotect(struct mm *mm, struct platform_thread *t, uaddr_t addr, uint64_t len, int prot)
{
	const int grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	int r = 0;

	prot &= ~(PROT_GROWSDOWN | PROT_GROWSUP);
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || addr % MM_PAGE)
		return -EINVAL;
	if (!len)
		return 0;
	len = range_len(addr, len);
	if (!len)
		return -ENOMEM;
	if (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | 0x8 /* PROT_SEM */))
		return -EINVAL;
	prot &= ~0x8;
	kmutex_lock(&mm->lock);
	if (grows & PROT_GROWSUP)
		r = -EINVAL;
	else if (grows)
		r = grows_down(mm, &addr, &len);
	if (r >= 0)
		r = mprotect_locked(mm, t, addr, len, prot);
	kmutex_unlock(&mm->lock);
	return r;
}

/* Set or clear MAP_LOCKED in [addr, end); a hole is -ENOMEM. */
static int lock_range(struct mm *mm, uaddr_t addr, uaddr_t end, bool lock)
{
	while (addr < end) {
		struct vma *vma = mm_find(mm, addr);
		uaddr_t next;
		int r;

		if (!vma)
			return -ENOMEM;
		next = vma->end < end ? vma->end : end;
		if (!(vma->flags & MAP_LOCKED) == lock) {
			r = isolate(mm, vma, addr, next, &vma);
			if (r < 0)
				return r;
			vma_uncharge(mm, vma);
			vma->flags ^= MAP_LOCKED;
			vma_charge(mm, vma);
			vma_merge(mm, vma);
		}
		addr = next;
	}
	return 0;
}

/* Bytes of [start, end) that are locked already. */
static uint64_t locked_bytes(struct mm *mm, uaddr_t start, uaddr_t end)
{
	struct vma *vma;
	uint64_t sum = 0;

	for (vma = mm_find_from(mm, start); vma && vma->start < end; vma = vma_next(vma)) {
		if (vma->flags & MAP_LOCKED)
			sum += (vma->end < end ? vma->end : end) -
			       (vma->start > start ? vma->start : start);
	}
	return sum;
}

int mm_mlock(struct mm *mm, const struct mm_limits *limits, uaddr_t addr, uint64_t len, bool lock)
{
	int r = 0;

	if (lock && !limits->memlock)
		return -EPERM;
	if (len > UINT64_MAX - MM_PAGE || addr > UINT64_MAX - len - MM_PAGE)
		return -EINVAL;
	len = page_up(len + addr % MM_PAGE);
	addr = page_down(addr);
	if (!len)
		return 0;
	if (!range_len(addr, len))
		return -ENOMEM;
	kmutex_lock(&mm->lock);
	if (lock && mm->locked + len - locked_bytes(mm, addr, addr + len) > limits->memlock)
		r = -ENOMEM;
	if (r >= 0)
		r = lock_range(mm, addr, addr + len, lock);
	kmutex_unlock(&mm->lock);
	return r;
}

int mm_mlockall(struct mm *mm, const struct mm_limits *limits, int flags)
{
	struct vma *vma;
	int r = 0;

	if (flags && !limits->memlock)
		return -EPERM;
	kmutex_lock(&mm->lock);
	if (flags & MCL_CURRENT && mm->total + mm->stack > limits->memlock)
		r = -ENOMEM;
	if (r >= 0)
		mm->lock_future = flags & MCL_FUTURE;
	if (r >= 0 && (flags & MCL_CURRENT || !flags)) {
		for (vma = mm_find_from(mm, 0); vma; vma = vma_next(vma)) {
			if (!(vma->flags & MAP_LOCKED) == !flags)
				continue;
			vma_uncharge(mm, vma);
			vma->flags ^= MAP_LOCKED;
			vma_charge(mm, vma);
			vma = vma_merge(mm, vma);
		}
	}
	kmutex_unlock(&mm->lock);
	return r;
}

/* The next file of [*addr, end) that wants an fsync, with a reference; *addr moves behind it. */
static struct file *next_dirty_file(struct mm *mm, uaddr_t *addr, uaddr_t end, int flags, int *r)
{
	struct file *found = NULL;

	kmutex_lock(&mm->lock);
	while (*addr < end && !found) {
		struct vma *vma = mm_find_from(mm, *addr);

		if (!vma || vma->start > *addr)
			*r = -ENOMEM;
		if (!vma || vma->start >= end) {
			*addr = end;
			break;
		}
		if (flags & MS_INVALIDATE && vma->flags & MAP_LOCKED) {
			*r = -EBUSY;
			*addr = end;
			break;
		}
		if (flags & MS_SYNC && vma->file && vma->flags & MAP_SHARED)
			found = file_ref(vma->file);
		*addr = vma->end;
	}
	kmutex_unlock(&mm->lock);
	return found;
}

int mm_msync(struct mm *mm, uaddr_t addr, uint64_t len, int flags)
{
	uaddr_t end;
	int r = 0;

	if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || addr % MM_PAGE ||
	    (flags & MS_ASYNC && flags & MS_SYNC))
		return -EINVAL;
	if (!len)
		return 0;
	len = range_len(addr, len);
	if (!len)
		return -ENOMEM;
	end = addr + len;
	while (addr < end) {
		AUTO_FILE struct file *file = next_dirty_file(mm, &addr, end, flags, &r);
		int synced = 0;

		if (file && file->ops->fsync)
			synced = file->ops->fsync(file, true);
		if (synced < 0)
			return synced;
	}
	return r;
}
