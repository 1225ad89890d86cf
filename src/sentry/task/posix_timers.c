/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/posix_timers.c - see posix_timers.h. */
#include "sentry/task/posix_timers.h"

void posix_timers_free(struct thread_group *tg)
{
}

void posix_timer_signal_taken(struct posix_timer *timer, siginfo_t *info)
{
}

void posix_timer_signal_dropped(struct posix_timer *timer)
{
}
