/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/itimer.c - see itimer.h. */
#include "sentry/task/itimer.h"

void itimers_exec(struct thread_group *tg)
{
}

void itimers_free(struct thread_group *tg)
{
}
