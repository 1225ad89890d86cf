/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/dispatch.c - from a number to a handler. */
#include "sentry/syscall/dispatch.h"

#include <errno.h>
#include <stddef.h>

#include "sentry/task/ptrace.h"
#include "sentry/task/run.h"
#include "sentry/task/seccomp.h"

#define SYSCALL(nr, name, status, args, note) [nr] = { sys_##name, #name, args, 0, 0 },
#define REFUSED(nr, name, error, note)	      [nr] = { NULL, #name, "none", error, 0 },

static struct syscall_row rows[SYSCALL_NR_MAX] = {
#include "sentry/syscall/syscalls.def"
};

#undef SYSCALL
#undef REFUSED

const struct syscall_row *syscall_row(uint64_t nr)
{
	return nr < SYSCALL_NR_MAX && rows[nr].name ? &rows[nr] : NULL;
}

const char *syscall_name(uint64_t nr)
{
	const struct syscall_row *row = syscall_row(nr);

	return row ? row->name : NULL;
}

static sysret_t call(struct task *t, uint64_t nr, const struct syscall_args *a)
{
	struct syscall_row *row = nr < SYSCALL_NR_MAX ? &rows[nr] : NULL;

	if (!row || !row->name)
		return -ENOSYS;
	row->count++;
	return row->fn ? row->fn(t, a) : -row->error;
}

/* A call that a tracer sees; it may change everything about it. */
static sysret_t call_traced(struct task *t, uint64_t nr, const struct syscall_args *a)
{
	struct syscall_args args = *a;
	int64_t result;

	if (ptrace_syscall_enter(t, &nr, &args, &result) &&
	    (!(t->seccomp || t->seccomp_strict) || seccomp_allows(t, nr, &args, &result)))
		result = call(t, nr, &args);
	return ptrace_syscall_exit(t, result);
}

sysret_t syscall_dispatch(struct task *t, uint64_t nr, const struct syscall_args *a)
{
	int64_t result;

	if (t->ptrace)
		return call_traced(t, nr, a);
	if ((t->seccomp || t->seccomp_strict) && !seccomp_allows(t, nr, a, &result))
		return result;
	return call(t, nr, a);
}

void syscall_init(void)
{
	task_set_syscall_entry(syscall_dispatch);
}
