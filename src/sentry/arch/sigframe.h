/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/arch/sigframe.h - struct rt_sigframe of Linux, x86-64 (arch/x86/include/asm/sigframe.h,
 * sigcontext.h, ucontext.h): what a handler finds on its stack, and what rt_sigreturn(2) takes
 * back.
 *
 * Pure layout: images in kernel memory; task/ moves them to and from the guest.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sentry/arch/regs.h"

struct sigframe_context {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2;
	uint64_t fpstate; /* address of the XSAVE image, or 0 */
	uint64_t reserved[8];
};

struct sigframe_stack {
	uint64_t sp;
	int32_t flags, pad;
	uint64_t size;
};

struct sigframe {
	uint64_t restorer; /* the return address of the handler */
	uint64_t uc_flags;
	uint64_t uc_link;
	struct sigframe_stack stack;
	struct sigframe_context context;
	uint64_t mask;
	siginfo_t info;
};
_Static_assert(sizeof(struct sigframe) == 8 + 304 + 128, "rt_sigframe of Linux");

#define SIGFRAME_RED_ZONE 128

/* What a frame is made of besides the registers. */
struct sigframe_input {
	int sig;
	uint64_t handler, restorer, mask;
	uint64_t trapno, err, cr2;
	struct sigframe_stack stack;
	const siginfo_t *info;
	bool with_info; /* SA_SIGINFO */
};

/* Where things go for a stack pointer: the image at *ret_fpu, the frame at the result. */
uint64_t sigframe_place(uint64_t sp, size_t fpu_bytes, uint64_t *ret_fpu);

/* Bytes on the guest's stack for the FPU image with its trailing magic number. */
size_t sigframe_fpu_size(void);
/* Mark an image (sigframe_fpu_size() bytes, the first fpu_size() filled) as a frame's. */
void sigframe_fpu_seal(uint8_t *image);
/* Does an image say that it has the whole XSAVE state? Otherwise only the legacy part counts. */
bool sigframe_fpu_is_extended(const uint8_t *legacy);

/* Fill the frame from regs, then make regs those of the handler's start. */
void sigframe_build(struct sigframe *f, uint64_t at, uint64_t fpu, const struct sigframe_input *in,
		    struct arch_regs *regs);
/* Registers from a frame; segments, flags and addresses are made harmless. */
void sigframe_restore(const struct sigframe *f, struct arch_regs *regs);
