/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/sigframe_user.h - private to task/: signal frames on the guest's stack.
 */
#pragma once

#include "sentry/task/task.h"

/* Enter a handler: the frame is on the guest's stack, registers point to it. 0 or -EFAULT. */
int sigframe_push(struct task *t, int sig, const siginfo_t *info,
		  const struct kernel_sigaction *action, kernel_sigset_t old_blocked);
/* rt_sigreturn(2): 0, or -EFAULT (the frame is bad: SIGSEGV). */
int sigframe_pop(struct task *t);
