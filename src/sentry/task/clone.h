/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/clone.h - clone(2): a new task from the running one.
 */
#pragma once

#include "sentry/task/task.h"

/* struct clone_args of clone3(2), decoded. */
struct clone_request {
	uint64_t flags; /* CLONE_*, without the exit signal */
	int exit_signal;
	uaddr_t pidfd, child_tid, parent_tid; /* where numbers are written */
	uaddr_t stack;			      /* the child's stack pointer; 0: the parent's */
	uint64_t tls;
	int set_tid[PID_NS_LEVELS_MAX]; /* innermost first */
	size_t set_tid_len;
};

/*
 * The child's number in the caller's namespace, or -errno. With CLONE_VFORK it returns when the
 * child has executed a program or ended.
 */
int64_t task_clone(struct task *t, const struct clone_request *req);
