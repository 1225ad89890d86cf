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

	.section .note.GNU-stack, "", @progbits
