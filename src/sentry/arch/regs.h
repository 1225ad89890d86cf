/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/arch/regs.h - the registers of a guest thread, x86-64.
 *
 * General registers in the layout of ptrace(2)'s struct user_regs_struct (<sys/user.h>), so that
 * PTRACE_GETREGS of the guest's own tracers is a copy. The FPU travels apart, as an XSAVE image of
 * the host's size (sentry/arch/fpu.h).
 */
#pragma once

#include <stdint.h>
#include <sys/user.h>

struct arch_regs {
	struct user_regs_struct r;
};

#define ARCH_SYSCALL_ARGS 6

struct syscall_args {
	uint64_t v[ARCH_SYSCALL_ARGS];
};
