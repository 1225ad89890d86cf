/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two forms of call sites that can be patched, and the code that replaces them.
 *
 *	mov $nr,%eax; syscall		->  jmp slot; two invalid bytes
 *	syscall; instructions		->  jmp slot; invalid bytes
 *
 * The second needs at least three bytes of whole instructions that do not care where they are: no
 * branch, nothing relative to rip. The slot: [mov $nr,%eax]; lea after,%rcx; jmp *entry; after:
 * [the instructions; jmp back]. The bytes are a guest's: wrong ones harm only that guest.
 */
#include <string.h>

#include "sentry/platform/systrap/patch.h"

#define OP_JMP	  0xe9
#define INVALID	  0x06 /* no instruction in 64-bit mode */
#define JUMP_LEN  5
#define MOV_LEN	  5
#define MOVED_MAX 6 /* bytes that fit a site of 8 */
#define NOP_FILL  0x90

static bool is_rex(uint8_t b)
{
	return (b & 0xf0) == 0x40;
}

/* Length of an operation with a register or a stack operand behind its opcode; 0: another form. */
static unsigned int modrm_len(const uint8_t *p)
{
	const uint8_t mod = p[0] >> 6, rm = p[0] & 7;

	if (mod == 3)
		return 1;
	if (mod == 1)
		return rm == 4 ? 3 : 2;
	return 0;
}

/* Length of an instruction that can be moved, or 0. At least eight bytes can be read. */
static unsigned int movable(const uint8_t *p)
{
	const unsigned int rex = is_rex(p[0]) ? 1 : 0;
	const bool wide = rex && p[0] & 8;
	const uint8_t op = p[rex];
	unsigned int len;

	switch (op) {
	case 0x3d: /* cmp $imm32,%eax */
	case 0x05: /* add */
	case 0x25: /* and */
		return rex + 5;
	case 0x01:
	case 0x03:
	case 0x09:
	case 0x0b:
	case 0x21:
	case 0x23:
	case 0x29:
	case 0x2b:
	case 0x31:
	case 0x33:
	case 0x39:
	case 0x3b:
	case 0x85:
	case 0x89:
	case 0x8b:
	case 0x63:
		len = modrm_len(p + rex + 1);
		return len ? rex + 1 + len : 0;
	case 0x83: /* with an immediate byte */
	case 0xc1:
		len = modrm_len(p + rex + 1);
		return len ? rex + 2 + len : 0;
	case 0x90:
		return rex + 1;
	case 0xc9: /* leave */
		return rex + 1;
	default:
		if (op >= 0x50 && op <= 0x5f) /* push, pop */
			return rex + 1;
		if (op >= 0xb8 && op <= 0xbf && !wide) /* mov $imm32,%reg */
			return rex + 5;
		return 0;
	}
}

/* `ret` and what compilers put behind it, which nobody executes. */
static bool is_padded_ret(const uint8_t *p)
{
	static const uint8_t fills[][2] = { { 0x90, 0x90 }, { 0xcc, 0xcc }, { 0x0f, 0x1f },
					    { 0x66, 0x0f }, { 0x66, 0x90 }, { 0x66, 0x2e },
					    { 0x66, 0x66 } };

	if (p[0] != 0xc3)
		return false;
	for (unsigned int i = 0; i < sizeof(fills) / sizeof(fills[0]); i++) {
		if (memcmp(p + 1, fills[i], 2) == 0)
			return true;
	}
	return false;
}

static bool judge_load(const uint8_t *rip, uint64_t at, uint64_t nr, struct patch_code *ret)
{
	uint32_t imm;

	memcpy(&imm, rip - 6, sizeof(imm));
	if (rip[-7] != 0xb8 || imm != nr || is_rex(rip[-8]))
		return false;
	*ret = (struct patch_code){ .site = at - 7, .len = 7, .loads_nr = true, .nr = imm };
	ret->bytes = (uint64_t)INVALID << 40 | (uint64_t)INVALID << 48 | OP_JMP;
	return true;
}

bool patch_code_judge(const uint8_t *bytes, uint64_t at, uint64_t nr, struct patch_code *ret)
{
	const uint8_t *rip = bytes + STUB_SITE_BACK;
	unsigned int moved = 0;

	if (rip[-2] != 0x0f || rip[-1] != 0x05)
		return false;
	if (judge_load(rip, at, nr, ret))
		return true;
	if (is_padded_ret(rip)) {
		moved = 1;
	} else {
		while (moved < 3) {
			const unsigned int len = movable(rip + moved);

			if (len == 0 || moved + len > MOVED_MAX)
				return false;
			moved += len;
		}
	}
	*ret = (struct patch_code){ .site = at - 2, .moved = moved, .bytes = OP_JMP };
	ret->len = moved < 3 ? JUMP_LEN : 2 + moved;
	memcpy(ret->moved_bytes, rip, moved);
	for (unsigned int i = JUMP_LEN; i < ret->len; i++)
		ret->bytes |= (uint64_t)INVALID << 8 * i;
	return true;
}

static unsigned int put32(uint8_t *p, uint64_t v)
{
	const uint32_t low = (uint32_t)v;

	memcpy(p, &low, sizeof(low));
	return sizeof(low);
}

void patch_code_slot(const struct patch_code *code, uint64_t slot, uint64_t area,
		     uint8_t ret[static STUB_PATCH_LEN])
{
	uint8_t *p = ret;
	uint64_t after;

	memset(ret, INVALID, STUB_PATCH_LEN);
	if (code->loads_nr) {
		*p++ = 0xb8;
		p += put32(p, code->nr);
		after = code->site + code->len;
	} else {
		after = slot + PATCH_AFTER;
	}
	/* lea after(%rip),%rcx */
	*p++ = 0x48;
	*p++ = 0x8d;
	*p++ = 0x0d;
	p += put32(p, after - (slot + (uint64_t)(p - ret) + 4));
	/* jmp *area(%rip) */
	*p++ = 0xff;
	*p++ = 0x25;
	p += put32(p, area - (slot + (uint64_t)(p - ret) + 4));
	if (code->loads_nr)
		return;
	memcpy(p, code->moved_bytes, code->moved);
	p += code->moved;
	if (code->moved_bytes[0] == 0xc3)
		return;
	*p++ = OP_JMP;
	(void)put32(p, code->site + code->len - (slot + (uint64_t)(p - ret) + 4));
}
