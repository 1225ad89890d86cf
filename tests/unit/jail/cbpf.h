/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter run in this process: what seccomp(2) would decide about a call. Knows the instructions
 * that seccomp filters may have and scripts/gen-seccomp makes; anything else fails the test.
 */
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "lib/unit.h"

static inline uint32_t cbpf_run(const struct sock_filter *program, unsigned int len,
				const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (unsigned int at = 0; at < len; at++) {
		const struct sock_filter *i = &program[at];
		bool yes;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(i->k % 4 == 0 && i->k < sizeof(*data));
			memcpy(&a, (const char *)data + i->k, sizeof(a));
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= i->k;
			break;
		default:
			fail_msg("instruction %u: code %#x", at, i->code);
			return 0;
		}
		at += yes ? i->jt : i->jf;
	}
	fail_msg("the program runs past its end");
	return 0;
}

struct cbpf_case {
	const char *what;
	int nr;
	uint64_t args[6];
	uint32_t verdict; /* SECCOMP_RET_* */
};

/* Every row, and every row again with the numbers of x32 and of another architecture. */
static inline void cbpf_check(const struct sock_filter *program, unsigned int len,
			      const struct cbpf_case *cases, size_t n, uint32_t arch_else)
{
	for (size_t i = 0; i < n; i++) {
		struct seccomp_data data = { .nr = cases[i].nr, .arch = AUDIT_ARCH_X86_64 };
		uint32_t verdict;

		memcpy(data.args, cases[i].args, sizeof(data.args));
		verdict = cbpf_run(program, len, &data);
		if (verdict != cases[i].verdict)
			fail_msg("%s (row %zu): %#x instead of %#x", cases[i].what, i, verdict,
				 cases[i].verdict);
		data.nr |= 0x40000000;
		assert_int_equal(cbpf_run(program, len, &data), arch_else);
		data.nr = cases[i].nr;
		data.arch = AUDIT_ARCH_I386;
		assert_int_equal(cbpf_run(program, len, &data), arch_else);
	}
}
