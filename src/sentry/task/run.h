/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/run.h - the life of a task's fiber: guest code, calls, faults, the end.
 */
#pragma once

#include "sentry/task/task.h"

/* The room above serves calls: set once in boot (syscall_init()). */
typedef int64_t task_syscall_fn(struct task *t, uint64_t nr, const struct syscall_args *a);
void task_set_syscall_entry(task_syscall_fn *entry);

/* Faults and traps of guests that came here. */
uint64_t task_fault_count(void);

/*
 * Registers of the running task, read from the platform once per stop in the kernel. With
 * task_regs_change() they are written back before guest code runs. NULL: the stub is dead; the
 * group is ending.
 */
struct arch_regs *task_regs(struct task *t);
struct arch_regs *task_regs_change(struct task *t);

/* The call replaced the registers (exec, sigreturn): its result is not written, nothing restarts.
 */
void task_regs_replaced(struct task *t);

/*
 * Wait for `cond` where only the end of the task may interrupt: 0, or -EINTR.
 */
#define WAIT_KILLABLE(t, q, cond)                           \
	({                                                  \
		struct wait_fiber _kw;                      \
		int _kr = 0;                                \
		wait_fiber_init(&_kw, WAIT_ALL);            \
		waitq_add((q), &_kw.entry);                 \
		while (!(cond)) {                           \
			if (signal_fatal_pending(t)) {      \
				_kr = -EINTR;               \
				break;                      \
			}                                   \
			fiber_clear_interrupt((t)->fiber);  \
			(void)fiber_park(NSEC_NEVER, true); \
		}                                           \
		waitq_remove(&_kw.entry);                   \
		signal_recalc(t);                           \
		_kr;                                        \
	})
void signal_recalc(struct task *t);
