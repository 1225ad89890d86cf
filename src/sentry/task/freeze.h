/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/freeze.h - private to task/: keep the other threads of a process out of guest code
 * while the kernel reads and writes a word that they change atomically (PI and robust futexes).
 */
#pragma once

#include "sentry/task/task.h"

/* Returns when no other thread of t's process runs guest code; none enters it until the thaw. */
void thread_group_freeze(struct task *t);
void thread_group_thaw(struct task *t);

/* run.c's part: wait while frozen, before guest code; and after it, tell who waits. */
void freeze_gate(struct task *t);
void freeze_left_guest(struct task *t);
