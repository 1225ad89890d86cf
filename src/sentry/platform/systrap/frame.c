/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers: they are in the host's signal frame in the thread's slot, which the sentry has mapped.
 *
 * The frame is hostile memory, but its words are the guest's own registers: what matters is only
 * that every address inside of it is judged before use. A changed FPU state needs room that the
 * host's frame may not have, so the frame moves to STUB_FRAME, where the sentry makes its own.
 */
#include <errno.h>
#include <string.h>

#include "sentry/arch/fpu.h"
#include "sentry/core/kclock.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define UC_FP_XSTATE	     0x1ul
#define UC_SIGCONTEXT_SS     0x2ul
#define UC_STRICT_RESTORE_SS 0x4ul
#define SELECTORS	     (0x2bull << 48 | 0x33) /* ss, fs, gs, cs: __USER_DS, __USER_CS */
#define FLAGS_RESET	     0x202u
#define XSTATE_MAGIC1	     0x46505853u
#define XSTATE_MAGIC2	     0x46505845u

/* Software bytes of the image in a frame (asm/sigcontext.h, struct _fpx_sw_bytes). */
struct sw_bytes {
	uint32_t magic1, extended_size;
	uint64_t features;
	uint32_t xstate_size;
	uint32_t padding[7];
};

static uint64_t slot_address(const struct platform_thread *t)
{
	return systrap_at(STUB_PRW) + (uint64_t)t->slot * STUB_SLOT_LEN;
}

/* A range of the slot that may hold frames, as the sentry sees it; NULL: it lies elsewhere. */
static uint8_t *in_slot(const struct platform_thread *t, uint64_t address, uint64_t len)
{
	const uint64_t offset = address - slot_address(t);

	if (offset < STUB_FRAME || offset > STUB_SLOT_LEN || len > STUB_SLOT_LEN - offset)
		return NULL;
	return (uint8_t *)t->ctx + offset;
}

bool systrap_frame_ok(const struct platform_thread *t, uint64_t uc)
{
	return uc % 8 == 0 && in_slot(t, uc, STUB_UC_LEN);
}

static ucontext_t *frame(const struct platform_thread *t)
{
	return (ucontext_t *)(void *)in_slot(t, t->uc, STUB_UC_LEN);
}

static uint64_t own_uc(const struct platform_thread *t)
{
	return slot_address(t) + STUB_FRAME;
}

static uint64_t own_fpu(const struct platform_thread *t)
{
	return own_uc(t) + 512;
}

_Static_assert(512 + FPU_SIZE_MAX + 4 <= STUB_FRAME_LEN, "a frame fits");

static void set_stack(struct platform_thread *t, ucontext_t *uc)
{
	uc->uc_link = NULL;
	uc->uc_stack.ss_sp = (void *)(uintptr_t)(slot_address(t) + STUB_SIGSTACK);
	uc->uc_stack.ss_flags = 0;
	uc->uc_stack.ss_size = STUB_SIGSTACK_LEN;
	memset(&uc->uc_sigmask, 0, 8);
}

void systrap_frame_reset(struct platform_thread *t)
{
	ucontext_t *uc;

	t->uc = own_uc(t);
	uc = frame(t);
	memset(uc, 0, STUB_UC_LEN);
	uc->uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	set_stack(t, uc);
	uc->uc_mcontext.gregs[REG_CSGSFS] = (greg_t)SELECTORS;
	uc->uc_mcontext.gregs[REG_EFL] = FLAGS_RESET;
	t->frame_changed = true;
	systrap_put_fs_base(t, 0);
	t->gs_base = 0;
}

/* The image in a frame, if it is one of the usual size. */
static const uint8_t *frame_fpu(const struct platform_thread *t)
{
	const uint64_t at = (uint64_t)(uintptr_t)frame(t)->uc_mcontext.fpregs;
	const uint8_t *image = at ? in_slot(t, at, fpu_size() + 4) : NULL;
	struct sw_bytes sw;

	if (!image)
		return NULL;
	memcpy(&sw, image + FPU_SW_RESERVED, sizeof(sw));
	return sw.magic1 == XSTATE_MAGIC1 && sw.xstate_size == fpu_size() ? image : NULL;
}

static void put_fpu(struct platform_thread *t, const void *image)
{
	const size_t size = fpu_size();
	uint8_t *at = in_slot(t, own_fpu(t), size + 4);
	const struct sw_bytes sw = { .magic1 = XSTATE_MAGIC1,
				     .extended_size = (uint32_t)size + 4,
				     .features = fpu_features(),
				     .xstate_size = (uint32_t)size };
	const uint32_t magic2 = XSTATE_MAGIC2;
	ucontext_t *uc = frame(t);

	memcpy(at, image, size);
	fpu_image_sanitize(at);
	memcpy(at + FPU_SW_RESERVED, &sw, sizeof(sw));
	memcpy(at + size, &magic2, sizeof(magic2));
	uc->uc_mcontext.fpregs = (fpregset_t)(uintptr_t)own_fpu(t);
	uc->uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
}

/* By way of an invalid instruction with all of the guest's registers in place. */
int systrap_frame_ensure(struct platform_thread *t)
{
	int r;

	systrap_flush_wait(t);
	if (!t->fast || t->space->dead)
		return t->space->dead ? -ESRCH : 0;
	t->ctx->ret = t->have_result ? t->result : t->req.nr;
	systrap_reply(t, STUB_ACT_FRAME);
	r = systrap_await(t, nsec_add(kclock_monotonic(), SYSTRAP_ACTION_NS));
	if (r < 0)
		return r;
	t->posted = false;
	t->uc = t->ctx->uc;
	if (t->req.kind != STUB_REQ_FRAMED || !systrap_frame_ok(t, t->uc)) {
		t->uc = 0;
		systrap_space_kill(t->space);
		return -ESRCH;
	}
	t->fast = false;
	t->in_handler = true;
	return 0;
}

/* Every request stores it, few are asked for it: the line stays with the stub's CPU. */
uint64_t systrap_fs_base(const struct platform_thread *t)
{
	return t->fs_known ? t->fs_base : __atomic_load_n(&t->ctx->fs_base, __ATOMIC_RELAXED);
}

/* The register: the slot's address stands for a guest that has none of its own. */
uint64_t systrap_gs_register(const struct platform_thread *t)
{
	return t->gs_base ? t->gs_base : slot_address(t);
}

void systrap_take_gs(struct platform_thread *t)
{
	const uint64_t gs = __atomic_load_n(&t->ctx->gs_base, __ATOMIC_RELAXED);

	t->gs_base = gs == slot_address(t) ? 0 : gs;
}

void systrap_put_fs_base(struct platform_thread *t, uint64_t base)
{
	t->fs_base = base;
	t->fs_known = true;
}

int systrap_frame_rip(const struct platform_thread *t, uint64_t *ret)
{
	if (!t->uc)
		return -ESRCH;
	*ret = (uint64_t)frame(t)->uc_mcontext.gregs[REG_RIP];
	return 0;
}

void systrap_frame_set_rip(struct platform_thread *t, uint64_t rip)
{
	frame(t)->uc_mcontext.gregs[REG_RIP] = (greg_t)rip;
}

void systrap_frame_translate(struct platform_thread *t)
{
	uint64_t rip;

	if (systrap_frame_rip(t, &rip) == 0)
		systrap_frame_set_rip(t, systrap_rip_from_guest(t->space, rip));
}

void systrap_frame_copy(const struct platform_thread *from, struct platform_thread *to)
{
	const uint8_t *image = frame_fpu(from);
	const ucontext_t *src = frame(from);
	ucontext_t *dst;

	to->uc = own_uc(to);
	dst = frame(to);
	memcpy(dst, src, STUB_UC_LEN);
	set_stack(to, dst);
	dst->uc_mcontext.fpregs = NULL;
	dst->uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	if (image)
		put_fpu(to, image);
	to->frame_changed = true;
	systrap_put_fs_base(to, systrap_fs_base(from));
	to->gs_base = from->gs_base;
	to->in_syscall = from->in_syscall;
	to->syscall_nr = from->syscall_nr;
	if (from->have_result)
		systrap_frame_set_rax(to, from->result);
}

void systrap_frame_set_rax(struct platform_thread *t, uint64_t value)
{
	frame(t)->uc_mcontext.gregs[REG_RAX] = (greg_t)value;
}

/* What a patched call preserves; rcx and r11 as the kernel leaves them. */
static void get_saved(struct platform_thread *t, struct user_regs_struct *r)
{
	const struct stub_ctx *c = t->ctx;
	uint64_t rax = t->in_syscall ? (uint64_t)-ENOSYS : t->req.nr;

	if (t->have_result)
		rax = t->result;
	*r = (struct user_regs_struct){
		.r15 = c->r15,
		.r14 = c->r14,
		.r13 = c->r13,
		.r12 = c->r12,
		.rbp = c->rbp,
		.rbx = c->rbx,
		.r11 = FLAGS_RESET,
		.r10 = t->req.args[3],
		.r9 = t->req.args[5],
		.r8 = t->req.args[4],
		.rax = rax,
		.rdx = t->req.args[2],
		.rsi = t->req.args[1],
		.rdi = t->req.args[0],
		.orig_rax = t->in_syscall ? t->syscall_nr : UINT64_MAX,
		.rip = systrap_rip_to_guest(t->space, c->rip),
		.cs = SELECTORS & 0xffff,
		.eflags = FLAGS_RESET,
		.rsp = c->rsp,
		.ss = SELECTORS >> 48,
		.fs_base = systrap_fs_base(t),
		.gs_base = t->gs_base,
	};
	r->rcx = r->rip;
}

int systrap_get_regs(struct platform_thread *t, struct arch_regs *ret)
{
	struct user_regs_struct *r = &ret->r;
	greg_t g[NGREG];
	uint64_t selectors;

	if (!t->space->dead && t->fast) {
		get_saved(t, r);
		return 0;
	}
	if (t->space->dead || !t->uc)
		return -ESRCH;
	memcpy(g, frame(t)->uc_mcontext.gregs, sizeof(g));
	selectors = (uint64_t)g[REG_CSGSFS];
	*r = (struct user_regs_struct){
		.r15 = (uint64_t)g[REG_R15],
		.r14 = (uint64_t)g[REG_R14],
		.r13 = (uint64_t)g[REG_R13],
		.r12 = (uint64_t)g[REG_R12],
		.rbp = (uint64_t)g[REG_RBP],
		.rbx = (uint64_t)g[REG_RBX],
		.r11 = (uint64_t)g[REG_R11],
		.r10 = (uint64_t)g[REG_R10],
		.r9 = (uint64_t)g[REG_R9],
		.r8 = (uint64_t)g[REG_R8],
		.rax = (uint64_t)g[REG_RAX],
		.rcx = (uint64_t)g[REG_RCX],
		.rdx = (uint64_t)g[REG_RDX],
		.rsi = (uint64_t)g[REG_RSI],
		.rdi = (uint64_t)g[REG_RDI],
		.orig_rax = t->in_syscall ? t->syscall_nr : UINT64_MAX,
		.rip = systrap_rip_to_guest(t->space, (uint64_t)g[REG_RIP]),
		.cs = selectors & 0xffff,
		.eflags = (uint64_t)g[REG_EFL],
		.rsp = (uint64_t)g[REG_RSP],
		.ss = selectors >> 48,
		.fs_base = systrap_fs_base(t),
		.gs_base = t->gs_base,
	};
	if (t->have_result)
		r->rax = t->result;
	else if (t->in_syscall && t->in_handler && !t->frame_changed)
		r->rax = (uint64_t)-ENOSYS; /* what a tracer sees before the call is done */
	return 0;
}

int systrap_set_regs(struct platform_thread *t, const struct arch_regs *regs)
{
	const struct user_regs_struct *r = &regs->r;
	greg_t *g;

	if (systrap_frame_ensure(t) < 0 || t->space->dead || !t->uc)
		return -ESRCH;
	g = frame(t)->uc_mcontext.gregs;
	g[REG_R15] = (greg_t)r->r15;
	g[REG_R14] = (greg_t)r->r14;
	g[REG_R13] = (greg_t)r->r13;
	g[REG_R12] = (greg_t)r->r12;
	g[REG_RBP] = (greg_t)r->rbp;
	g[REG_RBX] = (greg_t)r->rbx;
	g[REG_R11] = (greg_t)r->r11;
	g[REG_R10] = (greg_t)r->r10;
	g[REG_R9] = (greg_t)r->r9;
	g[REG_R8] = (greg_t)r->r8;
	g[REG_RAX] = (greg_t)r->rax;
	g[REG_RCX] = (greg_t)r->rcx;
	g[REG_RDX] = (greg_t)r->rdx;
	g[REG_RSI] = (greg_t)r->rsi;
	g[REG_RDI] = (greg_t)r->rdi;
	g[REG_RIP] = (greg_t)systrap_rip_from_guest(t->space, r->rip);
	g[REG_EFL] = (greg_t)r->eflags;
	g[REG_RSP] = (greg_t)r->rsp;
	g[REG_CSGSFS] = (greg_t)SELECTORS;
	memset(&frame(t)->uc_sigmask, 0, 8);
	systrap_put_fs_base(t, r->fs_base);
	t->gs_base = r->gs_base;
	t->have_result = false;
	t->in_syscall = r->orig_rax != UINT64_MAX;
	t->syscall_nr = r->orig_rax;
	t->frame_changed = true;
	return 0;
}

int systrap_get_fpu(struct platform_thread *t, void *ret, size_t len)
{
	const uint8_t *image;

	if (systrap_frame_ensure(t) < 0 || t->space->dead || !t->uc)
		return -ESRCH;
	if (len < fpu_size())
		return -EINVAL;
	image = frame_fpu(t);
	if (!image) {
		fpu_image_reset(ret);
		return 0;
	}
	memcpy(ret, image, fpu_size());
	fpu_image_sanitize(ret);
	memset((uint8_t *)ret + FPU_SW_RESERVED, 0, sizeof(struct sw_bytes));
	return 0;
}

int systrap_set_fpu(struct platform_thread *t, const void *image, size_t len)
{
	if (systrap_frame_ensure(t) < 0 || t->space->dead || !t->uc)
		return -ESRCH;
	if (len < fpu_size())
		return -EINVAL;
	if (t->uc != own_uc(t)) {
		ucontext_t *src = frame(t);

		t->uc = own_uc(t);
		memcpy(frame(t), src, STUB_UC_LEN);
		set_stack(t, frame(t));
	}
	put_fpu(t, image);
	if (t->have_result) {
		systrap_frame_set_rax(t, t->result);
		t->have_result = false;
	}
	t->frame_changed = true;
	return 0;
}
