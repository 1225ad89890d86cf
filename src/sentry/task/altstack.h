/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/altstack.h - sigaltstack(2).
 */
#pragma once

#include "sentry/arch/sigframe.h"
#include "sentry/task/task.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif
#define ALTSTACK_MIN 2048 /* MINSIGSTKSZ of the kernel's ABI */

bool altstack_enabled(const struct task *t);
bool altstack_contains(const struct task *t, uint64_t sp);
void altstack_reset(struct task *t);
/* stack_t as the guest sees it with this stack pointer. */
void altstack_describe(const struct task *t, uint64_t sp, struct sigframe_stack *ret);
/* 0, -EPERM (in use), -EINVAL, -ENOMEM (too small). */
int altstack_set(struct task *t, uint64_t sp, const struct sigframe_stack *s);
/* What rt_sigreturn(2) does with the stack_t of the frame: errors are ignored. */
void altstack_restore(struct task *t, const struct sigframe_stack *s, uint64_t sp);
