/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/vma.h - the tree of areas, for the files of this room: look-up, insertion with merging,
 * removal with splitting, gaps. Books only: nothing here calls the platform. mm->lock is held.
 */
#pragma once

#include "sentry/mm/mm.h"

static inline uint64_t page_down(uint64_t x)
{
	return x & ~(MM_PAGE - 1);
}

/* x is at most UINT64_MAX - MM_PAGE. */
static inline uint64_t page_up(uint64_t x)
{
	return (x + MM_PAGE - 1) & ~(MM_PAGE - 1);
}

static inline uint64_t vma_len(const struct vma *vma)
{
	return vma->end - vma->start;
}

/*
 * Round len up and judge [addr, addr + len): aligned and below the guest's top. The rounded length,
 * or 0 when it is not such a range (or is empty).
 */
uint64_t range_len(uaddr_t addr, uint64_t len);

/* An area of its own with the references of *like (NULL: none); NULL: out of memory. */
struct vma *vma_new(const struct vma *like);
void vma_free(struct vma *vma); /* accepts NULL; gives references back; may park */
DEFINE_AUTO(struct vma *, vma_free);
/* Tell the file that a shared mapping that may write came (1) or went (-1): F_SEAL_WRITE asks. */
void vma_count_writable(const struct vma *vma, int n);

struct vma *vma_prev(struct vma *vma);

/*
 * Put an area where no other is, merge it with its neighbours, charge it. Returns the area that now
 * covers it; vma is the tree's.
 */
struct vma *vma_insert(struct mm *mm, struct vma *vma);

/*
 * Remove [start, end) from the books. *spare is used if one area has to be cut in two; have one
 * ready (vma_range_needs_spare()). Removed areas go to `dead`, to be freed by vma_free_list()
 * without the lock, because their files may park.
 */
void vma_remove_range(struct mm *mm, uaddr_t start, uaddr_t end, struct vma **spare,
		      struct list_head *dead);
bool vma_range_needs_spare(struct mm *mm, uaddr_t start, uaddr_t end);
void vma_free_list(struct list_head *dead);

/* Cut the area at addr, which is inside it; tail is an unlinked area from vma_new(vma). */
void vma_split(struct mm *mm, struct vma *vma, uaddr_t addr, struct vma *tail);

/* Merge with the neighbours where they are alike; the surviving area. */
struct vma *vma_merge(struct mm *mm, struct vma *vma);

/* Add the area's bytes to mm's counters, or take them out. */
void vma_charge(struct mm *mm, const struct vma *vma);
void vma_uncharge(struct mm *mm, const struct vma *vma);

/* Nothing is mapped in [start, end). */
bool vma_range_free(struct mm *mm, uaddr_t start, uaddr_t end);

/* The highest place for len bytes in [bottom, top), or 0; *ret_skipped: the largest gap passed. */
uaddr_t vma_gap(struct mm *mm, uint64_t len, uaddr_t bottom, uaddr_t top, uint64_t *ret_skipped);

/* A place for a new mapping as mmap(2) chooses it, or -ENOMEM; hint may be 0. */
int64_t vma_pick(struct mm *mm, uaddr_t hint, uint64_t len, int flags);

/* Would len more bytes with these properties break a limit? 0, -ENOMEM, -EAGAIN (locked). */
int vma_may_expand(const struct mm *mm, const struct mm_limits *limits, uint64_t len, int prot,
		   int flags, bool locked);

/* Have the stub map an area: shared memory, a file, or nothing behind it. 0 or -errno. */
int vma_map_host(struct platform_thread *t, const struct vma *vma, uaddr_t start, uaddr_t end);

/* Give up what the stub has mapped ahead of brk if [start, end) touches it. */
int brk_forget_reserve(struct mm *mm, struct platform_thread *t, uaddr_t start, uaddr_t end);

/* The parts of mm_mmap() and mm_munmap() that run under mm->lock; dead collects removed areas. */
int munmap_locked(struct mm *mm, struct platform_thread *t, uaddr_t start, uaddr_t end,
		  struct list_head *dead);

/*
 * Map `vma` (a new area, place and properties filled in) over whatever was there. On success the
 * tree owns it.
 */
int map_locked(struct mm *mm, struct platform_thread *t, struct vma *vma, struct list_head *dead);
