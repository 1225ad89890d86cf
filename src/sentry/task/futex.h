/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/futex.h - futex(2).
 */
#pragma once

#include "sentry/task/task.h"

/* Wake up to n waiters at an address of the task: how many, or -EFAULT. */
int futex_wake_address(struct task *t, uaddr_t addr, int n);
/* Exit and exec: robust list and PI locks are let go of. */
void futex_task_exit(struct task *t);
