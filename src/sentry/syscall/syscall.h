/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscall/syscall.h - the call table: syscalls.def is the one list of numbers, names,
 * states and argument kinds; dispatch, strace and docs/SYSCALLS.md are made from it.
 */
#pragma once

#include "sentry/task/task.h"

typedef int64_t sysret_t; /* a result, -errno of the guest, or -ERESTART* */

typedef sysret_t syscall_fn(struct task *t, const struct syscall_args *a);

/* Arguments as the kernel reads them: an int is the low half. */
static inline int arg_int(const struct syscall_args *a, unsigned int i)
{
	return (int)a->v[i];
}
static inline unsigned int arg_uint(const struct syscall_args *a, unsigned int i)
{
	return (unsigned int)a->v[i];
}
static inline uint64_t arg_u64(const struct syscall_args *a, unsigned int i)
{
	return a->v[i];
}
static inline int64_t arg_i64(const struct syscall_args *a, unsigned int i)
{
	return (int64_t)a->v[i];
}
static inline uaddr_t arg_uaddr(const struct syscall_args *a, unsigned int i)
{
	return a->v[i];
}

/* Handlers: sys_<name>, declared from the table. */
#define SYSCALL(nr, name, status, args, note) syscall_fn sys_##name;
#define REFUSED(nr, name, error, note)
#include "sentry/syscall/syscalls.def"
#undef SYSCALL
#undef REFUSED

/*
 * Run one call of a task: seccomp, tracing, counters, strace, then the handler. The result is what
 * goes to rax, or -ERESTART*.
 */
sysret_t syscall_dispatch(struct task *t, uint64_t nr, const struct syscall_args *a);

/* Once in boot, before the first task runs: tasks' calls come to syscall_dispatch(). */
void syscall_init(void);

/* "openat" of 257; NULL when there is none. */
const char *syscall_name(uint64_t nr);
