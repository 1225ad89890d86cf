/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/itimer.h - setitimer(2) and alarm(2): three timers of a process.
 */
#pragma once

#include <sys/time.h>

#include "sentry/core/fiber.h"

struct thread_group;

/* which: ITIMER_*. Times in nanoseconds; 0: disarmed. 0, -ENOMEM. ret_ may be NULL. */
int itimer_set(struct thread_group *tg, int which, nsec_t value, nsec_t interval, nsec_t *ret_value,
	       nsec_t *ret_interval);
void itimer_get(struct thread_group *tg, int which, nsec_t *ret_value, nsec_t *ret_interval);
void itimers_exec(struct thread_group *tg); /* they survive exec; CPU timers start anew */
void itimers_free(struct thread_group *tg);
