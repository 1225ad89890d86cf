/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/task/hooks.h"

static const struct task_hooks none;
const struct task_hooks *task_hooks = &none;

void task_set_hooks(const struct task_hooks *hooks)
{
	task_hooks = hooks;
}
