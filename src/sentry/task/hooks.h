/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/hooks.h - who above is told of births and ends (the event stream). */
#pragma once

#include <stdint.h>

struct task;

/* They run in kernel code and must not park; NULL: nobody is told. */
struct task_hooks {
	/* A task was published; flags are CLONE_*. */
	void (*born)(struct task *parent, struct task *child, uint64_t flags);
	/* The last thread of a process ends: its memory and status are still there. */
	void (*ended)(struct task *last);
};

/* Never NULL. */
extern const struct task_hooks *task_hooks;

/* Boot, once; hooks is static. */
void task_set_hooks(const struct task_hooks *hooks);
