/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_model.h - an interpreter of classic BPF for seccomp programs, written from the kernel's
 * Documentation/networking/filter.rst, and a naive reading of a profile to compare it with.
 */
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>

#include "hosttest.h"

#include "host/seccomp.h"

static inline uint32_t bpf_run(const struct sock_filter *insns, size_t len,
			       const struct seccomp_data *data)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = { 0 };

	for (size_t pc = 0; pc < len; pc++) {
		const struct sock_filter *f = &insns[pc];
		const uint32_t operand = BPF_SRC(f->code) == BPF_X ? x : f->k;

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(f->k % 4 == 0 && f->k < sizeof(*data));
			memcpy(&a, (const char *)data + f->k, sizeof(a));
			break;
		case BPF_LD | BPF_IMM:
			a = f->k;
			break;
		case BPF_LD | BPF_MEM:
			a = mem[f->k];
			break;
		case BPF_ST:
			mem[f->k] = a;
			break;
		case BPF_MISC | BPF_TAX:
			x = a;
			break;
		case BPF_MISC | BPF_TXA:
			a = x;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
		case BPF_ALU | BPF_AND | BPF_X:
			a &= operand;
			break;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JEQ | BPF_X:
			pc += a == operand ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_X:
			pc += a > operand ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_X:
			pc += a >= operand ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_X:
			pc += (a & operand) ? f->jt : f->jf;
			break;
		case BPF_RET | BPF_K:
			return f->k;
		case BPF_RET | BPF_A:
			return a;
		default:
			fail_msg("instruction %zu has code 0x%x", pc, f->code);
		}
	}
	fail_msg("the program has no end");
	return 0;
}

static inline bool model_compares(const struct oci_seccomp_arg *arg, const __u64 args[6])
{
	const uint64_t v = args[arg->index], d = arg->value;

	if (str_eq(arg->op, "SCMP_CMP_NE"))
		return v != d;
	if (str_eq(arg->op, "SCMP_CMP_LT"))
		return v < d;
	if (str_eq(arg->op, "SCMP_CMP_LE"))
		return v <= d;
	if (str_eq(arg->op, "SCMP_CMP_EQ"))
		return v == d;
	if (str_eq(arg->op, "SCMP_CMP_GE"))
		return v >= d;
	if (str_eq(arg->op, "SCMP_CMP_GT"))
		return v > d;
	assert_string_equal(arg->op, "SCMP_CMP_MASKED_EQ");
	return (v & d) == (arg->value_two & d);
}

static inline bool model_matches(const struct oci_seccomp_rule *rule, const __u64 args[6])
{
	unsigned int seen = 0;
	bool twice = false, all = true, any = false;

	for (size_t i = 0; i < rule->args_len; i++) {
		const bool yes = model_compares(&rule->args[i], args);

		twice |= (seen & 1u << rule->args[i].index) != 0;
		seen |= 1u << rule->args[i].index;
		all &= yes;
		any |= yes;
	}
	return twice ? any : all;
}

static inline uint32_t model_action(const char *word, const struct oci_opt_u64 *errno_ret)
{
	const uint32_t value = errno_ret->set ? (uint32_t)errno_ret->v : EPERM;

	if (str_eq(word, "SCMP_ACT_ALLOW"))
		return SECCOMP_RET_ALLOW;
	if (str_eq(word, "SCMP_ACT_LOG"))
		return SECCOMP_RET_LOG;
	if (str_eq(word, "SCMP_ACT_NOTIFY"))
		return SECCOMP_RET_USER_NOTIF;
	if (str_eq(word, "SCMP_ACT_TRACE"))
		return SECCOMP_RET_TRACE | value;
	if (str_eq(word, "SCMP_ACT_ERRNO"))
		return SECCOMP_RET_ERRNO | value;
	if (str_eq(word, "SCMP_ACT_TRAP"))
		return SECCOMP_RET_TRAP;
	if (str_eq(word, "SCMP_ACT_KILL_PROCESS"))
		return SECCOMP_RET_KILL_PROCESS;
	return SECCOMP_RET_KILL_THREAD;
}

/*
 * What a profile says about one call, rule by rule. Holds for profiles in which all rules of a call
 * have the same action (otherwise libseccomp's own order counts).
 */
static inline uint32_t model_run(const struct oci_seccomp *s, const struct seccomp_data *data)
{
	const uint32_t otherwise = model_action(s->default_action, &s->default_errno_ret);
	uint32_t arch = data->arch, verdict = otherwise;
	bool known = false;
	int highest = 0;

	if (arch == AUDIT_ARCH_X86_64 && (data->nr & 0x40000000)) {
		for (size_t i = 0; i < s->architectures.len; i++) {
			if (str_eq(s->architectures.items[i], "SCMP_ARCH_X32"))
				arch = SCMP_ARCH_X32;
		}
	}
	known = arch == AUDIT_ARCH_X86_64 || arch == SCMP_ARCH_X32;
	for (size_t i = 0; i < s->architectures.len; i++)
		known |=
			str_eq(s->architectures.items[i], "SCMP_ARCH_X86") && arch == SCMP_ARCH_X86;
	if (!known)
		return SECCOMP_RET_KILL_THREAD;
	for (size_t i = 0; i < s->rules_len; i++) {
		for (size_t k = 0; k < s->rules[i].names.len; k++) {
			const int nr =
				seccomp_syscall_resolve_name_arch(arch, s->rules[i].names.items[k]);

			highest = nr > highest ? nr : highest;
			if (nr >= 0 && nr == data->nr && model_matches(&s->rules[i], data->args))
				verdict = model_action(s->rules[i].action, &s->rules[i].errno_ret);
		}
	}
	/* libseccomp: an x32 number in a program without x32 is a foreign architecture, -1 is not.
	 */
	if (arch == AUDIT_ARCH_X86_64 && (uint32_t)data->nr >= 0x40000000u && data->nr != -1)
		verdict = SECCOMP_RET_KILL_THREAD;
	switch (otherwise & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_TRACE:
		return verdict;
	default:
		if (highest > 0 && (uint32_t)data->nr > (uint32_t)highest)
			return SECCOMP_RET_ERRNO | ENOSYS;
		return verdict;
	}
}
