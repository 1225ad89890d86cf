/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/platform/platform.h - how guest code runs and traps.
 *
 * A space is a guest address space: one host process (a stub). A pthread (platform thread) is a
 * guest thread: one host thread in the stub of its space. Guest memory is ordinary memory of the
 * stub; the kernel chooses every address below PLATFORM_GUEST_TOP and asks a pthread of the space
 * to map, unmap and protect. Everything that a stub says is hostile: implementations validate it
 * against their own records.
 *
 * All operations run on fibers and may park, but pthread_interrupt() and space_dead(). Those that
 * take a pthread are called by the task that the pthread belongs to, while it is in the kernel;
 * the exceptions say so. A stub that dies makes them fail with -ESRCH; the task then dies of
 * SIGKILL.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sentry/arch/regs.h"

typedef uint64_t uaddr_t; /* an address of a guest */

#define PLATFORM_GUEST_BOTTOM 0x10000ull
#define PLATFORM_GUEST_TOP    0x7f0000000000ull /* stubs live above; the guest's TASK_SIZE */

struct platform_space;
struct platform_thread;
struct platform_nursery;

enum platform_event_kind {
	PLATFORM_SYSCALL,   /* nr and args; the result goes in with thread_set_result() */
	PLATFORM_FAULT,	    /* a synchronous signal: info, as the host saw it */
	PLATFORM_INTERRUPT, /* thread_interrupt() took effect; nothing else happened */
	PLATFORM_DEAD,	    /* the stub is gone (killed by the host, out of memory, forged state) */
};

struct platform_event {
	enum platform_event_kind kind;
	uint64_t nr; /* as the guest had it in rax */
	struct syscall_args args;
	siginfo_t info; /* si_signo, si_code, si_addr; and trap_no, error_code beside it */
	uint64_t trap_no, error_code;
};

/* One mapping operation. Addresses and lengths are page-aligned and inside the guest's range. */
struct platform_map {
	uaddr_t addr;
	uint64_t len; /* bytes */
	int prot;     /* PROT_READ|WRITE|EXEC */
	bool shared;  /* MAP_SHARED of host_fd; otherwise private */
	bool noreserve;
	int host_fd;	 /* -1: anonymous. Borrowed until the call returns */
	uint64_t offset; /* bytes, page-aligned */
};

/* Numbers that a thread may learn without a system call. */
struct platform_answers {
	uint32_t tgid, tid, ppid, uid, euid, gid, egid;
};

#define PLATFORM_CPU_WORDS    16    /* of a mask of CPUs */
#define PLATFORM_RESIDENT_MAX 4096u /* pages of one question */

/* getrusage(2), of the whole life of a space. */
struct platform_usage {
	uint64_t min_flt, maj_flt;
	uint64_t max_rss; /* bytes */
};

/* Of all spaces, since the start. */
struct platform_counts {
	uint64_t calls_patched; /* calls that came by a patched site */
	uint64_t calls_trapped; /* and by a signal */
	uint64_t sites_patched;
	uint64_t words_given; /* calls of stubs that waited for the sentry's word */
	uint64_t sites_left;  /* trapped often, and could not be patched when they were looked at */
};

struct platform_ops {
	const char *name;

	/* Before the cage: stubs' binary, zygote, filters. */
	int (*init)(void);

	/*
	 * The part of init() that other processes then work at, for who has something else to do
	 * meanwhile; init() does it otherwise. NULL: there is no such part.
	 */
	int (*begin)(void);

	/*
	 * A process of the host that runs nothing, and of which spaces are made: whoever puts it
	 * into a cgroup has all that come of it there. The first of them is made at once, so that
	 * it can be loaded while both are put there: ret_pidfds has the one and the other, which
	 * stay the nursery's. No other one is made before nursery_placed(). 0, -EAGAIN, -ENOMEM.
	 * NULL where the platform has none.
	 */
	int (*nursery_new)(struct platform_nursery **ret, int ret_pidfds[2]);
	void (*nursery_placed)(struct platform_nursery *n);
	/*
	 * When its process ends before nursery_free(): no space can be made any more. From the
	 * loop, or at once, when it has ended.
	 */
	void (*nursery_on_end)(struct platform_nursery *n, void (*fn)(void *arg), void *arg);
	/*
	 * While it is held (none of its guests runs) the host may stop its processes: what is under
	 * way for them is finished, and questions to them are -EAGAIN.
	 */
	void (*nursery_hold)(struct platform_nursery *n, bool held);
	/* Its process ends; returns when all that came of it have ended, or after 10 s. */
	void (*nursery_free)(struct platform_nursery *n);

	/*
	 * A fresh space with one thread that has not run yet and maps nothing of the guest's. NULL:
	 * of the sandbox's own nursery. -ESRCH: the nursery has ended; -EAGAIN also where it is not
	 * placed yet and its first one is taken.
	 */
	int (*space_new)(struct platform_nursery *from, struct platform_thread **ret);

	/*
	 * A copy of t's space (the host's fork) with one thread: registers and FPU of t. t's own
	 * registers are unchanged.
	 */
	int (*thread_fork)(struct platform_thread *t, struct platform_thread **ret);

	/* One more thread in t's space, also for CLONE_VM without CLONE_THREAD: registers, FPU of
	 * t. */
	int (*thread_clone)(struct platform_thread *t, struct platform_thread **ret);

	/* The thread ends and *t is freed; the space ends with its last thread. Never fails. */
	void (*thread_free)(struct platform_thread *t);

	/* Run guest code until something happens. */
	void (*thread_run)(struct platform_thread *t, struct platform_event *ret);

	/* From any fiber or the loop: end thread_run() of another thread soon, or the next one at
	 * once. Does not park. */
	void (*thread_interrupt)(struct platform_thread *t);

	/* The same of a thread that is to end: where its host thread does not answer, its space is
	 * killed. */
	void (*thread_end)(struct platform_thread *t);

	/*
	 * When the thread's process ends before thread_free(): the host has ended it (out of
	 * memory, a user who kills), or the platform one that did not keep to its rules. A task
	 * that sleeps would not learn of it otherwise: fn(arg), once, from the loop. NULL: nobody
	 * is told; as after thread_free(). Does not park.
	 */
	void (*thread_on_end)(struct platform_thread *t, void (*fn)(void *arg), void *arg);

	/* The result of the system call that thread_run() reported last (rax). */
	void (*thread_set_result)(struct platform_thread *t, uint64_t value);

	/*
	 * General registers as the guest sees them after the event (rip behind the syscall
	 * instruction, orig_rax the number). thread_set_regs() makes the next thread_run() start
	 * from exactly these, fs_base and gs_base included.
	 */
	int (*thread_get_regs)(struct platform_thread *t, struct arch_regs *ret);
	int (*thread_set_regs)(struct platform_thread *t, const struct arch_regs *regs);

	/* XSAVE image in the standard (not compacted) format; len is fpu_size(). set sanitises. */
	int (*thread_get_fpu)(struct platform_thread *t, void *ret, size_t len);
	int (*thread_set_fpu)(struct platform_thread *t, const void *image, size_t len);

	/* Memory of t's space. map replaces what was there. 0 or the host's -errno. */
	int (*map)(struct platform_thread *t, const struct platform_map *map);
	int (*unmap)(struct platform_thread *t, uaddr_t addr, uint64_t len);
	int (*protect)(struct platform_thread *t, uaddr_t addr, uint64_t len, int prot);
	int (*advise)(struct platform_thread *t, uaddr_t addr, uint64_t len, int advice);
	/* Move private anonymous memory: old range goes to new_addr, both inside the guest's range.
	 */
	int (*move)(struct platform_thread *t, uaddr_t old_addr, uint64_t old_len, uaddr_t new_addr,
		    uint64_t new_len);

	/*
	 * Copy between kernel memory and a space, from any fiber. Returns the bytes copied (a fault
	 * ends the copy early) or -ESRCH.
	 */
	ssize_t (*read)(struct platform_space *s, void *dst, uaddr_t src, size_t len);
	ssize_t (*write)(struct platform_space *s, uaddr_t dst, const void *src, size_t len);

	struct platform_space *(*thread_space)(struct platform_thread *t);
	/* Keep a space's identity (not its process) alive for read and write. */
	void (*space_ref)(struct platform_space *s);
	void (*space_unref)(struct platform_space *s);
	bool (*space_dead)(const struct platform_space *s);
	/*
	 * From now on (NULL: no longer) calls of getpid(2) and its like may be answered without an
	 * event. NULL where the platform cannot. Any fiber; does not park.
	 */
	void (*thread_answers)(struct platform_thread *t, const struct platform_answers *answers);
	/* CPU time that the threads of the space, or one thread, have used. */
	uint64_t (*thread_cpu_ns)(struct platform_thread *t);

	/*
	 * Which pages of a mapped range are there: bit 0 of a byte for each (mincore(2)), at most
	 * PLATFORM_RESIDENT_MAX. Any fiber; may park. -EAGAIN: nobody can be asked now, -ESRCH,
	 * -ENOMEM (a hole), -EINVAL. NULL where the platform cannot.
	 */
	int (*space_resident)(struct platform_space *s, uaddr_t addr, size_t pages, uint8_t *ret);
	/* The host's figures of the space's process; as space_resident(). */
	int (*space_usage)(struct platform_space *s, struct platform_usage *ret);
	/* The same of the host thread, which may have served others before; of the caller's. */
	int (*thread_usage)(struct platform_thread *t, struct platform_usage *ret);
	/*
	 * Where the thread may run: bit N is the Nth of the CPUs that the sentry may use. Those
	 * that are made from it inherit it. Any fiber; does not park.
	 */
	void (*thread_affinity)(struct platform_thread *t, const uint64_t mask[PLATFORM_CPU_WORDS]);
	/* Which of these CPUs it was on when it made its last request; UINT32_MAX: unknown. */
	uint32_t (*thread_cpu)(struct platform_thread *t);
	/* NULL: there is nothing to count. Any thread of the sentry's loop; does not park. */
	void (*counts)(struct platform_counts *ret);
	/* How many threads there are of all spaces, and at most. NULL: without a limit. */
	unsigned int (*threads)(unsigned int *ret_most);
};

extern const struct platform_ops platform_ptrace;
extern const struct platform_ops platform_systrap;

/* The platform of this sandbox; set once in boot. */
extern const struct platform_ops *platform;
