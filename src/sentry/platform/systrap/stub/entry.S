/* SPDX-License-Identifier: Apache-2.0 */
/* The entry point, and what C cannot say: changes of stack. */
#include "sentry/platform/systrap/abi.h"

	.section .text.entry, "ax", @progbits

	.globl	_start
	.type	_start, @function
_start:
	xor	%ebp, %ebp
	mov	%rsp, %rdi
	and	$-16, %rsp
	call	zygote_start
	ud2

/* Where STUB_PRW is; the zygote writes it into the program that it moves. */
	.balign	8
	.globl	stub_slots
stub_slots:
	.quad	STUB_PRW

/* zygote_jump(arg, top, fn) */
	.globl	zygote_jump
	.type	zygote_jump, @function
zygote_jump:
	mov	%rsi, %rsp
	xor	%ebp, %ebp
	call	*%rdx
	ud2

/* zygote_switch(stack, top) */
	.globl	zygote_switch
	.type	zygote_switch, @function
zygote_switch:
	mov	%rsi, %rsp
	xor	%ebp, %ebp
	call	zygote_main
	ud2

	.globl	stub_restorer
	.type	stub_restorer, @function
stub_restorer:
	mov	$15, %eax
	syscall
	ud2

/* stub_sigreturn(uc): the kernel expects the stack pointer at the ucontext. */
	.globl	stub_sigreturn
	.type	stub_sigreturn, @function
stub_sigreturn:
	mov	%rdi, %rsp
	mov	$15, %eax
	syscall
	ud2

/* stub_on_stack(c, nonce, top, fn) */
	.globl	stub_on_stack
	.type	stub_on_stack, @function
stub_on_stack:
	push	%rbp
	mov	%rsp, %rbp
	mov	%rdx, %rsp
	call	*%rcx
	mov	%rbp, %rsp
	pop	%rbp
	ret

/* stub_clone(flags, top, c, nonce) */
	.globl	stub_clone
	.type	stub_clone, @function
stub_clone:
	push	%rbx
	push	%rbp
	mov	%rdx, %rbx
	mov	%rcx, %rbp
	xor	%edx, %edx
	xor	%r10d, %r10d
	xor	%r8d, %r8d
	mov	$56, %eax
	syscall
	test	%rax, %rax
	jz	1f
	pop	%rbp
	pop	%rbx
	ret
1:	mov	%rbx, %rdi
	mov	%rbp, %rsi
	xor	%ebp, %ebp
	call	stub_thread
	ud2

/* stub_copy(dst, src, n): the bytes copied; a fault ends it (stub_on_fault()). */
	.globl	stub_copy
	.type	stub_copy, @function
stub_copy:
	mov	%rdx, %rcx
	.globl	stub_copy_insn
stub_copy_insn:
	rep movsb
	.globl	stub_copy_end
stub_copy_end:
	mov	%rdx, %rax
	sub	%rcx, %rax
	ret

/*
 * From a patched site's slot: rax is the number, rcx where to go on, rcx and r11 are free. Nothing
 * is pushed on the guest's stack: its red zone survives. gs is the slot of this thread, unless the
 * guest has set it: then the signal's stack has to tell the thread (stub_on_fault()).
 */
	.globl	stub_enter
	.type	stub_enter, @function
stub_enter:
	rdgsbase %r11
	sub	stub_slots(%rip), %r11
	shr	$STUB_PRW_SHIFT, %r11
	jne	stub_enter_trap
	movq	%rsp, %gs:CTX_RSP
	movq	%rcx, %gs:CTX_RIP
	movq	%rbx, %gs:CTX_RBX
	movq	%rbp, %gs:CTX_RBP
	movq	%r12, %gs:CTX_R12
	movq	%r13, %gs:CTX_R13
	movq	%r14, %gs:CTX_R14
	movq	%r15, %gs:CTX_R15
	movq	%rax, %gs:CTX_NR
	movq	%rdi, %gs:CTX_ARGS
	movq	%rsi, %gs:CTX_ARGS+8
	movq	%rdx, %gs:CTX_ARGS+16
	movq	%r10, %gs:CTX_ARGS+24
	movq	%r8, %gs:CTX_ARGS+32
	movq	%r9, %gs:CTX_ARGS+40
	movq	%gs:CTX_STACK, %rsp
	movq	%gs:CTX_SELF, %rdi
	cld
	call	stub_fast
/*
 * rax is the result. A signal before the comparison sets CTX_INTR; behind it, up to the end, the
 * handler takes the guest's registers from the save area (stub_on_interrupt()).
 */
	.globl	stub_exit_start
stub_exit_start:
	cmpl	$0, %gs:CTX_INTR
	jne	2f
	movq	%gs:CTX_ARGS, %rdi
	movq	%gs:CTX_ARGS+8, %rsi
	movq	%gs:CTX_ARGS+16, %rdx
	movq	%gs:CTX_ARGS+24, %r10
	movq	%gs:CTX_ARGS+32, %r8
	movq	%gs:CTX_ARGS+40, %r9
	movq	%gs:CTX_RSP, %rsp
	jmp	*%gs:CTX_RIP
	.globl	stub_exit_end
stub_exit_end:
2:	testl	$STUB_INTR_FRAME, %gs:CTX_INTR
	jne	3f
	movq	%gs:CTX_SELF, %rdi
	movq	%rax, %rsi
	call	stub_fast_interrupt
	jmp	stub_exit_start
/* All of the guest's registers but rip, which the handler of SIGILL puts in. */
3:	andl	$~STUB_INTR_FRAME, %gs:CTX_INTR
	movq	%gs:CTX_ARGS, %rdi
	movq	%gs:CTX_ARGS+8, %rsi
	movq	%gs:CTX_ARGS+16, %rdx
	movq	%gs:CTX_ARGS+24, %r10
	movq	%gs:CTX_ARGS+32, %r8
	movq	%gs:CTX_ARGS+40, %r9
	movq	%gs:CTX_RSP, %rsp
	.globl	stub_frame_trap
stub_frame_trap:
	ud2
	.globl	stub_enter_trap
stub_enter_trap:
	ud2

	.section .note.GNU-stack, "", @progbits
