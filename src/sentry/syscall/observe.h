/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscall/observe.h - who wants to hear of system calls: the strace log and event points.
 *
 * A call that nobody observes costs one test of a byte of its row. Observers are made in boot; they
 * run in the task's fiber and must not park.
 */
#pragma once

#include "sentry/syscall/syscall.h"

#define OBSERVERS_MAX 4

struct syscall_observer {
	/* Before the call; may be NULL. */
	void (*enter)(struct task *t, uint64_t nr, const struct syscall_args *a);
	/* After it; not for calls that do not return (exit). May be NULL. */
	void (*leave)(struct task *t, uint64_t nr, const struct syscall_args *a, sysret_t result);
};

/*
 * Observe the calls of `expr`: "all", or names with commas. The observer is static. Calls that the
 * platform answers by itself are not seen (task/answers.h). 0, -EINVAL (no such call), -ENOSPC.
 */
int syscall_observe(const struct syscall_observer *observer, const char *expr);

/* The log of calls, decoded by the table's argument kinds; fd is kept. expr "" or NULL: none. */
int strace_setup(const char *expr, int fd);
