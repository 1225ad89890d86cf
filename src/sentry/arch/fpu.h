/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/arch/fpu.h - the FPU's state as an XSAVE image in the standard (not compacted) format, as
 * signal frames and PTRACE_GETREGSET NT_X86_XSTATE have it (Intel SDM vol. 1, 13.4).
 *
 * The image holds the components that a process has without asking for more (arch_prctl(2)
 * ARCH_REQ_XCOMP_PERM): AMX tiles are not among them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FPU_LEGACY_SIZE 512		/* FXSAVE's area */
#define FPU_HEADER_SIZE 64		/* XSTATE_BV, XCOMP_BV, reserved */
#define FPU_SIZE_MIN	(512 + 64)	/* bytes */
#define FPU_SIZE_MAX	8192		/* bytes; more is refused at the start */
#define FPU_SW_RESERVED 464		/* offset: bytes of software, 48 of them */
#define FPU_XSTATE_BV	FPU_LEGACY_SIZE /* offset of the header's first word */

/* Read the CPU's layout, once. 0, or -ENOTSUP without XSAVE or with an image past FPU_SIZE_MAX. */
int fpu_init(void);

/* Bytes of an image; FPU_SIZE_MIN before fpu_init(). */
size_t fpu_size(void);

/* The components of an image (bits of XCR0). */
uint64_t fpu_features(void);

/* The state of a program at its start: fpu_size() bytes. */
void fpu_image_reset(void *image);

/*
 * Make an image that a guest wrote fit for XRSTOR: unknown components and MXCSR bits are cleared,
 * the compacted format and reserved words of the header too.
 */
void fpu_image_sanitize(void *image);
