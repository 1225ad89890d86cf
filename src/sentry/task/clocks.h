/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/clocks.h - clock_gettime(2)'s clocks as guests name them.
 */
#pragma once

#include <time.h>

#include "sentry/task/task.h"

#define CLOCK_TICK_NS 10000000ull /* of times(2), proc(5): USER_HZ is 100 */

/* What a clock id is made of. */
enum clock_kind {
	CLOCK_KIND_BAD,
	CLOCK_KIND_REAL, /* since the epoch */
	CLOCK_KIND_MONO, /* the host's CLOCK_MONOTONIC */
	CLOCK_KIND_BOOT,
	CLOCK_KIND_CPU_THREAD,
	CLOCK_KIND_CPU_PROCESS,
};
enum clock_kind clock_kind(clockid_t id);

/* The task that a CPU clock measures: a reference, or NULL (-EINVAL to the guest). */
struct task *clock_task(struct task *t, clockid_t id);
nsec_t clock_cpu_now(const struct task *of, enum clock_kind kind);

/* 0 or -EINVAL. */
int clock_now(struct task *t, clockid_t id, nsec_t *ret);

/* The deadline on CLOCK_MONOTONIC of a moment on a clock that is no CPU clock. */
nsec_t clock_deadline(enum clock_kind kind, nsec_t moment);

/* When to look at a CPU clock again that has to reach `expires`. */
nsec_t clock_cpu_poll(const struct thread_group *tg, nsec_t left);
