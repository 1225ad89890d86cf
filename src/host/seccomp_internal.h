/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/seccomp_internal.h - what the seccomp files of this room share. Not for other rooms.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "host/seccomp.h"

/* One architecture token of struct seccomp_data and the highest number that a profile names for it.
 */
struct seccomp_arch_max {
	uint32_t audit_arch; /* AUDIT_ARCH_* of linux/audit.h */
	uint32_t max;	     /* highest known number, without the x32 bit */
	bool has_x32;	  /* AUDIT_ARCH_X86_64 only: numbers with the x32 bit are in the profile */
	uint32_t x32_max; /* highest known number with the x32 bit, when has_x32 */
};

#define SECCOMP_ARCHS_MAX 24 /* tokens in one program; more than libseccomp knows */
#define SECCOMP_X32_BIT	  0x40000000u

/*
 * Put "answer ENOSYS to numbers above max" in front of a program. The program's instructions are
 * the caller's before and after; -E2BIG when the result exceeds BPF_MAXINSNS, -ENOMEM.
 */
int seccomp_prepend_enosys(struct seccomp_program *program, const struct seccomp_arch_max *archs,
			   size_t len);

/*
 * True if the kernel's rules for seccomp programs hold (bpf_check_classic(),
 * seccomp_check_filter()): 1 to BPF_MAXINSNS instructions, known codes, aligned loads within struct
 * seccomp_data, jumps that stay inside, a return at the end.
 */
bool seccomp_program_is_valid(const struct sock_filter *insns, size_t len);

/* The annotation run.oci.seccomp_fail_unknown_syscall (crun), which makes the result differ. */
bool seccomp_fails_unknown(const struct oci_spec *spec);

/* Words to values of libseccomp or the kernel. -EINVAL for a word that is none. */
enum seccomp_errno_use {
	SECCOMP_NO_ERRNO,
	SECCOMP_ERRNO_VALUE, /* the low bits are an errno, at most 4095 */
	SECCOMP_TRACE_VALUE, /* the low bits are for the tracer, 16 of them */
};
int seccomp_action_from_word(const char *word, uint32_t *ret_action,
			     enum seccomp_errno_use *ret_errno_use);
int seccomp_op_from_word(const char *word, int *ret_op);
int seccomp_arch_from_word(const char *word, uint32_t *ret_token);
int seccomp_flag_from_word(const char *word, unsigned int *ret_flag);
