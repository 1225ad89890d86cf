/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/signal.h - signal(7): handlers, queues, sending, delivery.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "sentry/core/cred.h"
#include "sentry/core/waitq.h"

#define KNSIG 64
typedef uint64_t kernel_sigset_t; /* bit n-1 is signal n */
#define SIG_BIT(sig) (1ull << ((sig)-1))

#define SIG_SYNC_MASK                                                              \
	(SIG_BIT(SIGSEGV) | SIG_BIT(SIGBUS) | SIG_BIT(SIGILL) | SIG_BIT(SIGTRAP) | \
	 SIG_BIT(SIGFPE) | SIG_BIT(SIGSYS))
#define SIG_STOP_MASK	(SIG_BIT(SIGSTOP) | SIG_BIT(SIGTSTP) | SIG_BIT(SIGTTIN) | SIG_BIT(SIGTTOU))
#define SIG_UNBLOCKABLE (SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP))
#define SIG_RT_FIRST	32 /* the kernel's SIGRTMIN */

struct task;
struct thread_group;
struct process_group;

/* struct sigaction of the kernel's ABI, x86-64. */
struct kernel_sigaction {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	kernel_sigset_t mask;
};

/* Who wants to hear of new signals: readers of signalfds, polls, epolls. Outlives an exec. */
struct signal_watch {
	unsigned int refs;
	struct waitq wq; /* woken with POLLIN at each new signal */
};

struct sighand {
	unsigned int refs;
	struct kernel_sigaction action[KNSIG];
	struct signal_watch *watch; /* one reference */
};

struct sig_queue {
	struct list_head queued; /* struct queued_signal, private to task/ */
	kernel_sigset_t set;
};

struct task_signals {
	kernel_sigset_t blocked, saved_blocked, real_blocked;
	bool restore_blocked; /* saved_blocked comes back unless a handler takes it (sigsuspend) */
	struct sig_queue pending;
	uint64_t altstack_addr, altstack_len;
	int altstack_flags;
	int pdeath_signal;
};

/*
 * Send with kernel rights: info is copied (NULL: SI_KERNEL). Ignored signals vanish, fatal ones
 * begin the end of the group. 0, or -EAGAIN (RLIMIT_SIGPENDING).
 */
int signal_send_task(struct task *t, int sig, const siginfo_t *info);
int signal_send_group(struct thread_group *tg, int sig, const siginfo_t *info);
/* Every member; info NULL: as of a terminal. 0, or -ESRCH: it has no member. */
int signal_send_pgrp(struct process_group *pgrp, int sig, const siginfo_t *info);
/* What the kernel raises for a call of the task's own (SIGPIPE, SIGXFSZ): SI_USER from itself. */
void signal_send_self(struct task *t, int sig);
/* A fault of the task's own: a blocked or ignored signal kills. */
void signal_force(struct task *t, int sig, const siginfo_t *info);

/* kill(2)'s permission check. */
bool signal_may_send(const struct task *from, const struct thread_group *to, int sig);
/* siginfo of kill(2) and tkill(2) (code SI_USER, SI_TKILL) as `to` sees the sender. */
siginfo_t signal_info_user(const struct task *from, const struct thread_group *to, int sig,
			   int code);

/* Something that is neither blocked nor ignored is pending: a sleeping call must end. */
bool signal_pending(const struct task *t);
/* SIGKILL is pending, or the group is ending. */
bool signal_fatal_pending(const struct task *t);

/* Change the mask of the running task, which takes effect at once. */
void signal_set_blocked(struct task *t, kernel_sigset_t blocked);
/*
 * A call with a temporary mask (ppoll, sigsuspend): `blocked` holds until the call is over or a
 * handler runs; then the old mask is back.
 */
void signal_set_temporary_mask(struct task *t, kernel_sigset_t blocked);
/* The call ended without a signal: back to the old mask now. */
void signal_restore_mask(struct task *t);

/* Take the first pending signal of `mask` off the queues: its number and info, or 0. */
int signal_dequeue(struct task *t, kernel_sigset_t mask, siginfo_t *ret);
kernel_sigset_t signal_pending_set(const struct task *t); /* own and the group's */

/*
 * sigtimedwait(2): a signal of `mask`; -EAGAIN at the deadline (NSEC_NEVER: none), -EINTR. The
 * signal's number goes with *ret.
 */
int signal_wait(struct task *t, kernel_sigset_t mask, nsec_t deadline, siginfo_t *ret);

/* kill(2) to a process after the permission check; sig 0 only checks. info as the guest gave it. */
int signal_kill_group(struct task *from, struct thread_group *to, int sig, const siginfo_t *info);
int signal_kill_task(struct task *from, struct task *to, int sig, const siginfo_t *info);
int signal_kill_pgrp(struct task *from, struct process_group *pgrp, int sig);
int signal_kill_all(struct task *from, int sig); /* kill(-1) */

/* sigaction(2): NULL leaves or does not ask. */
void signal_set_action(struct task *t, int sig, const struct kernel_sigaction *action,
		       struct kernel_sigaction *ret_old);
