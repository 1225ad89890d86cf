/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/mm.h - address spaces of guest processes: areas (vmas), brk, mmap and its kin.
 *
 * Shared by tasks that were cloned with CLONE_VM; reference counted. The kernel chooses addresses
 * and keeps the books; the platform maps in the stub. Operations that change mappings take the
 * platform thread of the calling task and hold mm->lock across the platform's work.
 */
#pragma once

#include "base/rbtree.h"
#include "sentry/core/kmutex.h"
#include "sentry/platform/platform.h"
#include "sentry/vfs/file.h"

#define MM_PAGE 4096ull
#define MM_AREAS_MAX \
	65000 /* vm.max_map_count: below the host's, which has the stub's own areas too */

struct shm_segment; /* mm/shm.h */

enum vma_kind {
	VMA_ANON,
	VMA_FILE,
	VMA_HEAP,
	VMA_STACK,
	VMA_VDSO,
	VMA_VVAR,
	VMA_SHM,
};

struct vma {
	struct rb_node node;	    /* by start */
	struct list_head dead_node; /* on its way out */
	uaddr_t start, end;
	int prot;     /* PROT_* as the guest asked */
	int max_prot; /* mprotect's limit: a shared mapping of a read-only file is not writable */
	int flags;    /* MAP_SHARED, MAP_PRIVATE, MAP_NORESERVE, MAP_GROWSDOWN, MAP_LOCKED */
	enum vma_kind kind;
	struct file *file;	 /* VMA_FILE: one reference */
	struct memfile *memfile; /* shared anonymous memory, shm: one reference */
	struct shm_segment *shm; /* VMA_SHM: counted as one attachment */
	uint64_t offset;	 /* of start in file or memfile, bytes */
	uint32_t advice;	 /* VMA_DONTFORK ... */
};

enum vma_advice {
	VMA_DONTFORK = 1u << 0,
	VMA_WIPEONFORK = 1u << 1,
	VMA_DONTDUMP = 1u << 2,
};

/* Bytes that are in memory. */
struct mm_resident {
	uint64_t anon, file, shmem;
};

struct mm {
	struct user_memory um; /* ops read and write through the platform */
	unsigned int refs;
	struct kmutex lock; /* everything below; taken before any vfs lock of a mapped file */
	struct rb_tree vmas;
	unsigned int vma_count;
	uint64_t total, locked, data,
		stack;	  /* bytes, for RLIMIT_AS and friends; total has no stack */
	bool lock_future; /* mlockall(MCL_FUTURE) */
	uaddr_t mmap_top, brk_start, brk, stack_top;
	uaddr_t brk_mapped;	      /* the stub's heap reaches to here, ahead of brk */
	uaddr_t code_start, code_end; /* of the program, for /proc/PID/stat */
	uaddr_t gap_top;	      /* no gap of more than gap_skipped bytes lies above */
	uint64_t gap_skipped;
	uaddr_t arg_start, arg_end, env_start, env_end;
	uint64_t auxv[64];
	size_t auxv_len;	      /* words */
	struct file *exe;	      /* /proc/PID/exe; one reference */
	struct platform_space *space; /* one reference */
	struct mm_resident resident;  /* as it was last */
	bool resident_known;	      /* the platform has said it once */
	struct platform_usage usage;  /* as it was last */
	bool dumpable;
	uint64_t personality;
};

/* Limits that mapping calls obey, in bytes (RLIM_INFINITY: none). */
struct mm_limits {
	uint64_t as, data, stack, memlock;
};

/* An empty address space; takes a reference on space. NULL: out of memory. */
struct mm *mm_new(struct platform_space *space);
struct mm *mm_ref(struct mm *mm);
void mm_unref(struct mm *mm); /* accepts NULL; may park */
/*
 * fork(2): the host's fork of t (platform->thread_fork()) and the child's books, under mm->lock so
 * that both agree; applies VMA_DONTFORK and VMA_WIPEONFORK. 0 or -errno with nothing made.
 */
int mm_fork(struct mm *mm, struct platform_thread *t, struct platform_thread **ret_child,
	    struct mm **ret);

/* mmap(2): the address or -errno. file may be NULL (MAP_ANONYMOUS). */
int64_t mm_mmap(struct mm *mm, struct platform_thread *t, const struct mm_limits *limits,
		uaddr_t addr, uint64_t len, int prot, int flags, struct file *file,
		uint64_t offset);
/* munmap(2): 0, -EINVAL, -ENOMEM. */
int mm_munmap(struct mm *mm, struct platform_thread *t, uaddr_t addr, uint64_t len);
/* mprotect(2): -EINVAL, -ENOMEM (unmapped, or too many areas), -EACCES (max_prot). */
int mm_mprotect(struct mm *mm, struct platform_thread *t, uaddr_t addr, uint64_t len, int prot);
/* mremap(2): the address; -EINVAL, -EFAULT, -ENOMEM, -EAGAIN (locked memory). */
int64_t mm_mremap(struct mm *mm, struct platform_thread *t, const struct mm_limits *limits,
		  uaddr_t old_addr, uint64_t old_len, uint64_t new_len, int flags,
		  uaddr_t new_addr);
/* madvise(2): -EINVAL, -ENOMEM (a hole; the rest is advised), -EPERM, -EACCES. */
int mm_madvise(struct mm *mm, struct platform_thread *t, uaddr_t addr, uint64_t len, int advice);
/* brk(2): the new (or unchanged) break. */
uaddr_t mm_brk(struct mm *mm, struct platform_thread *t, const struct mm_limits *limits,
	       uaddr_t brk);

/* mlock(2) and munlock(2): books only. -ENOMEM (a hole, or RLIMIT_MEMLOCK), -EPERM (limit 0). */
int mm_mlock(struct mm *mm, const struct mm_limits *limits, uaddr_t addr, uint64_t len, bool lock);
/* mlockall(2), flags MCL_*; 0 is munlockall(2). */
int mm_mlockall(struct mm *mm, const struct mm_limits *limits, int flags);
/* msync(2): shared file mappings are one with the host's page cache; MS_SYNC asks for fsync. */
int mm_msync(struct mm *mm, uaddr_t addr, uint64_t len, int flags);
/* Every page of the range is mapped: 0, -ENOMEM. Takes mm->lock. */
int mm_check_mapped(struct mm *mm, uaddr_t addr, uint64_t len);

/*
 * Map a SysV segment (shmat(2)): takes over one attachment of shm and one reference on memfile on
 * success only. flags may have MAP_FIXED.
 */
int64_t mm_map_shm(struct mm *mm, struct platform_thread *t, const struct mm_limits *limits,
		   uaddr_t addr, uint64_t len, int prot, int flags, struct memfile *memfile,
		   struct shm_segment *shm);
/* shmdt(2): unmap the attachment that begins at addr. -EINVAL: there is none. */
int mm_unmap_shm(struct mm *mm, struct platform_thread *t, uaddr_t addr);

/*
 * What is in memory, as the platform says: of everything (takes mm->lock), of one area (under
 * mm->lock). May park.
 */
void mm_resident(struct mm *mm, struct mm_resident *ret);
uint64_t mm_area_resident(struct mm *mm, struct vma *vma);
/*
 * The same page by page, 0 or 1 for each of at most PLATFORM_RESIDENT_MAX: mincore(2). Locked pages
 * are there, and all are where the platform cannot tell. Takes mm->lock.
 */
void mm_mincore(struct mm *mm, uaddr_t addr, size_t pages, uint8_t *ret);
/* Faults and peak now, or what was last known of them; the mm's. May park. */
const struct platform_usage *mm_usage(struct mm *mm);
/*
 * The most that was resident as mm_usage() knew it last, in bytes, never 0 of a mm with memory. The
 * host counts pages per CPU and in batches of 32 and more, so that it may know none of a small
 * process: then each fault counts as a page. Where the host was never asked, all that is mapped.
 */
uint64_t mm_peak(const struct mm *mm);

/* The area that contains addr, or NULL; mm->lock is held. */
struct vma *mm_find(struct mm *mm, uaddr_t addr);
/* The first area that ends above addr, or NULL; mm->lock is held. */
struct vma *mm_find_from(struct mm *mm, uaddr_t addr);
struct vma *vma_next(struct vma *vma);

/* What a fault at addr is to the guest: si_code SEGV_MAPERR, SEGV_ACCERR (BUS_ADRERR comes from
 * the host as it is). */
int mm_fault_code(struct mm *mm, uaddr_t addr);

/*
 * A fault below an area that grows down (MAP_GROWSDOWN, the stack): extend it to addr, unless a
 * limit or the guard gap forbids it. true: the access can be tried again.
 */
bool mm_grow_down(struct mm *mm, struct platform_thread *t, const struct mm_limits *limits,
		  uaddr_t addr);

/*
 * Load a program into the fresh space of thread t (execve(2)): ELF static, PIE, with interpreter;
 * scripts were resolved by the caller. Fills mm and the registers of the start.
 */
struct exec_image {
	struct file *file; /* the program, opened for execution */
	const char *path;  /* AT_EXECFN */
	char *const *argv; /* kernel strings */
	char *const *envp;
	const struct cred *cred;
	bool secure;		   /* AT_SECURE */
	const struct vfs_ctx *ctx; /* to open the interpreter */
	const struct mm_limits *limits;
};
int mm_load(struct mm *mm, struct platform_thread *t, const struct exec_image *image,
	    struct arch_regs *ret);
