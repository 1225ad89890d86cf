/* SPDX-License-Identifier: Apache-2.0 */
/*
 * madvise(2). What only helps speed is judged and forgotten; what changes contents goes to the stub
 * or to the memory behind the mapping; what fork(2) or a core dump asks about is kept in the area.
 */
#include <sys/mman.h>

#include "sentry/mm/vma.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef FALLOC_FL_KEEP_SIZE
#define FALLOC_FL_KEEP_SIZE  0x01
#define FALLOC_FL_PUNCH_HOLE 0x02
#endif

#define POPULATE_MAX (16ull << 20) /* bytes of one call */

static bool private_anon(const struct vma *vma)
{
	return !vma->file && !vma->memfile && vma->flags & MAP_PRIVATE;
}

/* MADV_REMOVE: a hole in what the shared mapping shows. */
static int remove_pages(const struct vma *vma, uaddr_t start, uaddr_t end)
{
	const uint64_t offset = vma->offset + (start - vma->start);

	if (vma->flags & MAP_LOCKED || !(vma->flags & MAP_SHARED))
		return -EINVAL;
	if (!(vma->max_prot & PROT_WRITE))
		return -EACCES;
	if (vma->memfile && !vma->file)
		return memfile_punch(vma->memfile, offset, end - start);
	if (!vma->file || !vma->file->ops->fallocate)
		return -EOPNOTSUPP;
	return vma->file->ops->fallocate(vma->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					 offset, end - start);
}

static int drop_pages(const struct vma *vma, struct platform_thread *t, uaddr_t start, uaddr_t end,
		      int advice)
{
	if (vma->flags & MAP_LOCKED && advice != MADV_DONTNEED_LOCKED)
		return -EINVAL;
	if (advice == MADV_FREE && !private_anon(vma))
		return -EINVAL;
	/* Freeing at once is what MADV_FREE may do, and keeps the stub's list of advices short. */
	return platform->advise(t, start, end - start, MADV_DONTNEED);
}

/* Set and clear bits of vma_advice in the part of the area that is in the range. */
static int keep_advice(struct mm *mm, struct vma *vma, uaddr_t start, uaddr_t end, uint32_t set,
		       uint32_t clear)
{
	struct vma *parts[2] = { NULL, NULL };
	const unsigned int cuts = (vma->start < start) + (vma->end > end);
	const uint32_t advice = (vma->advice | set) & ~clear;

	if (advice == vma->advice)
		return 0;
	if (cuts && mm->vma_count + cuts > MM_AREAS_MAX)
		return -ENOMEM;
	for (unsigned int i = 0; i < cuts; i++) {
		parts[i] = vma_new(vma);
		if (!parts[i]) {
			vma_free(parts[0]);
			return -ENOMEM;
		}
	}
	if (vma->end > end)
		vma_split(mm, vma, end, parts[cuts - 1]);
	if (vma->start < start) {
		vma_split(mm, vma, start, parts[0]);
		vma = parts[0];
	}
	vma->advice = advice;
	vma_merge(mm, vma);
	return 0;
}

/* Memory without a file is touched by reading, a part of it; files come when they are used. */
static int populate(struct mm *mm, const struct vma *vma, uaddr_t start, uaddr_t end, int advice,
		    uint64_t *left)
{
	const int needed = advice == MADV_POPULATE_WRITE ? PROT_WRITE : PROT_READ;
	char byte;

	if (!(vma->prot & needed))
		return -EINVAL;
	if (vma->file)
		return 0;
	if (end - start > *left)
		end = start + *left;
	*left -= end - start;
	for (; start < end; start += MM_PAGE) {
		if (platform->read(mm->space, &byte, start, 1) != 1)
			break;
		fiber_resched();
	}
	return 0;
}

/* One area, or a part of it. */
static int advise_area(struct mm *mm, struct platform_thread *t, struct vma *vma, uaddr_t start,
		       uaddr_t end, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
		return drop_pages(vma, t, start, end, advice);
	case MADV_REMOVE:
		return remove_pages(vma, start, end);
	case MADV_DONTFORK:
		return keep_advice(mm, vma, start, end, VMA_DONTFORK, 0);
	case MADV_DOFORK:
		return keep_advice(mm, vma, start, end, 0, VMA_DONTFORK);
	case MADV_DONTDUMP:
		return keep_advice(mm, vma, start, end, VMA_DONTDUMP, 0);
	case MADV_DODUMP:
		return keep_advice(mm, vma, start, end, 0, VMA_DONTDUMP);
	case MADV_WIPEONFORK:
		if (!private_anon(vma))
			return -EINVAL;
		return keep_advice(mm, vma, start, end, VMA_WIPEONFORK, 0);
	case MADV_KEEPONFORK:
		return keep_advice(mm, vma, start, end, 0, VMA_WIPEONFORK);
	case MADV_HUGEPAGE:
		/* A host without huge pages refuses; the guest loses nothing. */
		if (private_anon(vma))
			(void)platform->advise(t, start, end - start, MADV_HUGEPAGE);
		return 0;
	case MADV_COLD:
	case MADV_PAGEOUT:
		return vma->flags & MAP_LOCKED ? -EINVAL : 0;
	default:
		return 0;
	}
}

/* 0, or -errno of an advice that is not served (MADV_MERGEABLE: no KSM, as without CONFIG_KSM). */
static int judge_advice(int advice)
{
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return 0;
	case MADV_HWPOISON:
	case MADV_SOFT_OFFLINE:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

static int madvise_locked(struct mm *mm, struct platform_thread *t, uaddr_t addr, uaddr_t end,
			  int advice)
{
	uint64_t left = POPULATE_MAX;
	int holes = 0;

	while (addr < end) {
		struct vma *vma = mm_find_from(mm, addr);
		uaddr_t next;
		int r;

		if (!vma || vma->start >= end)
			return -ENOMEM;
		if (vma->start > addr) {
			holes = -ENOMEM;
			addr = vma->start;
		}
		next = vma->end < end ? vma->end : end;
		if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
			r = populate(mm, vma, addr, next, advice, &left);
		else
			r = advise_area(mm, t, vma, addr, next, advice);
		if (r < 0)
			return r;
		addr = next;
	}
	return holes;
}

int mm_madvise(struct mm *mm, struct platform_thread *t, uaddr_t addr, uint64_t len, int advice)
{
	int r = judge_advice(advice);

	if (r < 0)
		return r;
	if (addr % MM_PAGE || len > UINT64_MAX - MM_PAGE || addr + page_up(len) < addr)
		return -EINVAL;
	if (!len)
		return 0;
	len = range_len(addr, len);
	if (!len)
		return -ENOMEM;
	kmutex_lock(&mm->lock);
	r = madvise_locked(mm, t, addr, addr + len, advice);
	kmutex_unlock(&mm->lock);
	return r;
}
