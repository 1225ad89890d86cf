/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/sigframe_user.c - see sigframe_user.h. */
#include "sentry/task/sigframe_user.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/arch/fpu.h"
#include "sentry/arch/sigframe.h"
#include "sentry/task/altstack.h"
#include "sentry/task/run.h"

/* The stack pointer from which the frame grows down; *ret_limit: it must not go below. */
static uint64_t choose_stack(const struct task *t, const struct arch_regs *regs,
			     const struct kernel_sigaction *action, uint64_t *ret_limit)
{
	const uint64_t sp = regs->r.rsp - SIGFRAME_RED_ZONE;

	*ret_limit = 0;
	if ((action->flags & SA_ONSTACK) && altstack_enabled(t) &&
	    !altstack_contains(t, regs->r.rsp)) {
		*ret_limit = t->sig.altstack_addr;
		return t->sig.altstack_addr + t->sig.altstack_len;
	}
	if (altstack_enabled(t) && altstack_contains(t, regs->r.rsp))
		*ret_limit = t->sig.altstack_addr;
	return sp;
}

static int push_fpu(struct task *t, uint64_t at)
{
	const size_t len = sigframe_fpu_size();
	AUTO_FREE uint8_t *image = calloc(1, len);
	int r;

	if (!image)
		return -ENOMEM;
	r = platform->thread_get_fpu(t->thread, image, fpu_size());
	if (r < 0)
		return r;
	sigframe_fpu_seal(image);
	return user_copy_out(task_um(t), at, image, len);
}

int sigframe_push(struct task *t, int sig, const siginfo_t *info,
		  const struct kernel_sigaction *action, kernel_sigset_t old_blocked)
{
	struct arch_regs *regs = task_regs_change(t);
	struct sigframe_input in = {
		.sig = sig,
		.handler = action->handler,
		.restorer = action->restorer,
		.mask = old_blocked,
		.trapno = t->trap_no,
		.err = t->trap_error,
		.cr2 = t->trap_addr,
		.info = info,
		.with_info = action->flags & SA_SIGINFO,
	};
	struct arch_regs after;
	struct sigframe frame;
	uint64_t sp, limit, at, fpu;
	int r;

	if (!regs)
		return -EFAULT;
	altstack_describe(t, regs->r.rsp, &in.stack);
	sp = choose_stack(t, regs, action, &limit);
	at = sigframe_place(sp, sigframe_fpu_size(), &fpu);
	if (at < limit || at > sp)
		return -EFAULT;
	r = push_fpu(t, fpu);
	if (r < 0)
		return r;
	after = *regs;
	sigframe_build(&frame, at, fpu, &in, &after);
	r = user_copy_out(task_um(t), at, &frame, sizeof(frame));
	if (r < 0)
		return r;
	*regs = after;
	if (t->sig.altstack_flags & (int)SS_AUTODISARM)
		altstack_reset(t);
	return 0;
}

/* The FPU image of a frame; one that has no extended part restores the legacy part. */
static int pop_fpu(struct task *t, uint64_t at)
{
	const size_t len = fpu_size();
	AUTO_FREE uint8_t *image = malloc(len);
	int r;

	if (!image)
		return -ENOMEM;
	fpu_image_reset(image);
	if (!at)
		return platform->thread_set_fpu(t->thread, image, len);
	r = user_copy_in(task_um(t), image, at, FPU_LEGACY_SIZE);
	if (r < 0)
		return r;
	if (sigframe_fpu_is_extended(image)) {
		r = user_copy_in(task_um(t), image, at, len);
		if (r < 0)
			return r;
	} else {
		const uint64_t legacy = 3; /* x87 and SSE */

		memcpy(image + FPU_XSTATE_BV, &legacy, sizeof(legacy));
	}
	fpu_image_sanitize(image);
	return platform->thread_set_fpu(t->thread, image, len);
}

int sigframe_pop(struct task *t)
{
	struct arch_regs *regs = task_regs_change(t);
	struct sigframe frame;
	uint64_t at;
	int r;

	if (!regs)
		return -EFAULT;
	at = regs->r.rsp - sizeof(uint64_t); /* the handler's ret took the restorer */
	r = user_copy_in(task_um(t), &frame, at, sizeof(frame));
	if (r < 0)
		return r;
	r = pop_fpu(t, frame.context.fpstate);
	if (r < 0)
		return r;
	sigframe_restore(&frame, regs);
	task_regs_replaced(t);
	t->in_syscall = false;
	signal_set_blocked(t, frame.mask);
	altstack_restore(t, &frame.stack, regs->r.rsp);
	return 0;
}
