/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/posix_timers.h - timer_create(2) and its kin; timers belong to a process.
 */
#pragma once

#include <signal.h>
#include <time.h>

#include "sentry/core/fiber.h"

struct task;
struct thread_group;
struct posix_timer;

#define POSIX_TIMERS_MAX     4096  /* of one process; RLIMIT_SIGPENDING counts them too */
#define POSIX_TIMERS_ALL_MAX 65536 /* of the sandbox */

/* The number (>= 0), or -EINVAL, -EAGAIN, -ENOMEM. event NULL: SIGALRM to the process. */
int posix_timer_create(struct task *t, clockid_t clock, const struct sigevent *event);
int posix_timer_delete(struct task *t, int id);
/* flags: TIMER_ABSTIME. ret_old may be NULL. */
int posix_timer_set(struct task *t, int id, int flags, const struct itimerspec *value,
		    struct itimerspec *ret_old);
int posix_timer_get(struct task *t, int id, struct itimerspec *ret);
int posix_timer_overrun(struct task *t, int id);
/* exec and the end of the process: all of them go. */
void posix_timers_free(struct thread_group *tg);

/* The queue's part: its signal was taken (the overrun goes in), or dropped unseen. */
void posix_timer_signal_taken(struct posix_timer *timer, siginfo_t *info);
void posix_timer_signal_dropped(struct posix_timer *timer);
