/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_ptrace.c - ptrace(2). */
#include "sentry/syscall/syscall.h"
#include "sentry/task/ptrace.h"

sysret_t sys_ptrace(struct task *t, const struct syscall_args *a)
{
	return ptrace_request(t, arg_u64(a, 0), arg_int(a, 1), arg_u64(a, 2), arg_u64(a, 3));
}
