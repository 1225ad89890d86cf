/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/first.h - processes that the runtime asks for: the container's first and those of
 * exec.
 */
#pragma once

#include "base/err.h"
#include "sentry/boot/terminal.h"
#include "sentry/task/task.h"
#include "wire/sentry_msg.h"

struct first_options {
	const struct sentry_process *process;
	struct container *container;
	struct namespaces *ns;
	struct mount_ns *mounts; /* its root is the process's root */
	const int *host_fds;	 /* 0, 1, 2 and preserve_fds more; taken over, also on failure */
	struct terminal **ret_terminal; /* set where process->terminal */
	/* A container's: its working directory is made when it is missing, and /dev/console. */
	bool is_first;
	struct thread_group *parent; /* NULL: the container's first process */
	void (*on_exit)(void *arg, struct thread_group *tg, int wait_status);
	void *on_exit_arg;
};

/* Load the program; task_start() runs it. From a fiber. Errors of execve(2) name the program. */
int first_load(const struct first_options *options, struct task **ret, struct err *err);
