/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/arch/yield.h - sched_yield(2) for hand-overs: what comes back runs at once.
 *
 * With every switch between processes the kernel fills the CPU's stack of return addresses with
 * places of its own (Spectre v2: "RSB filling"). The first return instruction behind a call that
 * switched is then sent there, which costs a quarter of a microsecond on a virtual machine: a
 * tenth of a hand-over. So the call is made inline, and the stack of the CPU is filled again with
 * places here before anything returns. A wrong guess to one of these costs a few nanoseconds.
 *
 * These calls never return: not for a process with a shadow stack (arch_prctl(2)
 * ARCH_SHSTK_ENABLE), which neither the sentry nor its stubs ask for.
 */
#pragma once

#include <sys/syscall.h>

/* To be called inline, before the first return behind a host call that has slept. */
static inline __attribute__((always_inline)) void arch_refill_returns(void)
{
	/* 128: the red zone of x86-64 (System V ABI, 3.2.2); 16 returns are enough for both sides.
	 */
	__asm__ volatile("sub $128, %%rsp\n\t"
			 ".rept 16\n\t"
			 "call 1f\n\t"
			 "int3\n"
			 "1:\n\t"
			 ".endr\n\t"
			 "add $128 + 16 * 8, %%rsp"
			 :
			 :
			 : "memory", "cc");
}

/* sched_yield(2), which cannot fail. */
static inline __attribute__((always_inline)) void arch_yield(void)
{
	long ret = SYS_sched_yield;

	__asm__ volatile("syscall" : "+a"(ret) : : "rcx", "r11", "memory");
	arch_refill_returns();
}
