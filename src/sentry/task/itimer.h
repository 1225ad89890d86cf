/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/itimer.h - setitimer(2) and alarm(2): three timers of a process, which survive exec;
 * and RLIMIT_CPU.
 */
#pragma once

#include <sys/time.h>

#include "sentry/core/fiber.h"

struct thread_group;

/* which: ITIMER_*. Times in nanoseconds; 0: disarmed. 0, -ENOMEM. ret_ may be NULL, both. */
int itimer_set(struct thread_group *tg, int which, nsec_t value, nsec_t interval, nsec_t *ret_value,
	       nsec_t *ret_interval);
void itimer_get(struct thread_group *tg, int which, nsec_t *ret_value, nsec_t *ret_interval);
/* RLIMIT_CPU of the group is another: SIGXCPU, and the end, at the right time. 0, -ENOMEM. */
int rlimit_cpu_changed(struct thread_group *tg);
void itimers_free(struct thread_group *tg);
