/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signal handlers: SIGSYS for every system call of the guest, the synchronous signals of its
 * faults, and SIGURG, by which the sentry interrupts it.
 *
 * They run on the slot's signal stack with SIGURG blocked, so that an interrupt takes effect on the
 * guest's own instructions only. The thread is found by its stack: the guest may have changed gs.
 */
#include "sentry/platform/systrap/stub/stub.h"

#include <linux/audit.h>
#include <signal.h>
#include <ucontext.h>

/* The layout of siginfo_t for SIGSYS (sigaction(2)): si_call_addr, si_syscall, si_arch. */
#define SI_ARCH_OFFSET 28

static struct stub_ctx *this_ctx(void)
{
	const uint64_t here = (uint64_t)__builtin_frame_address(0);
	struct stub_ctx *c;
	uint64_t gs;

	if (here - stub_at(STUB_PRW) >= STUB_PRW_LEN)
		stub_die(1);
	c = stub_slot((unsigned int)((here - stub_at(STUB_PRW)) / STUB_SLOT_LEN));
	__asm__ volatile("rdgsbase %0" : "=r"(gs));
	c->gs_base = gs;
	return c;
}

static void copy(void *dst, const void *src, size_t n)
{
	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n) : : "memory");
}

/*
 * The frame is that of a system call: rip behind it, the number in rax. `ask`: the sentry is to
 * see it even if the stub knows the answer.
 */
static void serve_call(struct stub_ctx *c, ucontext_t *uc, bool ask)
{
	greg_t *g = uc->uc_mcontext.gregs;
	long r;

	if (!ask && stub_answer(c, (uint64_t)g[REG_RAX], &r)) {
		g[REG_RAX] = r;
		return;
	}
	c->args[0] = (uint64_t)g[REG_RDI];
	c->args[1] = (uint64_t)g[REG_RSI];
	c->args[2] = (uint64_t)g[REG_RDX];
	c->args[3] = (uint64_t)g[REG_R10];
	c->args[4] = (uint64_t)g[REG_R8];
	c->args[5] = (uint64_t)g[REG_R9];
	c->uc = (uint64_t)uc;
	stub_post(c, STUB_REQ_SYSCALL | stub_show(c, (uint64_t)g[REG_RAX], c->args),
		  (uint64_t)g[REG_RAX]);
	if (stub_actions(c) == STUB_ACT_RESULT)
		g[REG_RAX] = (greg_t)c->ret;
}

void stub_on_syscall(int sig, void *info, void *ucv)
{
	struct stub_ctx *c = this_ctx();
	ucontext_t *uc = ucv;
	greg_t *g = uc->uc_mcontext.gregs;
	uint32_t arch;

	(void)sig;
	copy(&arch, (const uint8_t *)info + SI_ARCH_OFFSET, sizeof(arch));
	if (arch != AUDIT_ARCH_X86_64) {
		g[REG_RAX] = -38; /* ENOSYS: no 32-bit calls */
		return;
	}
	stub_note_site(c, (uint64_t)g[REG_RIP]);
	serve_call(c, uc, c->site != 0); /* a hot site is to be patched */
}

/* A patched site, by a thread with a gs of its own: registers become those of a trapped call. */
static void serve_patched(struct stub_ctx *c, ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	const bool kicked = c->intr != 0;

	g[REG_RIP] = g[REG_RCX];
	g[REG_R11] = g[REG_EFL];
	c->intr = 0; /* what came on the way here is told by this request */
	c->site = 0;
	serve_call(c, uc, kicked);
}

/* In the stub's own program, on one of its stacks: nothing of the guest's can be resumed. */
static bool is_own(const ucontext_t *uc)
{
	const uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	const uint64_t rsp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];

	return rip - stub_at(STUB_TEXT) < STUB_TEXT_LEN &&
	       rsp - stub_at(STUB_BASE) < STUB_END - STUB_BASE;
}

static void report(struct stub_ctx *c, uint32_t kind, uint64_t nr, ucontext_t *uc)
{
	c->uc = (uint64_t)uc;
	stub_post(c, kind, nr);
	if (stub_actions(c) == STUB_ACT_RESULT)
		uc->uc_mcontext.gregs[REG_RAX] = (greg_t)c->ret;
}

void stub_on_fault(int sig, void *info, void *ucv)
{
	struct stub_ctx *c = this_ctx();
	ucontext_t *uc = ucv;

	if (uc->uc_mcontext.gregs[REG_RIP] == (greg_t)(uint64_t)stub_copy_insn) {
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uint64_t)stub_copy_end;
		return;
	}
	if (sig == SIGILL && uc->uc_mcontext.gregs[REG_RIP] == (greg_t)(uint64_t)stub_frame_trap) {
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)c->rip;
		report(c, STUB_REQ_FRAMED, 0, uc);
		return;
	}
	if (sig == SIGILL && uc->uc_mcontext.gregs[REG_RIP] == (greg_t)(uint64_t)stub_enter_trap) {
		serve_patched(c, uc);
		return;
	}
	if (is_own(uc))
		stub_die(128 + sig);
	copy(c->siginfo, info, sizeof(c->siginfo));
	c->trap_no = (uint64_t)uc->uc_mcontext.gregs[REG_TRAPNO];
	c->error_code = (uint64_t)uc->uc_mcontext.gregs[REG_ERR];
	report(c, STUB_REQ_FAULT, (uint64_t)sig, uc);
}

/*
 * On the short way (fast.c) SIGURG is not blocked. In the stub's program it is noted and served at
 * the exit; between the exit's comparison and its end the guest's registers are complete, but some
 * of them only in the save area.
 */
static bool interrupt_fast(struct stub_ctx *c, ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	const uint64_t rip = (uint64_t)g[REG_RIP];

	if (rip - stub_at(STUB_TEXT) >= STUB_TEXT_LEN)
		return true;
	if (rip <= (uint64_t)stub_exit_start || rip >= (uint64_t)stub_exit_end) {
		c->intr |= STUB_INTR_SIGNAL;
		return false;
	}
	g[REG_RDI] = (greg_t)c->args[0];
	g[REG_RSI] = (greg_t)c->args[1];
	g[REG_RDX] = (greg_t)c->args[2];
	g[REG_R10] = (greg_t)c->args[3];
	g[REG_R8] = (greg_t)c->args[4];
	g[REG_R9] = (greg_t)c->args[5];
	g[REG_RSP] = (greg_t)c->rsp;
	g[REG_RIP] = (greg_t)c->rip;
	return true;
}

void stub_on_interrupt(int sig, void *info, void *ucv)
{
	struct stub_ctx *c = this_ctx();

	(void)sig;
	(void)info;
	if (interrupt_fast(c, ucv))
		report(c, STUB_REQ_INTERRUPT, 0, ucv);
}
