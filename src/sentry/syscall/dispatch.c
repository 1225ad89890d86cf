/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/dispatch.c - from a number to a handler. */
#include "sentry/syscall/dispatch.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "sentry/core/klog.h"
#include "sentry/syscall/observe.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/run.h"
#include "sentry/task/seccomp.h"

#define FULL				      false
#define PARTIAL				      true
#define SYSCALL(nr, name, status, args, note) [nr] = { sys_##name, #name, args, 0, status, 0, 0 },
#define REFUSED(nr, name, error, note)	      [nr] = { NULL, #name, "none", error, false, 0, 0 },

/* The one above the last counts what is beyond. */
static struct syscall_row rows[SYSCALL_NR_MAX + 1] = {
#include "sentry/syscall/syscalls.def"
};

#undef SYSCALL
#undef REFUSED
#undef FULL
#undef PARTIAL

const struct syscall_row *syscall_row(uint64_t nr)
{
	return nr < SYSCALL_NR_MAX && rows[nr].name ? &rows[nr] : NULL;
}

const char *syscall_name(uint64_t nr)
{
	const struct syscall_row *row = syscall_row(nr);

	return row ? row->name : NULL;
}

uint64_t syscall_count(uint64_t nr)
{
	return rows[nr < SYSCALL_NR_MAX ? nr : SYSCALL_NR_MAX].count;
}

static const struct syscall_observer *observers[OBSERVERS_MAX];

static sysret_t answer(struct syscall_row *row, struct task *t, const struct syscall_args *a)
{
	if (row->fn)
		return row->fn(t, a);
	klog(syscall, "%s is refused", row->name);
	return -row->error;
}

static sysret_t call_observed(struct syscall_row *row, struct task *t, uint64_t nr,
			      const struct syscall_args *a)
{
	sysret_t r;

	for (int i = 0; i < OBSERVERS_MAX; i++)
		if ((row->observed & (1u << i)) && observers[i]->enter)
			observers[i]->enter(t, nr, a);
	r = answer(row, t, a);
	for (int i = 0; i < OBSERVERS_MAX; i++)
		if ((row->observed & (1u << i)) && observers[i]->leave)
			observers[i]->leave(t, nr, a, r);
	return r;
}

static sysret_t call(struct task *t, uint64_t nr, const struct syscall_args *a)
{
	struct syscall_row *row = &rows[nr < SYSCALL_NR_MAX ? nr : SYSCALL_NR_MAX];

	row->count++;
	if (!row->name) {
		klog(syscall, "%llu is no call", (unsigned long long)nr);
		return -ENOSYS;
	}
	return row->observed ? call_observed(row, t, nr, a) : answer(row, t, a);
}

/* The rows that a name of `len` bytes means: how many. */
static int mark(const char *name, size_t len, uint8_t bit)
{
	const bool all = len == 3 && !memcmp(name, "all", 3);
	int n = 0;

	for (int i = 0; i < SYSCALL_NR_MAX; i++) {
		if (!rows[i].name ||
		    (!all && (strlen(rows[i].name) != len || memcmp(rows[i].name, name, len))))
			continue;
		rows[i].observed |= bit;
		n++;
	}
	return n;
}

int syscall_observe(const struct syscall_observer *observer, const char *expr)
{
	int slot = 0;

	while (slot < OBSERVERS_MAX && observers[slot])
		slot++;
	if (slot == OBSERVERS_MAX)
		return -ENOSPC;
	observers[slot] = observer;
	while (*expr) {
		const size_t len = strcspn(expr, ",");

		if (!mark(expr, len, (uint8_t)(1u << slot)))
			return -EINVAL;
		expr += len;
		expr += *expr == ',';
	}
	return 0;
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
