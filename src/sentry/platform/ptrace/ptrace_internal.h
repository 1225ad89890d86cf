/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/platform/ptrace/ptrace_internal.h - what the files of the ptrace platform share.
 *
 * The worker thread is the tracer of every stub. A stopped stub executes a call for the kernel
 * ("injection") by running the two instructions of its code page with registers of ours; injections
 * are synchronous: the worker waits for the stop, which takes microseconds.
 */
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include "base/list.h"
#include "sentry/core/waitq.h"
#include "sentry/platform/platform.h"

/*
 * Code page (syscall; int3), then scratch: from its beginning what injected calls read and write,
 * from its end downwards a signal frame (at most AT_MINSIGSTKSZ, with what it lacks of 16 KiB).
 */
#define PTRACE_CODE_LEN	   4096ull
#define PTRACE_SCRATCH_LEN 0x8000ull

struct platform_space {
	unsigned int refs;
	pid_t pid;	      /* thread group leader; its host thread lives as long as the space */
	unsigned int threads; /* platform threads that are in it */
	bool leader_freed, dead;
	struct platform_thread *leader;
};

struct platform_thread {
	struct platform_space *space; /* one reference */
	pid_t tid;
	bool running;	  /* in guest code */
	bool stopped;	  /* a stop has been reported since it began to run */
	bool dead;	  /* the host thread is gone */
	bool interrupted; /* thread_interrupt() that nobody has seen yet */
	int status;	  /* of the stop: waitpid(2) */
	bool regs_valid, regs_dirty;
	struct arch_regs regs;
	struct waitq wait;
	void (*on_end)(void *arg); /* platform_ops.thread_on_end */
	void *on_end_arg;
	struct list_head hash_node;
};

/* Where the code and scratch pages lie in every stub; set by ptrace_seed_start(). */
extern uaddr_t ptrace_code_uaddr, ptrace_scratch_uaddr;

/* filter.c: the filter of every stub, for this code page; its number of instructions. */
#define PTRACE_FILTER_MAX 64
unsigned int ptrace_filter(struct sock_filter ret[static PTRACE_FILTER_MAX]);

/* Make the first stub, which every space is forked from; it never runs guest code. */
int ptrace_seed_start(struct platform_thread **ret);
/* The sentry's end of the socket that stubs take descriptors from. */
extern int ptrace_donor_fd, ptrace_taker_fd_number;

/* Thread records by host tid. */
struct platform_thread *ptrace_thread_new(struct platform_space *space, pid_t tid);
void ptrace_thread_forget(struct platform_thread *t);

/* One call in a stopped stub: its result or -errno; -ESRCH when the stub died. */
int64_t ptrace_inject(struct platform_thread *t, uint64_t nr, const uint64_t args[6]);
/* A clone(2) in t; the new host thread is stopped, traced, and *ret. */
int ptrace_inject_clone(struct platform_thread *t, uint64_t flags, pid_t *ret);
int ptrace_load_regs(struct platform_thread *t);
/* It stands at a fault: which exception, and its error code, as the host's signal frame has them.
 */
bool ptrace_read_trap(struct platform_thread *t, int sig, uint64_t *ret_trap, uint64_t *ret_error);

/* resident.c */
int ptrace_resident(struct platform_space *s, uaddr_t addr, size_t pages, uint8_t *ret);
int ptrace_usage(struct platform_space *s, struct platform_usage *ret);
int ptrace_thread_usage(struct platform_thread *t, struct platform_usage *ret);
/* One that does not run, or NULL. */
struct platform_thread *ptrace_thread_stopped(const struct platform_space *s);

int ptrace_map(struct platform_thread *t, const struct platform_map *map);
int ptrace_unmap(struct platform_thread *t, uaddr_t addr, uint64_t len);
int ptrace_protect(struct platform_thread *t, uaddr_t addr, uint64_t len, int prot);
int ptrace_advise(struct platform_thread *t, uaddr_t addr, uint64_t len, int advice);
int ptrace_move(struct platform_thread *t, uaddr_t old_addr, uint64_t old_len, uaddr_t new_addr,
		uint64_t new_len);
ssize_t ptrace_read(struct platform_space *s, void *dst, uaddr_t src, size_t len);
ssize_t ptrace_write(struct platform_space *s, uaddr_t dst, const void *src, size_t len);
