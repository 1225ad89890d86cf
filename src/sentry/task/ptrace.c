/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/ptrace.c - see ptrace.h. Nobody is traced yet. */
#include "sentry/task/ptrace.h"

#include "sentry/task/internal.h"

bool ptrace_wants_stop(const struct task *t)
{
	return false;
}

bool ptrace_hinders_setid(const struct task *t)
{
	return false;
}

void ptrace_child_born(struct task *t, struct task *child, uint64_t clone_flags)
{
}

void ptrace_child_reported(struct task *t, struct task *child, uint64_t clone_flags)
{
}

void ptrace_exec(struct task *t, int old_tid)
{
}

void ptrace_event_exit(struct task *t)
{
}

bool ptrace_seccomp(struct task *t, unsigned int data)
{
	return false;
}

void ptrace_detach_all(struct task *t)
{
}

bool ptrace_holds(const struct task *t)
{
	return false;
}

bool ptrace_exited(struct task *t)
{
	return false;
}

void ptrace_reap(struct task *t)
{
}

void ptrace_forget(struct task *t)
{
}

bool ptrace_is_tracer(const struct task *t, const struct task *tracee)
{
	return false;
}

bool ptrace_stop_status(struct task *t, int *ret_status, bool keep)
{
	return false;
}

void ptrace_group_stop(struct task *t)
{
}

void ptrace_stop_now(struct task *t)
{
}

int ptrace_signal_stop(struct task *t, int sig, siginfo_t *info)
{
	return sig;
}

void ptrace_handler_entered(struct task *t)
{
}
