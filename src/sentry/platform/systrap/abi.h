/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/platform/systrap/abi.h - what the sentry and its stubs share: places, lines, numbers.
 *
 * A stub's own areas lie above PLATFORM_GUEST_TOP, at the same addresses in every stub of a
 * sandbox: those below, moved by a number of pages that is the sandbox's own (ADR 0015). The
 * program is linked for the addresses below; it knows by itself where it is (stub_at()).
 *
 *	STUB_TEXT   r-x  the stub's program, the only place whose system calls the filter judges
 *	STUB_GRO    r--  struct stub_global, written by the sentry
 *	STUB_WRO    r--  a word per thread of the container: threads sleep on it; by the sentry
 *	STUB_IDS    r--  struct stub_ids per thread of the container; by the sentry
 *	STUB_VDSO   r-x  the host's vvar and vdso, moved here
 *	STUB_STACKS rw-  private: a stack per thread, for the stub's program
 *	STUB_PRW    rw-  shared with the sentry, one memfd per process: a slot per thread
 *
 * Everything in STUB_PRW is hostile to the sentry. A slot is struct stub_ctx, a window for copies,
 * room for a frame that the sentry writes, and the host's signal stack, so that the sentry finds
 * a trapped thread's registers without a host call.
 *
 * A conversation: the stub writes a request, raises req_seq and waits until rep_seq is equal; the
 * sentry has then written an action. Only what raises req_seq by one is a request. Or the request
 * is a notification: of the memory call that the stub thinks will be wanted (stub/notify.c). Then
 * neither number changes, and the answer to the notification is the reply.
 */
#pragma once

#define STUB_BASE	 0x7f8000000000
#define STUB_TEXT	 STUB_BASE
#define STUB_TEXT_LEN	 0x10000
#define STUB_GRO	 (STUB_BASE + 0x100000)
#define STUB_GRO_LEN	 0x1000
#define STUB_WRO	 (STUB_BASE + 0x110000)
#define STUB_WRO_LEN	 0x10000
#define STUB_IDS	 (STUB_BASE + 0x120000)
#define STUB_IDS_LEN	 0x80000
#define STUB_VDSO	 (STUB_BASE + 0x200000)
#define STUB_VDSO_LEN	 0x100000
#define STUB_STACKS	 (STUB_BASE + 0x1000000)
#define STUB_STACK_LEN	 0x4000
#define STUB_STACKS_LEN	 (STUB_SLOTS * STUB_STACK_LEN)
#define STUB_PRW	 (STUB_BASE + 0x4000000)
#define STUB_SLOT_LEN	 0x10000
#define STUB_PRW_LEN	 (STUB_SLOTS * STUB_SLOT_LEN)
#define STUB_PRW_SHIFT	 26 /* STUB_PRW_LEN is 1 << this */
#define STUB_END	 (STUB_PRW + STUB_PRW_LEN)
#define STUB_ADDRESS_MAX 0x7ffffffff000

#define STUB_SLOTS   1024		/* threads of one process */
#define STUB_THREADS (STUB_WRO_LEN / 4) /* threads of a container */

/* Parts of a slot. */
#define STUB_WINDOW	  0x1000
#define STUB_WINDOW_LEN	  0x3000
#define STUB_FRAME	  0x4000 /* a frame that the sentry wrote */
#define STUB_FRAME_LEN	  0x3000
#define STUB_IN		  (STUB_WINDOW + 0x2000) /* guest memory that a request shows */
#define STUB_IN_LEN	  0x1000
#define STUB_OUT	  0x7000 /* data for guest memory, until the next reply */
#define STUB_OUT_LEN	  0x2000
#define STUB_SIGSTACK	  0x9000 /* sigaltstack(2) */
#define STUB_SIGSTACK_LEN (STUB_SLOT_LEN - STUB_SIGSTACK)

/* Descriptors of a stub. */
#define STUB_FD_DOORBELL 16 /* eventfd, not blocking */
#define STUB_FD_DONATED	 17 /* a file, while the thread that asked maps it */
#define STUB_FD_PRW	 18 /* STUB_PRW of a child, until it is mapped */
#define STUB_FD_SCOPE	 19 /* rules of Landlock: no signal to another stub */
#define STUB_FD_LIMIT	 64
#define ZYGOTE_FD	 3 /* the zygote's socket */

/* Bits of CTX_INTR: why the way back to the guest is not the short one. */
#define STUB_INTR_SIGNAL 1 /* SIGURG came where it could not be served */
#define STUB_INTR_FRAME	 2 /* a frame is wanted */

/* Trampolines of patched sites: areas of slots near the code, mapped from a sealed memfd. */
#define STUB_AREA_LEN  0x10000
#define STUB_PATCH_LEN 32		      /* bytes of a slot */
#define STUB_COUNTS    STUB_WINDOW	      /* 4096 counters of traps, by a hash of the site */
#define STUB_BATCH     (STUB_WINDOW + 0x1000) /* struct stub_op, ctx->batch_len of them */
#define STUB_BATCH_MAX 24
#define STUB_OUTS_MAX  3
#define STUB_PATH_LEN  512  /* bytes of a path that are shown */
#define STUB_DATA_LEN  4096 /* bytes of data that are shown */
#define STUB_SITE_BACK 9    /* bytes before the return address that a request shows */
#define STUB_SITE_LEN  24

/* The birth notification: a number that no kernel knows. Argument: the nonce. */
#define STUB_NR_RESTRICT 446 /* landlock_restrict_self(2) */
#define STUB_NR_BIRTH	 1023

/* Offsets in struct stub_ctx for the entry code. */
#define CTX_SELF    0
#define CTX_STACK   8
#define CTX_RSP	    16
#define CTX_RIP	    24
#define CTX_RBX	    32
#define CTX_RBP	    40
#define CTX_R12	    48
#define CTX_R13	    56
#define CTX_R14	    64
#define CTX_R15	    72
#define CTX_RFLAGS  80
#define CTX_FS_BASE 88
#define CTX_INTR    96
#define CTX_NR	    136
#define CTX_ARGS    144

#ifndef __ASSEMBLER__
#include <stdint.h>

enum stub_request {
	STUB_REQ_NONE,
	STUB_REQ_READY,		 /* a new thread waits for its first action */
	STUB_REQ_LISTENER,	 /* the template: nr is the filter's listener, args[0] the vdso,
				   args[1] the entry of patched sites */
	STUB_REQ_SYSCALL,	 /* trapped: nr, args; uc is the frame */
	STUB_REQ_FAST,		 /* by a patched site: nr, args; registers are in the save area */
	STUB_REQ_FAULT,		 /* nr: the signal; siginfo, trap_no, error_code; uc is the frame */
	STUB_REQ_INTERRUPT,	 /* SIGURG; uc is the frame */
	STUB_REQ_DONE,		 /* nr: an action's result */
	STUB_REQ_FRAMED,	 /* STUB_ACT_FRAME: uc is the frame now */
	STUB_REQ_FAILED,	 /* nr: the result of a call of the batch that may not fail */
	STUB_REQ_FAST_INTERRUPT, /* SIGURG on the short way back; nr: rax; the save area counts */
};

/* With the kind: in_addr and in_len are valid. */
#define STUB_REQ_SHOWS 0x100u

enum stub_action {
	STUB_ACT_NONE,	    /* there is none yet */
	STUB_ACT_CONTINUED, /* the notified call was made as it stood: its result must be ret */
	STUB_ACT_RESULT,    /* back to the guest with ret in rax */
	STUB_ACT_RESUME,    /* back to the guest, registers as they are in the frame */
	STUB_ACT_SIGRETURN, /* act[0]: address of the frame; act[1]: fs base, act[2]: gs base */
	STUB_ACT_CALL,	    /* host call act[0] (act[1..5], ret); then DONE */
	STUB_ACT_MAPFD,	    /* mmap(act[0..3], STUB_FD_DONATED, act[4]), close; then DONE */
	STUB_ACT_FORK,	    /* act[0]: nonce; the parent says DONE, the child READY */
	STUB_ACT_CLONE,	    /* act[0]: nonce, act[1]: slot; the parent says DONE, the child READY */
	STUB_ACT_FRAME,	    /* make a frame out of the save area; then FRAMED */
	STUB_ACT_PATCH_WAIT, /* as PATCH; then DONE */
	STUB_ACT_SYNC,	     /* only the batch; then DONE */
	STUB_ACT_PATCH,	     /* act: page, protection, site, bytes, their number; then RESULT */
};

struct stub_ctx {
	/* Save area: for a patched site all that a call preserves. */
	uint64_t self;	/* its own address */
	uint64_t stack; /* top of its stack */
	uint64_t rsp, rip, rbx, rbp, r12, r13;
	uint64_t r14, r15, rflags, fs_base;
	uint32_t intr;	 /* STUB_INTR_* */
	uint32_t index;	 /* its word in STUB_WRO */
	uint64_t uc;	 /* the frame of the trap */
	uint64_t site;	 /* a call site that has trapped often, or 0: its return address */
	uint32_t cpu;	 /* where the request was made */
	uint32_t posted; /* low bits of the TSC when the request was made */
	/* Request: one cache line. */
	uint32_t req_seq __attribute__((aligned(64)));
	uint32_t kind;
	uint64_t nr, args[6];
	/* Reply: one cache line. */
	uint32_t rep_seq __attribute__((aligned(64)));
	uint32_t action;
	uint64_t ret, act[6];
	/* Guest memory that lies in STUB_IN. */
	uint64_t in_addr __attribute__((aligned(64)));
	uint64_t in_len;
	/* Calls to make before the action: STUB_BATCH; then copies from STUB_OUT. */
	uint32_t batch_len __attribute__((aligned(64)));
	uint32_t outs;
	struct stub_out {
		uint64_t addr;
		uint32_t offset, len;
	} out[STUB_OUTS_MAX];
	/* A hint that the thread sleeps; the request that will not be answered soon. */
	uint32_t sleep __attribute__((aligned(64)));
	uint32_t parked_seq;
	uint64_t map_end; /* below it the next mapping is expected; 0: nobody knows */
	/* Of STUB_REQ_FAULT. */
	uint8_t siginfo[128] __attribute__((aligned(64)));
	uint64_t trap_no, error_code;
	uint64_t gs_base;		   /* of a trap: the guest may have set it */
	uint8_t site_bytes[STUB_SITE_LEN]; /* around `site`, from STUB_SITE_BACK before it */
};

_Static_assert(STUB_PRW_LEN == 1ull << STUB_PRW_SHIFT, "entry code");
_Static_assert(__builtin_offsetof(struct stub_ctx, intr) == CTX_INTR, "entry code");
_Static_assert(__builtin_offsetof(struct stub_ctx, r15) == CTX_R15, "entry code");
_Static_assert(__builtin_offsetof(struct stub_ctx, fs_base) == CTX_FS_BASE, "entry code");
_Static_assert(__builtin_offsetof(struct stub_ctx, nr) == CTX_NR, "entry code");
_Static_assert(__builtin_offsetof(struct stub_ctx, args) == CTX_ARGS, "entry code");
_Static_assert(sizeof(struct stub_ctx) <= STUB_WINDOW, "the window follows");

/* A host call of the batch. mmap of STUB_FD_DONATED closes it afterwards. */
struct stub_op {
	uint64_t nr, args[6];
	uint64_t expected; /* the only result that is right */
};
_Static_assert(STUB_BATCH_MAX * sizeof(struct stub_op) <= 0x1000, "the batch fits");

struct stub_global {
	uint32_t sleeping; /* the worker sleeps: ring the doorbell */
	uint32_t poller;   /* CPU of a worker that polls, or UINT32_MAX */
	uint64_t spin;	   /* ticks of the TSC that a thread waits for a poller */
	uint32_t patch;	   /* patch call sites */
	uint32_t yields;   /* the worker gives its CPU away and looks again: give it back */
	uint32_t rdpid;	   /* the processor has RDPID */
};

#define STUB_IDS_ANSWERS 1 /* it may be told the ids without the sentry */
#define STUB_IDS_ALONE	 2 /* it is the only one of its process: memory calls may be notified */

/* What a thread may be told without the sentry. */
struct stub_ids {
	uint32_t valid; /* STUB_IDS_* */
	uint32_t tgid, tid, ppid, uid, euid, gid, egid;
};
_Static_assert(STUB_THREADS * sizeof(struct stub_ids) == STUB_IDS_LEN, "one for each thread");

/* The frame that rt_sigreturn(2) reads, as the kernel has it (its sigmask has 8 bytes). */
#define STUB_UC_LEN 304

/* First message to the zygote; descriptors: GRO, WRO, PRW of the template, doorbell, IDS. */
#define ZYGOTE_INIT_FDS 5
struct zygote_init {
	uint64_t slide; /* bytes, modulo 2^64 */
	uint32_t dumpable;
	uint32_t filter_len; /* struct sock_filter, behind this structure */
};
#define ZYGOTE_FILTER_MAX 256

/* Later messages: one byte, descriptors are pidfds of dead processes to be reaped. */
#define ZYGOTE_REAP_MAX 8
#endif
