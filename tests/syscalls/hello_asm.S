/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest guest: no libc, no stack use. Speaks as the other programs do. */
	.globl _start
	.text
_start:
	mov	(%rsp), %rdi		/* argc is at least one */
	test	%rdi, %rdi
	jz	bad
	test	$15, %rsp		/* the stack is aligned */
	jnz	bad
	test	%rdx, %rdx		/* no function to call at exit */
	jnz	bad
	mov	$1, %eax		/* write */
	mov	$1, %edi
	lea	good_text(%rip), %rsi
	mov	$good_end - good_text, %edx
	syscall
	cmp	$good_end - good_text, %rax
	jne	bad
	xor	%edi, %edi
	mov	$231, %eax		/* exit_group */
	syscall
bad:
	mov	$1, %eax
	mov	$1, %edi
	lea	bad_text(%rip), %rsi
	mov	$bad_end - bad_text, %edx
	syscall
	mov	$1, %edi
	mov	$60, %eax		/* exit */
	syscall
	hlt

	.section .rodata
good_text:
	.ascii	"ok start\n1 passed, 0 failed, 0 skipped\n"
good_end:
bad_text:
	.ascii	"not ok start: wrong stack or registers at the start\n0 passed, 1 failed, 0 skipped\n"
bad_end:
	.section .note.GNU-stack, "", @progbits
