/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmap(2) and munmap(2): judge, ask the stub, then write the books, so that a failure of the stub
 * leaves them as they were.
 */
#include <sys/mman.h>
#include <sys/personality.h>

#include "sentry/core/klog.h"
#include "sentry/mm/vma.h"

#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif
#define MAP_TYPE_BITS 0x0f
/* What MAP_SHARED_VALIDATE knows; MAP_SYNC is for files that no filesystem of ours has. */
#define MAP_KNOWN                                                                                \
	(MAP_TYPE_BITS | MAP_FIXED | MAP_ANONYMOUS | MAP_32BIT | MAP_GROWSDOWN | MAP_DENYWRITE | \
	 MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | \
	 MAP_HUGETLB | MAP_FIXED_NOREPLACE)
#define MAP_KEPT (MAP_NORESERVE | MAP_GROWSDOWN | MAP_LOCKED)

int vma_map_host(struct platform_thread *t, const struct vma *vma, uaddr_t start, uaddr_t end)
{
	struct platform_map map = {
		.addr = start,
		.len = end - start,
		.prot = vma->prot,
		.shared = vma->flags & MAP_SHARED,
		.noreserve = vma->flags & MAP_NORESERVE,
		.host_fd = -1,
	};
	const uint64_t offset = vma->offset + (start - vma->start);

	if (vma->memfile && !vma->file) {
		const bool writable = vma->max_prot & PROT_WRITE;

		map.host_fd = writable ? vma->memfile->host_fd : memfile_reader(vma->memfile);
		if (map.host_fd < 0)
			return map.host_fd;
		map.offset = offset;
	} else if (vma->file) {
		struct mmap_source source = { .host_fd = -1 };
		const int r = vma->file->ops->mmap(vma->file, vma->prot, vma->flags, offset,
						   map.len, &source);

		if (r < 0)
			return r;
		map.host_fd = source.anonymous ? -1 : source.host_fd;
		map.offset = source.anonymous ? 0 : source.offset;
	}
	if (map.host_fd < 0)
		map.shared = false;
	return platform->map(t, &map);
}

int munmap_locked(struct mm *mm, struct platform_thread *t, uaddr_t start, uaddr_t end,
		  struct list_head *dead)
{
	const struct vma *first = mm_find_from(mm, start);
	AUTO(vma_free_p) struct vma *spare = NULL;
	int r = brk_forget_reserve(mm, t, start, end);

	if (r < 0)
		return r;
	if (!first || first->start >= end)
		return 0;
	if (vma_range_needs_spare(mm, start, end)) {
		if (mm->vma_count >= MM_AREAS_MAX)
			return -ENOMEM;
		spare = vma_new(first);
		if (!spare)
			return -ENOMEM;
	}
	r = platform->unmap(t, start, end - start);
	if (r < 0)
		return r;
	vma_remove_range(mm, start, end, &spare, dead);
	return 0;
}

int mm_munmap(struct mm *mm, struct platform_thread *t, uaddr_t addr, uint64_t len)
{
	struct list_head dead;
	int r;

	len = range_len(addr, len);
	if (!len)
		return -EINVAL;
	list_init(&dead);
	kmutex_lock(&mm->lock);
	r = munmap_locked(mm, t, addr, addr + len, &dead);
	kmutex_unlock(&mm->lock);
	vma_free_list(&dead);
	return r;
}

int map_locked(struct mm *mm, struct platform_thread *t, struct vma *vma, struct list_head *dead)
{
	AUTO(vma_free_p) struct vma *spare = NULL;
	int r;

	/* Two more than now: the area itself, and the tail of one that it cuts in two. */
	if (mm->vma_count + 2 > MM_AREAS_MAX)
		return -ENOMEM;
	if (vma_range_needs_spare(mm, vma->start, vma->end)) {
		spare = vma_new(mm_find(mm, vma->start));
		if (!spare)
			return -ENOMEM;
	}
	r = brk_forget_reserve(mm, t, vma->start, vma->end);
	if (r >= 0)
		r = vma_map_host(t, vma, vma->start, vma->end);
	if (r < 0)
		return r;
	vma_remove_range(mm, vma->start, vma->end, &spare, dead);
	vma_insert(mm, vma);
	return 0;
}

/* Mapping type and flags; -EINVAL, -EOPNOTSUPP, -ENOMEM, -EPERM (MAP_LOCKED with limit 0). */
static int judge_flags(int flags, bool with_file, const struct mm_limits *limits)
{
	switch (flags & MAP_TYPE_BITS) {
	case MAP_SHARED_VALIDATE:
		if (flags & ~MAP_KNOWN)
			return -EOPNOTSUPP;
		break;
	case MAP_SHARED:
	case MAP_PRIVATE:
		break;
	default:
		return -EINVAL;
	}
	if (flags & MAP_GROWSDOWN && (with_file || (flags & MAP_TYPE_BITS) != MAP_PRIVATE))
		return -EINVAL;
	if (flags & MAP_LOCKED && !limits->memlock)
		return -EPERM;
	/* As on a host whose pool of huge pages is empty. */
	return flags & MAP_HUGETLB ? -ENOMEM : 0;
}

/* What the file's access mode and mount allow (mmap(2), EACCES and EPERM). */
static int judge_file(const struct file *file, int prot, bool shared, int *ret_max_prot)
{
	int max_prot = PROT_READ | PROT_WRITE | PROT_EXEC;

	if (!file->ops->mmap)
		return -ENODEV;
	if (!(file->mode & FMODE_READ))
		return -EACCES;
	if (shared && !(file->mode & FMODE_WRITE)) {
		if (prot & PROT_WRITE)
			return -EACCES;
		max_prot &= ~PROT_WRITE;
	}
	if (file->path.mnt && file->path.mnt->flags & MOUNT_NOEXEC) {
		if (prot & PROT_EXEC)
			return -EPERM;
		max_prot &= ~PROT_EXEC;
	}
	*ret_max_prot = max_prot;
	return 0;
}

/* Fill in what the pages are: nothing, shared memory of their own, or a file's. */
static int set_backing(struct vma *vma, struct file *file, uint64_t offset, uint64_t len)
{
	struct mmap_source source = { .host_fd = -1 };
	int r;

	vma->kind = VMA_ANON;
	if (file) {
		r = file->ops->mmap(file, vma->prot, vma->flags, offset, len, &source);
		if (r < 0)
			return r;
		if (!source.anonymous) {
			vma->kind = VMA_FILE;
			vma->file = file_ref(file);
			vma->offset = offset;
			if (source.no_write)
				vma->max_prot &= ~PROT_WRITE;
			vma_count_writable(vma, 1);
			return 0;
		}
	}
	return vma->flags & MAP_SHARED ? memfile_new("shared", len, &vma->memfile) : 0;
}

/* Where the mapping goes; -EPERM, -EEXIST, -ENOMEM, -EINVAL. */
static int64_t place(struct mm *mm, uaddr_t addr, uint64_t len, int flags)
{
	if (!(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		return vma_pick(mm, addr, len, flags);
	if (addr % MM_PAGE)
		return -EINVAL;
	if (!range_len(addr, len))
		return -ENOMEM;
	if (addr < PLATFORM_GUEST_BOTTOM)
		return -EPERM;
	if (flags & MAP_FIXED_NOREPLACE && !vma_range_free(mm, addr, addr + len))
		return -EEXIST;
	return (int64_t)addr;
}

/* Bytes of [start, end) that are mapped and counted: a fixed mapping replaces them. */
static uint64_t mapped_bytes(struct mm *mm, uaddr_t start, uaddr_t end)
{
	struct vma *vma;
	uint64_t sum = 0;

	for (vma = mm_find_from(mm, start); vma && vma->start < end; vma = vma_next(vma)) {
		const uaddr_t from = vma->start > start ? vma->start : start;

		sum += (vma->end < end ? vma->end : end) - from;
	}
	return sum;
}

static int64_t map_at(struct mm *mm, struct platform_thread *t, const struct mm_limits *limits,
		      uaddr_t addr, uint64_t len, int flags, struct vma *vma,
		      struct list_head *dead)
{
	const bool locked = vma->flags & MAP_LOCKED || mm->lock_future;
	uint64_t more = len;
	int64_t start;
	int r;

	start = place(mm, addr, len, flags);
	if (start < 0)
		return start;
	if (flags & MAP_FIXED)
		more -= mapped_bytes(mm, addr, addr + len);
	r = vma_may_expand(mm, limits, more, vma->prot, vma->flags, locked);
	if (r < 0)
		return r;
	if (locked)
		vma->flags |= MAP_LOCKED;
	vma->start = (uaddr_t)start;
	vma->end = vma->start + len;
	r = map_locked(mm, t, vma, dead);
	return r < 0 ? r : start;
}

int64_t mm_mmap(struct mm *mm, struct platform_thread *t, const struct mm_limits *limits,
		uaddr_t addr, uint64_t len, int prot, int flags, struct file *file, uint64_t offset)
{
	const bool shared = (flags & MAP_TYPE_BITS) != MAP_PRIVATE;
	AUTO(vma_free_p) struct vma *vma = NULL;
	int max_prot = PROT_READ | PROT_WRITE | PROT_EXEC;
	struct list_head dead;
	int64_t r;

	prot &= PROT_READ | PROT_WRITE | PROT_EXEC;
	if (offset % MM_PAGE || !len)
		return -EINVAL;
	if (len > PLATFORM_GUEST_TOP)
		return -ENOMEM;
	len = page_up(len);
	if (offset > INT64_MAX - len)
		return -EOVERFLOW;
	r = judge_flags(flags, file, limits);
	if (r >= 0 && file)
		r = judge_file(file, prot, shared, &max_prot);
	if (r < 0)
		return r;
	if (mm->personality & READ_IMPLIES_EXEC && prot & PROT_READ && max_prot & PROT_EXEC)
		prot |= PROT_EXEC;
	vma = vma_new(NULL);
	if (!vma)
		return -ENOMEM;
	vma->prot = prot;
	vma->max_prot = max_prot;
	vma->flags = (flags & MAP_KEPT) | (shared ? MAP_SHARED : MAP_PRIVATE);
	r = set_backing(vma, file, offset, len);
	if (r < 0)
		return r;
	list_init(&dead);
	kmutex_lock(&mm->lock);
	r = map_at(mm, t, limits, addr, len, flags, vma, &dead);
	if (r >= 0)
		(void)TAKE_PTR(vma);
	kmutex_unlock(&mm->lock);
	vma_free_list(&dead);
	klog(mm, "mmap of %#llx bytes at %#llx prot %#x flags %#x: %#llx", (unsigned long long)len,
	     (unsigned long long)addr, (unsigned int)prot, (unsigned int)flags,
	     (unsigned long long)r);
	return r;
}

int64_t mm_map_shm(struct mm *mm, struct platform_thread *t, const struct mm_limits *limits,
		   uaddr_t addr, uint64_t len, int prot, int flags, struct memfile *memfile,
		   struct shm_segment *shm)
{
	struct vma *vma = vma_new(NULL);
	struct list_head dead;
	int64_t r;

	if (!vma)
		return -ENOMEM;
	vma->prot = prot;
	vma->max_prot =
		prot & PROT_WRITE ? PROT_READ | PROT_WRITE | PROT_EXEC : PROT_READ | PROT_EXEC;
	vma->flags = MAP_SHARED;
	vma->kind = VMA_SHM;
	vma->memfile = memfile;
	vma->shm = shm;
	list_init(&dead);
	kmutex_lock(&mm->lock);
	r = map_at(mm, t, limits, addr, len, flags, vma, &dead);
	kmutex_unlock(&mm->lock);
	vma_free_list(&dead);
	if (r < 0) {
		/* The references stay the caller's. */
		memfile_ref(memfile);
		vma->shm = NULL;
		vma_free(vma);
	}
	return r;
}

int mm_unmap_shm(struct mm *mm, struct platform_thread *t, uaddr_t addr)
{
	struct list_head dead;
	struct vma *vma;
	int r = -EINVAL;

	list_init(&dead);
	kmutex_lock(&mm->lock);
	vma = mm_find(mm, addr);
	if (vma && vma->kind == VMA_SHM && vma->start - vma->offset == addr) {
		const struct shm_segment *shm = vma->shm;

		r = 0;
		while (r >= 0 && vma && vma->shm == shm && vma->start - vma->offset == addr) {
			const uaddr_t end = vma->end;

			r = munmap_locked(mm, t, vma->start, end, &dead);
			vma = mm_find_from(mm, end);
		}
	}
	kmutex_unlock(&mm->lock);
	vma_free_list(&dead);
	return r;
}
