/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/arch/sigframe.c - see sigframe.h. */
#include "sentry/arch/sigframe.h"

#include <string.h>

#include "sentry/arch/fpu.h"

#define XSTATE_MAGIC1 0x46505853u /* FP_XSTATE_MAGIC1 of asm/sigcontext.h */
#define XSTATE_MAGIC2 0x46505845u

#define UC_FP_XSTATE	     0x1u
#define UC_SIGCONTEXT_SS     0x2u
#define UC_STRICT_RESTORE_SS 0x4u

#define USER_CS 0x33
#define USER_DS 0x2b

/* Flags that a guest may set: OF DF SF ZF AF PF CF, TF, AC, RF is dropped. */
#define EFLAGS_GUEST 0x00040dd5u
#define EFLAGS_FIXED 0x00000202u
#define EFLAGS_ENTRY 0x00010500u /* RF DF TF: cleared for a handler */

/* struct _fpx_sw_bytes at FPU_SW_RESERVED of the image. */
struct sw_bytes {
	uint32_t magic1;
	uint32_t extended_size; /* image and magic2 */
	uint64_t xfeatures;
	uint32_t xstate_size;
	uint32_t padding[7];
};
_Static_assert(sizeof(struct sw_bytes) == 48, "fpx_sw_bytes of Linux");

size_t sigframe_fpu_size(void)
{
	return fpu_size() + sizeof(uint32_t);
}

void sigframe_fpu_seal(uint8_t *image)
{
	const uint32_t magic2 = XSTATE_MAGIC2;
	const struct sw_bytes sw = {
		.magic1 = XSTATE_MAGIC1,
		.extended_size = (uint32_t)sigframe_fpu_size(),
		.xfeatures = fpu_features(),
		.xstate_size = (uint32_t)fpu_size(),
	};

	memcpy(image + FPU_SW_RESERVED, &sw, sizeof(sw));
	memcpy(image + fpu_size(), &magic2, sizeof(magic2));
}

bool sigframe_fpu_is_extended(const uint8_t *legacy)
{
	struct sw_bytes sw;

	memcpy(&sw, legacy + FPU_SW_RESERVED, sizeof(sw));
	return sw.magic1 == XSTATE_MAGIC1 && sw.xstate_size == fpu_size() &&
	       sw.extended_size == sigframe_fpu_size();
}

uint64_t sigframe_place(uint64_t sp, size_t fpu_bytes, uint64_t *ret_fpu)
{
	sp = (sp - fpu_bytes) & ~63ull;
	*ret_fpu = sp;
	sp -= sizeof(struct sigframe);
	return (sp & ~15ull) - 8; /* as after a call instruction */
}

static void save_registers(struct sigframe_context *c, const struct user_regs_struct *r)
{
	c->r8 = r->r8;
	c->r9 = r->r9;
	c->r10 = r->r10;
	c->r11 = r->r11;
	c->r12 = r->r12;
	c->r13 = r->r13;
	c->r14 = r->r14;
	c->r15 = r->r15;
	c->rdi = r->rdi;
	c->rsi = r->rsi;
	c->rbp = r->rbp;
	c->rbx = r->rbx;
	c->rdx = r->rdx;
	c->rax = r->rax;
	c->rcx = r->rcx;
	c->rsp = r->rsp;
	c->rip = r->rip;
	c->eflags = r->eflags;
	c->cs = USER_CS;
	c->ss = USER_DS;
}

void sigframe_build(struct sigframe *f, uint64_t at, uint64_t fpu, const struct sigframe_input *in,
		    struct arch_regs *regs)
{
	memset(f, 0, sizeof(*f));
	f->restorer = in->restorer;
	f->uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	f->stack = in->stack;
	save_registers(&f->context, &regs->r);
	f->context.err = in->err;
	f->context.trapno = in->trapno;
	f->context.cr2 = in->cr2;
	f->context.oldmask = in->mask;
	f->context.fpstate = fpu;
	f->mask = in->mask;
	f->info = *in->info;

	regs->r.rdi = (uint64_t)in->sig;
	regs->r.rsi = at + offsetof(struct sigframe, info);
	regs->r.rdx = at + offsetof(struct sigframe, uc_flags);
	regs->r.rax = 0;
	regs->r.rsp = at;
	regs->r.rip = in->handler;
	regs->r.eflags &= ~(uint64_t)EFLAGS_ENTRY;
	regs->r.cs = USER_CS;
	regs->r.ss = USER_DS;
	regs->r.orig_rax = ~0ull;
}

void sigframe_restore(const struct sigframe *f, struct arch_regs *regs)
{
	const struct sigframe_context *c = &f->context;
	struct user_regs_struct *r = &regs->r;

	r->r8 = c->r8;
	r->r9 = c->r9;
	r->r10 = c->r10;
	r->r11 = c->r11;
	r->r12 = c->r12;
	r->r13 = c->r13;
	r->r14 = c->r14;
	r->r15 = c->r15;
	r->rdi = c->rdi;
	r->rsi = c->rsi;
	r->rbp = c->rbp;
	r->rbx = c->rbx;
	r->rdx = c->rdx;
	r->rax = c->rax;
	r->rcx = c->rcx;
	r->rsp = c->rsp;
	r->rip = c->rip;
	r->eflags = (c->eflags & EFLAGS_GUEST) | EFLAGS_FIXED;
	r->cs = USER_CS;
	r->ss = USER_DS;
	r->orig_rax = ~0ull;
}
