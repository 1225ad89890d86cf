/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/start.h - the entry point of programs without a libc, and the two things that a libc would
 * have done: the stack protector's canary and a way to start a thread. Such a program compiles
 * base/start.c itself; it costs nothing at its start but its own pages.
 */
#pragma once

#include <stdint.h>

/* The program's own main(): it ends with exit_group(2). argv[argc] is NULL, the environment behind.
 */
__attribute__((noreturn)) void bare_main(int argc, const char *const *argv);

/*
 * clone(2) with a stack on top of which lies the address of a function that never returns. The
 * thread's id, or -errno.
 */
long thread_clone(unsigned long flags, uint64_t *stack_top);
