/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/answers.h - what the platform may tell a thread without a system call.
 *
 * getpid(2) and its like. Whoever must see every call (a tracer, a seccomp filter that does not
 * allow them all, --strace) switches it off for the task, or for all.
 */
#pragma once

#include "sentry/task/task.h"

/* The numbers of a task, or who watches it, have changed. Harmless for one without a thread. */
void task_answers_update(struct task *t);
/* Ids got their names in a user namespace: whoever is in it is told. */
void task_answers_mapped(const struct user_ns *ns);
/* Calls are observed: from now on every one comes here. Boot. */
void task_answers_off(void);
