/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/start.h for programs that are linked with -nostdlib -static-pie. No relocations are needed:
 * the code is position independent and holds no pointers in data.
 */
#include "base/start.h"

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sys.h"

#define NO_CANARY __attribute__((no_stack_protector))

#if defined(__x86_64__)
#include <asm/prctl.h>

__asm__(".text\n"
	".globl _start\n"
	".type _start, @function\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call bare_start\n"
	"	hlt\n"
	".globl thread_clone\n"
	".type thread_clone, @function\n"
	"thread_clone:\n" /* rdi: flags, rsi: stack with the function's address on top */
	"	mov $56, %eax\n"
	"	xor %edx, %edx\n"
	"	xor %r10d, %r10d\n"
	"	xor %r8d, %r8d\n"
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jnz 1f\n"
	"	xor %ebp, %ebp\n"
	"	pop %rax\n"
	"	call *%rax\n"
	"	hlt\n"
	"1:	ret\n");

/* gcc reads the canary at %fs:0x28 (System V ABI, thread control block). */
static uint64_t tcb[8];

NO_CANARY static void set_canary(uint64_t value)
{
	tcb[5] = value;
	(void)SYS2(SYS_arch_prctl, ARCH_SET_FS, tcb);
}
#elif defined(__aarch64__)
__asm__(".text\n"
	".globl _start\n"
	".type _start, %function\n"
	"_start:\n"
	"	mov x29, #0\n"
	"	mov x0, sp\n"
	"	bl bare_start\n"
	"	brk #0\n"
	".globl thread_clone\n"
	".type thread_clone, %function\n"
	"thread_clone:\n"
	"	mov x8, #220\n"
	"	mov x2, #0\n"
	"	mov x3, #0\n"
	"	mov x4, #0\n"
	"	svc #0\n"
	"	cbnz x0, 1f\n"
	"	ldr x1, [sp], #16\n"
	"	blr x1\n"
	"	brk #0\n"
	"1:	ret\n");

uintptr_t __stack_chk_guard;

NO_CANARY static void set_canary(uint64_t value)
{
	__stack_chk_guard = (uintptr_t)value;
}
#endif

__attribute__((noreturn)) void __stack_chk_fail(void);
__attribute__((noreturn)) void __stack_chk_fail(void)
{
	for (;;)
		(void)SYS1(SYS_exit_group, 127);
}

/* The initial stack: argc, argv, NULL, envp, NULL, auxv (System V ABI, process initialisation). */
/* AT_RANDOM points to bytes, wherever they are. */
typedef uint64_t __attribute__((aligned(1), may_alias)) random_bytes;

__attribute__((noreturn)) void bare_start(const uintptr_t *stack);
NO_CANARY void bare_start(const uintptr_t *stack)
{
	const uintptr_t argc = stack[0];
	const char *const *argv = (const char *const *)(stack + 1);
	const uintptr_t *p = stack + 1 + argc + 1;
	uint64_t canary = 0;

	while (*p)
		p++;
	for (p++; p[0] != AT_NULL; p += 2) {
		if (p[0] == AT_RANDOM)
			canary = *(const random_bytes *)p[1] & ~(uint64_t)0xff;
	}
	set_canary(canary);
	bare_main((int)argc, argv);
}
