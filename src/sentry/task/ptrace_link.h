/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/ptrace_link.h - private to task/: the state between a tracer and its tracee.
 */
#pragma once

#include "sentry/task/task.h"

enum ptrace_resume {
	RESUME_RUN,
	RESUME_SYSCALL,
	RESUME_STEP,
};

struct ptrace_link {
	struct task *tracer; /* detaches when it ends */
	uint32_t options;    /* PTRACE_O_* */
	bool seized;
	bool stopped;	   /* in a stop: requests may be made */
	bool reported;	   /* the tracer has waited for this stop */
	bool listening;	   /* PTRACE_LISTEN: stopped, but not for requests */
	bool trap_pending; /* PTRACE_INTERRUPT, or the first stop of a seized child */
	int code;	   /* of the stop: signal | event << 8 */
	siginfo_t info;
	bool signal_stop; /* info is of a signal that is being delivered */
	uint64_t message; /* PTRACE_GETEVENTMSG */
	enum ptrace_resume resume;
	bool stepping; /* we have set the trap flag */
	enum { CALL_NONE, CALL_ENTER, CALL_EXIT, CALL_SECCOMP } call;
};

/* Begin: 0, -EPERM (traced already), -ENOMEM. */
int ptrace_link_new(struct task *tracee, struct task *tracer, bool seized, uint32_t options);
/* End: the tracee goes on with this signal (0: none). */
void ptrace_link_free(struct task *tracee, int sig);
/* A call of the tracer uses a stopped tracee's thread and memory: until then it stays, killed or
 * not. */
void ptrace_use(struct task *tracee);
void ptrace_unuse(struct task *tracee);
/* Let a stopped tracee go on. */
void ptrace_go_on(struct task *tracee, int sig, enum ptrace_resume how);

/* ptrace_regs.c: sets of registers. Kernel result. */
int64_t ptrace_get_regset(struct task *t, struct task *of, uint64_t type, uint64_t iov);
int64_t ptrace_set_regset(struct task *t, struct task *of, uint64_t type, uint64_t iov);
int64_t ptrace_get_regs(struct task *t, struct task *of, uint64_t to);
int64_t ptrace_set_regs(struct task *t, struct task *of, uint64_t from);
int64_t ptrace_get_fpregs(struct task *t, struct task *of, uint64_t to);
int64_t ptrace_set_fpregs(struct task *t, struct task *of, uint64_t from);
int64_t ptrace_peek_user(struct task *t, struct task *of, uint64_t offset, uint64_t to);
int64_t ptrace_poke_user(struct task *of, uint64_t offset, uint64_t value);
int64_t ptrace_syscall_info(struct task *t, struct task *of, uint64_t size, uint64_t to);
