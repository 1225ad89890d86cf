/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/bpf.c - see bpf.h. */
#include "sentry/task/bpf.h"

#include <errno.h>
#include <string.h>

static bool is_alu(uint16_t code)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
	case BPF_SUB:
	case BPF_MUL:
	case BPF_DIV:
	case BPF_OR:
	case BPF_AND:
	case BPF_LSH:
	case BPF_RSH:
	case BPF_NEG:
	case BPF_XOR:
		return true;
	default:
		return false;
	}
}

static bool alu_ok(const struct sock_filter *i)
{
	if (!is_alu(i->code) || (i->code & ~0xfcu & ~3u))
		return false;
	if (BPF_OP(i->code) == BPF_NEG)
		return i->code == (BPF_ALU | BPF_NEG);
	if (BPF_SRC(i->code) == BPF_X)
		return true;
	if (BPF_OP(i->code) == BPF_DIV)
		return i->k != 0;
	if (BPF_OP(i->code) == BPF_LSH || BPF_OP(i->code) == BPF_RSH)
		return i->k < 32;
	return true;
}

static bool load_ok(const struct sock_filter *i, bool *uses_ip)
{
	switch (i->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		if (i->k >= sizeof(struct seccomp_data) || i->k % 4)
			return false;
		if (i->k == offsetof(struct seccomp_data, instruction_pointer) ||
		    i->k == offsetof(struct seccomp_data, instruction_pointer) + 4)
			*uses_ip = true;
		return true;
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
		return true;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return i->k < BPF_MEMWORDS;
	default:
		return false;
	}
}

static bool jump_ok(const struct sock_filter *i, size_t at, size_t len)
{
	const size_t left = len - at - 1; /* instructions behind this one */

	switch (BPF_OP(i->code)) {
	case BPF_JA:
		return i->code == (BPF_JMP | BPF_JA) && i->k < left;
	case BPF_JEQ:
	case BPF_JGT:
	case BPF_JGE:
	case BPF_JSET:
		return i->jt < left && i->jf < left;
	default:
		return false;
	}
}

static bool insn_ok(const struct sock_filter *insns, size_t at, size_t len, bool *uses_ip)
{
	const struct sock_filter *i = &insns[at];

	if (i->code > 0xff)
		return false;
	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
	case BPF_LDX:
	case BPF_ST:
	case BPF_STX:
		return load_ok(i, uses_ip);
	case BPF_ALU:
		return alu_ok(i);
	case BPF_JMP:
		return jump_ok(i, at, len);
	case BPF_RET:
		return i->code == (BPF_RET | BPF_K) || i->code == (BPF_RET | BPF_A);
	default:
		return i->code == (BPF_MISC | BPF_TAX) || i->code == (BPF_MISC | BPF_TXA);
	}
}

int bpf_check(const struct sock_filter *insns, size_t len, bool *ret_uses_ip)
{
	bool uses_ip = false;

	if (!len || len > BPF_LEN_MAX || BPF_CLASS(insns[len - 1].code) != BPF_RET)
		return -EINVAL;
	for (size_t at = 0; at < len; at++)
		if (!insn_ok(insns, at, len, &uses_ip))
			return -EINVAL;
	*ret_uses_ip = uses_ip;
	return 0;
}

struct machine {
	uint32_t a, x;
	uint32_t mem[BPF_MEMWORDS];
};

/* False: a division by zero, which ends the program with 0. */
static bool alu(struct machine *m, const struct sock_filter *i)
{
	const uint32_t v = BPF_SRC(i->code) == BPF_X ? m->x : i->k;

	switch (BPF_OP(i->code)) {
	case BPF_ADD:
		m->a += v;
		break;
	case BPF_SUB:
		m->a -= v;
		break;
	case BPF_MUL:
		m->a *= v;
		break;
	case BPF_DIV:
		if (!v)
			return false;
		m->a /= v;
		break;
	case BPF_OR:
		m->a |= v;
		break;
	case BPF_AND:
		m->a &= v;
		break;
	case BPF_XOR:
		m->a ^= v;
		break;
	case BPF_LSH:
		m->a = m->a << (v & 31);
		break;
	case BPF_RSH:
		m->a = m->a >> (v & 31);
		break;
	default:
		m->a = -m->a;
	}
	return true;
}

static bool taken(const struct machine *m, const struct sock_filter *i)
{
	const uint32_t v = BPF_SRC(i->code) == BPF_X ? m->x : i->k;

	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return m->a == v;
	case BPF_JGT:
		return m->a > v;
	case BPF_JGE:
		return m->a >= v;
	default:
		return m->a & v;
	}
}

static void load(struct machine *m, const struct sock_filter *i, const struct seccomp_data *data)
{
	uint32_t *to = BPF_CLASS(i->code) == BPF_LD ? &m->a : &m->x;

	switch (BPF_MODE(i->code)) {
	case BPF_ABS:
		memcpy(to, (const char *)data + i->k, sizeof(*to));
		break;
	case BPF_LEN:
		*to = sizeof(*data);
		break;
	case BPF_MEM:
		*to = m->mem[i->k];
		break;
	default:
		*to = i->k;
	}
}

/* Does it look at what changes from one call of a number to the next? */
static bool looks_further(const struct sock_filter *i)
{
	const uint16_t class = BPF_CLASS(i->code);

	return (class == BPF_LD || class == BPF_LDX) && BPF_MODE(i->code) == BPF_ABS &&
	       i->k >= offsetof(struct seccomp_data, instruction_pointer);
}

/* False: by_number, and the program looks further. */
static bool run(const struct sock_filter *insns, const struct seccomp_data *data, bool by_number,
		uint32_t *ret)
{
	struct machine m = { 0 };
	const struct sock_filter *i = insns;

	for (;; i++) {
		switch (BPF_CLASS(i->code)) {
		case BPF_LD:
		case BPF_LDX:
			if (by_number && looks_further(i))
				return false;
			load(&m, i, data);
			break;
		case BPF_ST:
			m.mem[i->k] = m.a;
			break;
		case BPF_STX:
			m.mem[i->k] = m.x;
			break;
		case BPF_ALU:
			if (!alu(&m, i)) {
				*ret = 0;
				return true;
			}
			break;
		case BPF_JMP:
			if (BPF_OP(i->code) == BPF_JA)
				i += i->k;
			else
				i += taken(&m, i) ? i->jt : i->jf;
			break;
		case BPF_RET:
			*ret = BPF_RVAL(i->code) == BPF_A ? m.a : i->k;
			return true;
		default:
			if (BPF_MISCOP(i->code) == BPF_TAX)
				m.x = m.a;
			else
				m.a = m.x;
		}
	}
}

uint32_t bpf_run(const struct sock_filter *insns, const struct seccomp_data *data)
{
	uint32_t result = 0;

	(void)run(insns, data, false, &result);
	return result;
}

bool bpf_run_by_number(const struct sock_filter *insns, const struct seccomp_data *data,
		       uint32_t *ret)
{
	return run(insns, data, true, ret);
}
