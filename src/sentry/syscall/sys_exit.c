/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_exit.c - exit(2) of a thread and of a process. */
#include "sentry/syscall/syscall.h"

sysret_t sys_exit(struct task *t, const struct syscall_args *a)
{
	t->exit_code = (arg_int(a, 0) & 0xff) << 8;
	t->exiting = true;
	return 0;
}

sysret_t sys_exit_group(struct task *t, const struct syscall_args *a)
{
	const int status = (arg_int(a, 0) & 0xff) << 8;

	thread_group_exit(t->tg, status);
	t->exit_code = t->tg->exit_status;
	t->exiting = true;
	return 0;
}
