/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/ptrace.h - ptrace(2): who traces whom, and where a traced task stops.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct task;

/* A stop is due that signal_deliver() makes (PTRACE_INTERRUPT, a trap after attach). */
bool ptrace_wants_stop(const struct task *t);
/* A tracer without privilege: set-id bits of a program do not count. */
bool ptrace_hinders_setid(const struct task *t);

/* Events of the running task t. */
void ptrace_child_born(struct task *t, struct task *child, uint64_t clone_flags);
void ptrace_child_reported(struct task *t, struct task *child, uint64_t clone_flags);
void ptrace_exec(struct task *t, int old_tid);
void ptrace_event_exit(struct task *t);
/* SECCOMP_RET_TRACE: true: the call goes on. */
bool ptrace_seccomp(struct task *t, unsigned int data);
/* t ends as a tracer: its tracees go free. */
void ptrace_detach_all(struct task *t);

/* Zombies: a tracer has yet to wait for it; tell the tracer (true: it will wait). */
bool ptrace_holds(const struct task *t);
bool ptrace_exited(struct task *t);
void ptrace_reap(struct task *t);					/* the tracer has waited */
void ptrace_forget(struct task *t);					/* it is released */
bool ptrace_is_tracer(const struct task *t, const struct task *tracee); /* any thread of t's */

/* The wait status of a stop that has not been reported yet. */
bool ptrace_stop_status(struct task *t, int *ret_status, bool keep);
