/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of areas: disjoint, ordered by start, neighbours that are alike merged (as Linux's
 * mm/vma.c does, so that /proc/PID/maps looks as programs expect).
 */
#include "sentry/mm/vma.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "sentry/mm/shm.h"

#define MAP_32BIT_BOTTOM 0x40000000ull
#define MAP_32BIT_TOP	 0x80000000ull

uint64_t range_len(uaddr_t addr, uint64_t len)
{
	if (addr % MM_PAGE || len > PLATFORM_GUEST_TOP || addr > PLATFORM_GUEST_TOP)
		return 0;
	len = page_up(len);
	return len <= PLATFORM_GUEST_TOP - addr ? len : 0;
}

void vma_count_writable(const struct vma *vma, int n)
{
	if (vma->file && vma->file->inode && vma->flags & MAP_SHARED && vma->max_prot & PROT_WRITE)
		vma->file->inode->writable_maps += (unsigned int)n;
}

struct vma *vma_new(const struct vma *like)
{
	struct vma *vma = calloc(1, sizeof(*vma));

	if (!vma || !like)
		return vma;
	*vma = *like;
	if (vma->file)
		file_ref(vma->file);
	vma_count_writable(vma, 1);
	if (vma->memfile)
		memfile_ref(vma->memfile);
	if (vma->shm)
		shm_attach(vma->shm);
	return vma;
}

void vma_free(struct vma *vma)
{
	if (!vma)
		return;
	if (vma->memfile)
		memfile_unref(vma->memfile);
	if (vma->shm)
		shm_detach(vma->shm);
	vma_count_writable(vma, -1);
	file_unref(vma->file);
	free(vma);
}

void vma_free_list(struct list_head *dead)
{
	struct vma *vma, *next;

	list_for_each_safe(vma, next, dead, dead_node)
	{
		list_del(&vma->dead_node);
		vma_free(vma);
	}
}

struct vma *mm_find_from(struct mm *mm, uaddr_t addr)
{
	struct rb_node *node = mm->vmas.root;
	struct vma *found = NULL;

	while (node) {
		struct vma *vma = rb_entry(node, struct vma, node);

		if (vma->end > addr) {
			found = vma;
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return found;
}

struct vma *mm_find(struct mm *mm, uaddr_t addr)
{
	struct vma *vma = mm_find_from(mm, addr);

	return vma && vma->start <= addr ? vma : NULL;
}

struct vma *vma_next(struct vma *vma)
{
	struct rb_node *node = rb_next(&vma->node);

	return node ? rb_entry(node, struct vma, node) : NULL;
}

struct vma *vma_prev(struct vma *vma)
{
	struct rb_node *node = rb_prev(&vma->node);

	return node ? rb_entry(node, struct vma, node) : NULL;
}

/* Private and writable: what RLIMIT_DATA counts. The stack has its own limit. */
static bool is_data(int prot, int flags)
{
	return (prot & PROT_WRITE) && !(flags & MAP_SHARED);
}

void vma_charge(struct mm *mm, const struct vma *vma)
{
	if (vma->kind == VMA_STACK) {
		mm->stack += vma_len(vma);
	} else {
		mm->total += vma_len(vma);
		if (is_data(vma->prot, vma->flags))
			mm->data += vma_len(vma);
	}
	if (vma->flags & MAP_LOCKED)
		mm->locked += vma_len(vma);
}

void vma_uncharge(struct mm *mm, const struct vma *vma)
{
	if (vma->kind == VMA_STACK) {
		mm->stack -= vma_len(vma);
	} else {
		mm->total -= vma_len(vma);
		if (is_data(vma->prot, vma->flags))
			mm->data -= vma_len(vma);
	}
	if (vma->flags & MAP_LOCKED)
		mm->locked -= vma_len(vma);
}

static void vma_link(struct mm *mm, struct vma *vma)
{
	struct rb_node **link = &mm->vmas.root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = vma->start < rb_entry(parent, struct vma, node)->start ? &parent->left
									      : &parent->right;
	}
	rb_insert(&mm->vmas, &vma->node, parent, link);
	mm->vma_count++;
}

static void vma_unlink(struct mm *mm, struct vma *vma)
{
	rb_erase(&mm->vmas, &vma->node);
	mm->vma_count--;
}

void vma_split(struct mm *mm, struct vma *vma, uaddr_t addr, struct vma *tail)
{
	tail->start = addr;
	tail->end = vma->end;
	tail->offset = vma->offset + (addr - vma->start);
	vma->end = addr;
	vma_link(mm, tail);
}

static bool alike(const struct vma *a, const struct vma *b)
{
	if (a->end != b->start || a->prot != b->prot || a->max_prot != b->max_prot ||
	    a->flags != b->flags || a->kind != b->kind || a->advice != b->advice)
		return false;
	if (a->file != b->file || a->memfile != b->memfile || a->shm != b->shm)
		return false;
	return (!a->file && !a->memfile) || b->offset == a->offset + vma_len(a);
}

/* b becomes a part of a. */
static void absorb(struct mm *mm, struct vma *a, struct vma *b)
{
	vma_unlink(mm, b);
	a->end = b->end;
	/* a holds the same references: nothing is freed for good and nothing parks. */
	vma_free(b);
}

struct vma *vma_merge(struct mm *mm, struct vma *vma)
{
	struct vma *other = vma_prev(vma);

	if (other && alike(other, vma)) {
		absorb(mm, other, vma);
		vma = other;
	}
	other = vma_next(vma);
	if (other && alike(vma, other))
		absorb(mm, vma, other);
	return vma;
}

struct vma *vma_insert(struct mm *mm, struct vma *vma)
{
	vma_link(mm, vma);
	vma_charge(mm, vma);
	return vma_merge(mm, vma);
}

bool vma_range_needs_spare(struct mm *mm, uaddr_t start, uaddr_t end)
{
	const struct vma *vma = mm_find(mm, start);

	return vma && vma->start < start && vma->end > end;
}

void vma_remove_range(struct mm *mm, uaddr_t start, uaddr_t end, struct vma **spare,
		      struct list_head *dead)
{
	struct vma *vma = mm_find_from(mm, start), *next;

	for (; vma && vma->start < end; vma = next) {
		next = vma_next(vma);
		vma_uncharge(mm, vma);
		if (vma->start < start && vma->end > end) {
			vma_split(mm, vma, end, TAKE_PTR(*spare));
			vma_charge(mm, vma_next(vma));
			vma->end = start;
		} else if (vma->start < start) {
			vma->end = start;
		} else if (vma->end > end) {
			vma->offset += end - vma->start;
			vma->start = end;
		} else {
			vma_unlink(mm, vma);
			list_add_tail(&vma->dead_node, dead);
			continue;
		}
		vma_charge(mm, vma);
	}
	if (end > mm->gap_top) {
		vma = mm_find_from(mm, start);
		mm->gap_top = vma && vma->start < mm->mmap_top ? vma->start : mm->mmap_top;
	}
}

bool vma_range_free(struct mm *mm, uaddr_t start, uaddr_t end)
{
	const struct vma *vma = mm_find_from(mm, start);

	return !vma || vma->start >= end;
}

uaddr_t vma_gap(struct mm *mm, uint64_t len, uaddr_t bottom, uaddr_t top, uint64_t *ret_skipped)
{
	struct vma *vma = mm_find_from(mm, top - 1);
	uint64_t skipped = 0;

	if (!vma || vma->start >= top) {
		struct rb_node *last = vma ? rb_prev(&vma->node) : rb_last(&mm->vmas);

		vma = last ? rb_entry(last, struct vma, node) : NULL;
	}
	while (top > bottom && top - bottom >= len) {
		const uaddr_t floor = vma && vma->end > bottom ? vma->end : bottom;

		if (top > floor && top - floor >= len) {
			*ret_skipped = skipped;
			return top - len;
		}
		if (top > floor && top - floor > skipped)
			skipped = top - floor;
		if (!vma || vma->start <= bottom)
			return 0;
		if (vma->start < top)
			top = vma->start;
		vma = vma_prev(vma);
	}
	return 0;
}

/* The usual area: from mmap_top down, beginning where the last search ended. */
static uaddr_t pick_top_down(struct mm *mm, uint64_t len)
{
	uint64_t skipped = 0;
	uaddr_t addr;

	if (len > mm->gap_skipped && mm->gap_top < mm->mmap_top) {
		addr = vma_gap(mm, len, PLATFORM_GUEST_BOTTOM, mm->gap_top, &skipped);
		if (addr) {
			mm->gap_top = addr;
			if (skipped > mm->gap_skipped)
				mm->gap_skipped = skipped;
			return addr;
		}
	}
	addr = vma_gap(mm, len, PLATFORM_GUEST_BOTTOM, mm->mmap_top, &skipped);
	if (addr) {
		mm->gap_top = addr;
		mm->gap_skipped = skipped;
	}
	return addr;
}

int64_t vma_pick(struct mm *mm, uaddr_t hint, uint64_t len, int flags)
{
	uint64_t skipped;
	uaddr_t addr;

	hint = page_down(hint);
	if (hint && hint < PLATFORM_GUEST_BOTTOM)
		hint = PLATFORM_GUEST_BOTTOM;
	if (hint && !(flags & MAP_32BIT) && range_len(hint, len) &&
	    vma_range_free(mm, hint, hint + len))
		return (int64_t)hint;
	if (flags & MAP_32BIT)
		addr = vma_gap(mm, len, MAP_32BIT_BOTTOM, MAP_32BIT_TOP, &skipped);
	else
		addr = pick_top_down(mm, len);
	return addr ? (int64_t)addr : -ENOMEM;
}

int vma_may_expand(const struct mm *mm, const struct mm_limits *limits, uint64_t len, int prot,
		   int flags, bool locked)
{
	if (len > limits->as || mm->total > limits->as - len)
		return -ENOMEM;
	if (is_data(prot, flags) && (len > limits->data || mm->data > limits->data - len))
		return -ENOMEM;
	if (locked && (len > limits->memlock || mm->locked > limits->memlock - len))
		return -EAGAIN;
	return 0;
}
