/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/ptrace.h - ptrace(2): who traces whom, and where a traced task stops.
 *
 * A stop is made by the tracee's fiber, which parks with its registers in task.regs; the tracer's
 * requests work on those and let it go on.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sentry/arch/regs.h"

struct mm;
struct task;

/* A stop is due that signal_deliver() makes (PTRACE_INTERRUPT, a trap after attach). */
bool ptrace_wants_stop(const struct task *t);
/* A tracer without privilege: set-id bits of a program do not count. */
bool ptrace_hinders_setid(const struct task *t);

/* Events of the running task t. */
void ptrace_child_born(struct task *t, struct task *child, uint64_t clone_flags);
/* The event that tells of it, and of the end of a vfork; before the parent sleeps, and after. */
void ptrace_child_reported(struct task *t, struct task *child, uint64_t clone_flags);
void ptrace_vfork_done(struct task *t, int child_nr);
void ptrace_exec(struct task *t, int old_tid);
void ptrace_event_exit(struct task *t);
/* SECCOMP_RET_TRACE: true: the call goes on. */
bool ptrace_seccomp(struct task *t, unsigned int data);
/* Stops at system calls. False: the call is not made, *ret_result is its result. */
bool ptrace_syscall_enter(struct task *t, uint64_t *nr, struct syscall_args *a,
			  int64_t *ret_result);
int64_t ptrace_syscall_exit(struct task *t, int64_t result);
/* t ends as a tracer: its tracees go free. */
void ptrace_detach_all(struct task *t);

/* Zombies: a tracer has yet to wait for it; tell the tracer (true: it will wait). */
bool ptrace_holds(const struct task *t);
bool ptrace_exited(struct task *t);
void ptrace_reap(struct task *t);					/* the tracer has waited */
void ptrace_forget(struct task *t);					/* it is released */
bool ptrace_is_tracer(const struct task *t, const struct task *tracee); /* any thread of t's */
struct task *ptrace_tracer(const struct task *t);			/* borrowed; NULL: none */

/* The wait status of a stop that has not been reported yet. */
bool ptrace_stop_status(struct task *t, int *ret_status, bool keep);

/*
 * Write to the space of t's own or of a stopped tracee of its, also where private memory is not
 * writable (breakpoints): bytes written. Elsewhere as the guest itself could write.
 */
size_t ptrace_write_memory(struct task *t, struct mm *mm, uint64_t addr, const void *src,
			   size_t len);

/* ptrace(2) itself: the kernel's result, which for PEEK goes to the address data. */
int64_t ptrace_request(struct task *t, uint64_t request, int nr, uint64_t addr, uint64_t data);
