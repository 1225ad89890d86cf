/* SPDX-License-Identifier: Apache-2.0 */
/*
 * void fiber_switch(void **save_sp, void *load_sp): store the callee-saved registers and the stack
 * pointer, load those of another stack (System V ABI, x86-64). MXCSR and the x87 control word are
 * never changed by the kernel and stay.
 */
	.text
	.globl	fiber_switch
	.hidden	fiber_switch
	.type	fiber_switch, @function
fiber_switch:
	endbr64
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	fiber_switch, . - fiber_switch

/* The first return of a new fiber: r12 is the function, r13 its argument. */
	.globl	fiber_first
	.hidden	fiber_first
	.type	fiber_first, @function
fiber_first:
	endbr64
	movq	%r13, %rdi
	xorl	%ebp, %ebp
	callq	*%r12
	ud2
	.size	fiber_first, . - fiber_first
	.section .note.GNU-stack, "", @progbits
