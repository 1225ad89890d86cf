/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answering ENOSYS to system calls that a profile could not know.
 *
 * A number above every one that a profile names is a call that its author (or libseccomp) did not
 * know. Refused with EPERM, programs take the kernel for one that forbids the call and fail; told
 * ENOSYS, they fall back to the older call. The stub below is put before the compiled program:
 *
 *	ld  arch
 *	jeq ARCH_0, section 0          one line per architecture; native first
 *	...
 *	ja  program                    another architecture: the program's own business
 *	section n:
 *	ld  nr
 *	jset X32_BIT, x32 part         x86-64 with x32 only
 *	jgt MAX, ret ENOSYS
 *	ja  program
 *	ret ENOSYS
 *
 * The kernel's bitmap of calls that are always allowed (Linux 5.11) sees through these
 * instructions, so they cost nothing for calls without argument rules.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "host/seccomp_internal.h"

#define SECTION_MAX 8 /* instructions */
#define RET_ENOSYS  (SECCOMP_RET_ERRNO | ENOSYS)

static void emit(struct sock_filter *out, size_t *len, struct sock_filter insn)
{
	out[(*len)++] = insn;
}

/* Compare the loaded number; falls out of the stub or returns ENOSYS. `ja` is patched by the
 * caller. */
static void emit_limit(struct sock_filter *out, size_t *len, uint32_t max)
{
	emit(out, len, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, max, 1, 0));
	emit(out, len, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
	emit(out, len, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, RET_ENOSYS));
}

static size_t emit_section(struct sock_filter *out, const struct seccomp_arch_max *arch)
{
	size_t len = 0;

	emit(out, &len,
	     (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					  offsetof(struct seccomp_data, nr)));
	if (arch->has_x32)
		emit(out, &len,
		     (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SECCOMP_X32_BIT, 3,
						  0));
	emit_limit(out, &len, arch->max);
	if (arch->has_x32)
		emit_limit(out, &len, arch->x32_max | SECCOMP_X32_BIT);
	return len;
}

/* Every `ja` of the stub means "to the program", which begins at `end`. */
static void patch_jumps(struct sock_filter *stub, size_t end)
{
	for (size_t i = 0; i < end; i++) {
		if (stub[i].code == (BPF_JMP | BPF_JA))
			stub[i].k = (uint32_t)(end - i - 1);
	}
}

int seccomp_prepend_enosys(struct seccomp_program *program, const struct seccomp_arch_max *archs,
			   size_t len)
{
	struct sock_filter stub[2 + SECCOMP_ARCHS_MAX + SECCOMP_ARCHS_MAX * SECTION_MAX];
	struct sock_filter *joined;
	size_t n = 0, section;

	if (len == 0)
		return 0;
	if (len > SECCOMP_ARCHS_MAX)
		return -E2BIG;
	emit(stub, &n,
	     (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					  offsetof(struct seccomp_data, arch)));
	section = n + len + 1;
	for (size_t i = 0; i < len; i++) {
		/* At most 24 * (1 + 8) instructions away: fits the eight bits of a jump. */
		emit(stub, &n,
		     (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, archs[i].audit_arch,
						  (uint8_t)(section - n - 1), 0));
		section += emit_section(&stub[section], &archs[i]);
	}
	emit(stub, &n, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
	n = section;
	patch_jumps(stub, n);

	if (program->len + n > BPF_MAXINSNS)
		return -E2BIG;
	joined = calloc(program->len + n, sizeof(*joined));
	if (!joined)
		return -ENOMEM;
	memcpy(joined, stub, n * sizeof(*joined));
	memcpy(joined + n, program->insns, program->len * sizeof(*joined));
	free(program->insns);
	program->insns = joined;
	program->len += n;
	return 0;
}
