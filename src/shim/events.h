/* SPDX-License-Identifier: Apache-2.0 */
/* shim/events.h - what happens to tasks, told to containerd (publish.h) in its own types. */
#pragma once

#include "shim/shim.h"

struct Caisson__Shim__CreateTaskRequest; /* of task.pb-c.h */

void event_create(const struct task *t, const struct Caisson__Shim__CreateTaskRequest *request);
/* Of the first process TaskStart, of others TaskExecStarted. */
void event_start(const struct proc *p);
void event_exit(const struct proc *p);
void event_delete(const struct task *t);
void event_exec_added(const struct proc *p);
void event_paused(const struct task *t);
void event_resumed(const struct task *t);
void event_oom(const struct task *t);
