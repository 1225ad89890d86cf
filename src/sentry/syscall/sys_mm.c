/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls on the caller's address space: mmap(2), munmap(2), mprotect(2), mremap(2), madvise(2),
 * brk(2), msync(2), mincore(2), mlock(2) and kin, remap_file_pages(2).
 */
#include <string.h>
#include <sys/mman.h>

#include "sentry/syscall/syscall.h"

#define MLOCK_ONFAULT_FLAG 1u
#define MINCORE_CHUNK	   512 /* bytes of the answer written at once */

sysret_t sys_mmap(struct task *t, const struct syscall_args *a)
{
	const struct mm_limits limits = task_mm_limits(t);
	const int prot = arg_int(a, 2), flags = arg_int(a, 3);
	AUTO_FILE struct file *file = NULL;

	if (arg_u64(a, 5) % MM_PAGE)
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS)) {
		file = fd_get(t->files, arg_int(a, 4));
		if (!file)
			return -EBADF;
	}
	return mm_mmap(t->mm, t->thread, &limits, arg_uaddr(a, 0), arg_u64(a, 1), prot, flags, file,
		       file ? arg_u64(a, 5) : 0);
}

sysret_t sys_munmap(struct task *t, const struct syscall_args *a)
{
	return mm_munmap(t->mm, t->thread, arg_uaddr(a, 0), arg_u64(a, 1));
}

sysret_t sys_mprotect(struct task *t, const struct syscall_args *a)
{
	return mm_mprotect(t->mm, t->thread, arg_uaddr(a, 0), arg_u64(a, 1), arg_int(a, 2));
}

sysret_t sys_pkey_mprotect(struct task *t, const struct syscall_args *a)
{
	return arg_int(a, 3) == -1 ? sys_mprotect(t, a) : -EINVAL;
}

sysret_t sys_pkey_alloc(struct task *t, const struct syscall_args *a)
{
	/* flags are reserved; PKEY_DISABLE_ACCESS and PKEY_DISABLE_WRITE */
	return arg_u64(a, 0) || arg_u64(a, 1) & ~3ull ? -EINVAL : -ENOSPC;
}

sysret_t sys_mremap(struct task *t, const struct syscall_args *a)
{
	const struct mm_limits limits = task_mm_limits(t);

	return mm_mremap(t->mm, t->thread, &limits, arg_uaddr(a, 0), arg_u64(a, 1), arg_u64(a, 2),
			 arg_int(a, 3), arg_uaddr(a, 4));
}

sysret_t sys_madvise(struct task *t, const struct syscall_args *a)
{
	return mm_madvise(t->mm, t->thread, arg_uaddr(a, 0), arg_u64(a, 1), arg_int(a, 2));
}

sysret_t sys_brk(struct task *t, const struct syscall_args *a)
{
	const struct mm_limits limits = task_mm_limits(t);

	return (sysret_t)mm_brk(t->mm, t->thread, &limits, arg_uaddr(a, 0));
}

sysret_t sys_msync(struct task *t, const struct syscall_args *a)
{
	return mm_msync(t->mm, arg_uaddr(a, 0), arg_u64(a, 1), arg_int(a, 2));
}

sysret_t sys_mincore(struct task *t, const struct syscall_args *a)
{
	const uaddr_t addr = arg_uaddr(a, 0);
	uint64_t len = arg_u64(a, 1), pages;
	uint8_t resident[MINCORE_CHUNK];
	int r;

	if (addr % MM_PAGE)
		return -EINVAL;
	if (addr > PLATFORM_GUEST_TOP || len > PLATFORM_GUEST_TOP - addr)
		return -ENOMEM;
	pages = (len + MM_PAGE - 1) / MM_PAGE;
	r = mm_check_mapped(t->mm, addr, pages * MM_PAGE);
	if (r < 0)
		return r;
	for (uint64_t done = 0; done < pages; done += MINCORE_CHUNK) {
		const size_t n = pages - done < MINCORE_CHUNK ? pages - done : MINCORE_CHUNK;

		mm_mincore(t->mm, addr + done * MM_PAGE, n, resident);
		if (user_copy_out(task_um(t), arg_uaddr(a, 2) + done, resident, n) < 0)
			return -EFAULT;
		fiber_resched();
	}
	return 0;
}

sysret_t sys_mlock(struct task *t, const struct syscall_args *a)
{
	const struct mm_limits limits = task_mm_limits(t);

	return mm_mlock(t->mm, &limits, arg_uaddr(a, 0), arg_u64(a, 1), true);
}

sysret_t sys_mlock2(struct task *t, const struct syscall_args *a)
{
	return arg_uint(a, 2) & ~MLOCK_ONFAULT_FLAG ? -EINVAL : sys_mlock(t, a);
}

sysret_t sys_munlock(struct task *t, const struct syscall_args *a)
{
	const struct mm_limits limits = task_mm_limits(t);

	return mm_mlock(t->mm, &limits, arg_uaddr(a, 0), arg_u64(a, 1), false);
}

sysret_t sys_mlockall(struct task *t, const struct syscall_args *a)
{
	const struct mm_limits limits = task_mm_limits(t);
	const int flags = arg_int(a, 0);

	if (!flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT)
		return -EINVAL;
	return mm_mlockall(t->mm, &limits, flags);
}

sysret_t sys_munlockall(struct task *t, const struct syscall_args *a)
{
	const struct mm_limits limits = task_mm_limits(t);

	return mm_mlockall(t->mm, &limits, 0);
}

/* Emulated with a mapping of the other pages, as Linux does since 4.0. */
sysret_t sys_remap_file_pages(struct task *t, const struct syscall_args *a)
{
	const struct mm_limits limits = task_mm_limits(t);
	const uaddr_t start = arg_uaddr(a, 0) & ~(MM_PAGE - 1);
	const uint64_t size = arg_u64(a, 1) & ~(MM_PAGE - 1), page = arg_u64(a, 3);
	AUTO_FILE struct file *file = NULL;
	const struct vma *vma;
	int64_t r;
	int prot = 0;

	if (arg_int(a, 2) || !size || size > PLATFORM_GUEST_TOP || page > INT64_MAX / MM_PAGE)
		return -EINVAL;
	kmutex_lock(&t->mm->lock);
	vma = mm_find(t->mm, start);
	if (vma && vma->file && vma->flags & MAP_SHARED && size <= vma->end - start) {
		file = file_ref(vma->file);
		prot = vma->prot;
	}
	kmutex_unlock(&t->mm->lock);
	if (!file)
		return -EINVAL;
	r = mm_mmap(t->mm, t->thread, &limits, start, size, prot, MAP_SHARED | MAP_FIXED, file,
		    page * MM_PAGE);
	return r < 0 ? r : 0;
}
