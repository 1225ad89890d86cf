/* SPDX-License-Identifier: Apache-2.0 */
/* shim/answers.h - how calls of the task service are answered and refused. */
#pragma once

#include <time.h>

#include "base/err.h"
#include "shim/shim.h"

struct Caisson__Shim__Timestamp; /* of task.pb-c.h */

/* Fills *ret and returns it; NULL for a time that never was. */
struct Caisson__Shim__Timestamp *answer_time(const struct timespec *when,
					     struct Caisson__Shim__Timestamp *ret);

void answer_empty(struct ttrpc_call *call);
/* Of Wait: the process has ended. */
void answer_wait(struct ttrpc_call *call, const struct proc *p);

/* Refuse with the status of err->code, "PREFIX: sentence". */
void answer_error(struct ttrpc_call *call, const char *prefix, const struct err *err);

/* The task or process of a request, or NULL: the call has been refused then. */
struct task *answer_find_task(struct shim *s, struct ttrpc_call *call, const char *id);
struct proc *answer_find_proc(struct shim *s, struct ttrpc_call *call, const char *id,
			      const char *exec_id);
