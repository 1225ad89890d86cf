/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of an address space: birth, fork, end; guest memory through the platform.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/mm/exe.h"
#include "sentry/mm/vma.h"

/* The stub's own memory lies above the guest's: nobody reaches it through a guest's pointer. */
static size_t reachable(uaddr_t addr, size_t len)
{
	if (addr >= PLATFORM_GUEST_TOP)
		return 0;
	return len < PLATFORM_GUEST_TOP - addr ? len : PLATFORM_GUEST_TOP - addr;
}

static size_t mm_copy_in(struct user_memory *um, void *dst, uaddr_t src, size_t len)
{
	const struct mm *mm = container_of(um, struct mm, um);
	ssize_t n;

	len = reachable(src, len);
	n = len ? platform->read(mm->space, dst, src, len) : 0;
	return n > 0 ? (size_t)n : 0;
}

static size_t mm_copy_out(struct user_memory *um, uaddr_t dst, const void *src, size_t len)
{
	const struct mm *mm = container_of(um, struct mm, um);
	ssize_t n;

	len = reachable(dst, len);
	n = len ? platform->write(mm->space, dst, src, len) : 0;
	return n > 0 ? (size_t)n : 0;
}

static const struct user_memory_ops mm_um_ops = {
	.copy_in = mm_copy_in,
	.copy_out = mm_copy_out,
};

struct mm *mm_new(struct platform_space *space)
{
	struct mm *mm = calloc(1, sizeof(*mm));

	if (!mm)
		return NULL;
	mm->um.ops = &mm_um_ops;
	mm->refs = 1;
	kmutex_init(&mm->lock);
	mm->mmap_top = PLATFORM_GUEST_TOP;
	mm->gap_top = mm->mmap_top;
	mm->dumpable = true;
	mm->space = space;
	platform->space_ref(space);
	return mm;
}

struct mm *mm_ref(struct mm *mm)
{
	mm->refs++;
	return mm;
}

void mm_unref(struct mm *mm)
{
	struct rb_node *node;

	if (!mm || --mm->refs > 0)
		return;
	while ((node = rb_first(&mm->vmas))) {
		struct vma *vma = rb_entry(node, struct vma, node);

		rb_erase(&mm->vmas, node);
		vma_free(vma);
	}
	mm_set_exe(mm, NULL);
	platform->space_unref(mm->space);
	free(mm);
}

void mm_set_exe(struct mm *mm, struct file *exe)
{
	struct file *old = mm->exe;

	if (exe && exe->inode)
		exe->inode->denied_writes++;
	mm->exe = exe ? file_ref(exe) : NULL;
	if (old && old->inode)
		old->inode->denied_writes--;
	file_unref(old);
}

/* The plain values that a child inherits. */
static void copy_values(struct mm *to, const struct mm *from)
{
	to->mmap_top = from->mmap_top;
	to->gap_top = from->gap_top;
	to->gap_skipped = from->gap_skipped;
	to->brk_start = from->brk_start;
	to->brk = from->brk;
	to->brk_mapped = from->brk_mapped;
	to->stack_top = from->stack_top;
	to->code_start = from->code_start;
	to->code_end = from->code_end;
	to->arg_start = from->arg_start;
	to->arg_end = from->arg_end;
	to->env_start = from->env_start;
	to->env_end = from->env_end;
	memcpy(to->auxv, from->auxv, sizeof(to->auxv));
	to->auxv_len = from->auxv_len;
	to->dumpable = from->dumpable;
	to->personality = from->personality;
}

/* One area of the parent in the child; locks are not inherited (mlock(2)). */
static int copy_area(struct mm *child, struct platform_thread *t, const struct vma *vma)
{
	struct vma *copy;
	int r;

	if (vma->advice & VMA_DONTFORK)
		return platform->unmap(t, vma->start, vma_len(vma));
	copy = vma_new(vma);
	if (!copy)
		return -ENOMEM;
	copy->flags &= ~MAP_LOCKED;
	if (vma->advice & VMA_WIPEONFORK) {
		r = vma_map_host(t, copy, copy->start, copy->end);
		if (r < 0) {
			vma_free(copy);
			return r;
		}
	}
	vma_insert(child, copy);
	return 0;
}

int mm_fork(struct mm *mm, struct platform_thread *t, struct platform_thread **ret_child,
	    struct mm **ret)
{
	struct platform_thread *child_thread;
	struct vma *vma;
	struct mm *child;
	int r;

	kmutex_lock(&mm->lock);
	r = platform->thread_fork(t, &child_thread);
	if (r < 0) {
		kmutex_unlock(&mm->lock);
		return r;
	}
	child = mm_new(platform->thread_space(child_thread));
	r = child ? 0 : -ENOMEM;
	if (child)
		copy_values(child, mm);
	for (vma = mm_find_from(mm, 0); vma && r >= 0; vma = vma_next(vma))
		r = copy_area(child, child_thread, vma);
	if (r >= 0)
		mm_set_exe(child, mm->exe);
	kmutex_unlock(&mm->lock);
	if (r < 0) {
		mm_unref(child);
		platform->thread_free(child_thread);
		return r;
	}
	*ret_child = child_thread;
	*ret = child;
	return 0;
}

int mm_fault_code(struct mm *mm, uaddr_t addr)
{
	return mm_find(mm, addr) ? SEGV_ACCERR : SEGV_MAPERR;
}

int mm_check_mapped(struct mm *mm, uaddr_t addr, uint64_t len)
{
	const uaddr_t end = addr + len;
	struct vma *vma;
	int r = 0;

	kmutex_lock(&mm->lock);
	for (vma = mm_find_from(mm, addr); addr < end; vma = vma_next(vma)) {
		if (!vma || vma->start > addr) {
			r = -ENOMEM;
			break;
		}
		addr = vma->end;
	}
	kmutex_unlock(&mm->lock);
	return r;
}
