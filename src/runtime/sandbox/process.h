/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/process.h - what struct process (isolation.h) stands for in classes sentry and
 * vm: the sandbox of a container, or the waiter of an exec.
 */
#pragma once

#include "base/err.h"
#include "runtime/creation.h"
#include "runtime/isolation.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/sandbox/waiter.h"

struct sandbox_process {
	bool is_exec; /* which of the two it is */
	struct sandbox sandbox;
	struct waiter waiter;
};

/* Makes all processes of a container up to its gate. */
typedef int sandbox_launch_fn(struct creation *cr, struct sandbox *ret, struct err *err);

/* isolation_ops.create: what `launch` makes becomes the creation's process. */
int sandbox_process_create(struct creation *cr, sandbox_launch_fn *launch, struct err *err);

/* isolation_ops.exec with the class's own description of the process, a memfd; borrowed. */
int sandbox_process_exec(struct container *c, const struct exec_request *request, int description,
			 struct process *ret, struct err *err);

/* isolation_ops.release and .process_done. */
int sandbox_process_release(struct process *process, struct err *err);
void sandbox_process_done(struct process *process);
