/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/platform/systrap/stub/stub.h - the stub's program: no libc, no writable data, no FPU.
 *
 * What runs here is trusted only to serve a guest that does not attack it. Everything that a guest
 * can make this code do must be harmless to others: the filter, not this program, is the wall.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "sentry/platform/systrap/abi.h"

#define NORETURN __attribute__((noreturn))

static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#define SYS_ARG(x)	     (long)(uintptr_t)(x)
#define SYS1(nr, a)	     sys6(nr, SYS_ARG(a), 0, 0, 0, 0, 0)
#define SYS2(nr, a, b)	     sys6(nr, SYS_ARG(a), SYS_ARG(b), 0, 0, 0, 0)
#define SYS3(nr, a, b, c)    sys6(nr, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), 0, 0, 0)
#define SYS4(nr, a, b, c, d) sys6(nr, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), 0, 0)
#define SYS5(nr, a, b, c, d, e) \
	sys6(nr, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), SYS_ARG(e), 0)

/* The first byte of the program, at STUB_TEXT when nothing was moved. */
extern const char _start[] __attribute__((visibility("hidden")));

/* Where an address of abi.h is. */
static inline uint64_t stub_at(uint64_t address)
{
	return address - STUB_TEXT + (uint64_t)_start;
}

static inline struct stub_ctx *stub_slot(unsigned int slot)
{
	return (struct stub_ctx *)(stub_at(STUB_PRW) + (uint64_t)slot * STUB_SLOT_LEN);
}

static inline uint64_t stub_stack_top(unsigned int slot)
{
	return stub_at(STUB_STACKS) + (uint64_t)(slot + 1) * STUB_STACK_LEN;
}

static inline const volatile struct stub_global *stub_global(void)
{
	return (const volatile struct stub_global *)stub_at(STUB_GRO);
}

NORETURN static inline void stub_die(long code)
{
	for (;;)
		(void)SYS1(SYS_exit_group, code);
}

/* Nothing is looked up through a table: hidden. */
#pragma GCC visibility push(hidden)

/* zygote.c: from the entry code, on the initial stack and then on a stack of its own. */
NORETURN void zygote_start(uintptr_t *stack);
NORETURN void zygote_main(uintptr_t *stack);

/* serve.c */
void stub_post(struct stub_ctx *c, uint32_t kind, uint64_t nr);
/* Carry out actions until one leads back to the guest: that one. May not return. */
uint32_t stub_actions(struct stub_ctx *c);
NORETURN void stub_serve(struct stub_ctx *c);
long stub_fork(struct stub_ctx *c, uint64_t nonce);
NORETURN void stub_thread(struct stub_ctx *c, uint64_t nonce);

/* What the sentry wants to know of the moment of a request. */
void stub_mark(struct stub_ctx *c);
bool stub_polled(const struct stub_ctx *c);

/* notify.c: true: the request of the save area was made as a notification and has an answer. */
bool stub_notify(struct stub_ctx *c);
/* A call has ended: learn where mappings go. */
void stub_note_map(struct stub_ctx *c);

/* trap.c: signal handlers. */
void stub_on_syscall(int sig, void *info, void *uc);
void stub_on_fault(int sig, void *info, void *uc);
void stub_on_interrupt(int sig, void *info, void *uc);

/* fast.c: patched sites. */
long stub_fast(struct stub_ctx *c);
long stub_fast_interrupt(struct stub_ctx *c, long rax);
/* A call that needs no sentry: true, and its result. */
bool stub_answer(const struct stub_ctx *c, uint64_t nr, long *ret);
/* Show the sentry memory that the call will want: STUB_REQ_SHOWS, or 0. */
uint32_t stub_show(struct stub_ctx *c, uint64_t nr, const uint64_t args[6]);
/* Show the sentry a site that traps often. rip: behind the call. */
void stub_note_site(struct stub_ctx *c, uint64_t rip);
/* STUB_ACT_PATCH */
void stub_patch(const struct stub_ctx *c);

/* entry.S */
void stub_enter(void);
/* Bytes copied before a fault. */
size_t stub_copy(void *dst, const void *src, size_t n);
extern const char stub_copy_insn[], stub_copy_end[];
extern const char stub_exit_start[], stub_exit_end[], stub_frame_trap[], stub_enter_trap[];
void stub_restorer(void);
NORETURN void stub_sigreturn(uint64_t uc);
/* Call fn(c, nonce) on another stack, and come back with its result. */
long stub_on_stack(struct stub_ctx *c, uint64_t nonce, uint64_t top,
		   long (*fn)(struct stub_ctx *c, uint64_t nonce));
/* clone(2) of a thread on its own stack; the child goes to stub_thread(c, nonce). */
long stub_clone(uint64_t flags, uint64_t top, struct stub_ctx *c, uint64_t nonce);
NORETURN void zygote_switch(const uintptr_t *stack, uint64_t top);
NORETURN void zygote_jump(void *arg, uint64_t top, uint64_t fn);
extern const char stub_slots[], stub_end[];

#pragma GCC visibility pop
