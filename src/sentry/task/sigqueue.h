/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/sigqueue.h - private to task/: queues of signals with their siginfo.
 */
#pragma once

#include "sentry/task/signal.h"

struct user_usage;
struct posix_timer;

struct queued_signal {
	struct list_head node;
	int sig;
	siginfo_t info;
	struct user_usage *usage;  /* who pays for it; one reference, NULL: nobody */
	struct posix_timer *timer; /* it belongs to this timer: never freed with the queue */
};

void sig_queue_init(struct sig_queue *q);
void sig_queue_flush(struct sig_queue *q, kernel_sigset_t mask); /* drop these signals */

/*
 * Put one in. `usage` pays (its RLIMIT_SIGPENDING is `limit`); info NULL is SI_KERNEL. 0, or
 * -EAGAIN where the siginfo must not be lost. A second one of a signal below SIG_RT_FIRST vanishes.
 */
int sig_queue_put(struct sig_queue *q, int sig, const siginfo_t *info, struct user_usage *usage,
		  uint64_t limit);
void sig_queue_put_timer(struct sig_queue *q, struct queued_signal *s);
int sig_queue_take(struct sig_queue *q, kernel_sigset_t mask, siginfo_t *ret); /* 0: none */
/* The number that sig_queue_take() would take. */
int sig_set_first(kernel_sigset_t set);

struct sighand *sighand_new(void);			       /* all default */
struct sighand *sighand_copy(const struct sighand *from);      /* of a child */
struct sighand *sighand_copy_exec(const struct sighand *from); /* watched by the same signalfds */
void sighand_unref(struct sighand *h);
void signal_watch_unref(struct signal_watch *w);

/* Send with what the senders of task/ know. */
enum signal_target { SIGNAL_TO_TASK, SIGNAL_TO_GROUP };
int signal_send(struct task *t, enum signal_target to, int sig, const siginfo_t *info,
		bool from_outside);
int signal_send_timer(struct task *t, enum signal_target to, struct queued_signal *s);
bool signal_is_ignored(const struct task *t, int sig);

/* The interrupt flag of the fiber follows signal_pending(). */
void signal_recalc(struct task *t);
void signal_recalc_group(struct thread_group *tg);
/* Have the task look: ends its sleep (if interruptible) or its guest code. */
void task_kick(struct task *t);

/* Job control, task/sigstop.c. */
void signal_stop_start(struct task *t, int sig); /* the running task took a stopping signal */
void signal_stop_wait(struct task *t);		 /* take part: returns when continued or killed */
void signal_continue(struct thread_group *tg);	 /* SIGCONT was sent */
void signal_stop_forget(struct task *t);	 /* it ends: it will not stop */

/* Before guest code runs: stops, handlers, the end. Sets t->exiting when the task must end. */
void signal_deliver(struct task *t);
