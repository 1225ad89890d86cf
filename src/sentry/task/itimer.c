/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/itimer.c - see itimer.h.
 *
 * ITIMER_REAL is a timer of the kernel. The CPU timers (and RLIMIT_CPU) are looked at whenever the
 * process could have used up what is left.
 */
#include "sentry/task/itimer.h"

#include <stdlib.h>

#include "sentry/core/kclock.h"
#include "sentry/task/clocks.h"
#include "sentry/task/task.h"

#define ITIMER_RLIMIT 3 /* RLIMIT_CPU, beside ITIMER_REAL, VIRTUAL, PROF */
#define ITIMER_COUNT  4

#define ITIMER_STEP_MIN_NS 50000ull /* a faster one would only burn CPU */

struct itimer {
	struct ktimer timer;
	struct thread_group *tg;
	int which;
	nsec_t expires; /* on the timer's clock; 0: disarmed */
	nsec_t interval;
};

struct itimers {
	struct itimer timer[ITIMER_COUNT];
};

static const int itimer_signal[ITIMER_COUNT] = { SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU };

static nsec_t clock_of(const struct itimer *it)
{
	uint64_t user, sys;

	if (it->which == ITIMER_REAL)
		return kclock_monotonic();
	thread_group_cpu_ns(it->tg, &user, &sys);
	return it->which == ITIMER_VIRTUAL ? user : user + sys;
}

static void arm(struct itimer *it, nsec_t now)
{
	if (!it->expires)
		ktimer_cancel(&it->timer);
	else if (it->which == ITIMER_REAL)
		ktimer_arm(&it->timer, it->expires);
	else
		ktimer_arm(&it->timer,
			   clock_cpu_poll(it->tg, it->expires > now ? it->expires - now : 0));
}

static void next_round(struct itimer *it, nsec_t now)
{
	if (!it->interval) {
		it->expires = 0;
		return;
	}
	it->expires =
		nsec_add(it->expires, it->interval * ((now - it->expires) / it->interval + 1));
	if (it->expires - now < ITIMER_STEP_MIN_NS)
		it->expires = now + ITIMER_STEP_MIN_NS;
}

static bool beyond_hard_limit(const struct itimer *it, nsec_t now)
{
	const rlim_t hard = it->tg->limits[RLIMIT_CPU].rlim_max;

	return it->which == ITIMER_RLIMIT && hard != RLIM_INFINITY && now / NSEC_PER_SEC >= hard;
}

static void itimer_fired(struct ktimer *timer)
{
	struct itimer *it = container_of(timer, struct itimer, timer);
	const nsec_t now = clock_of(it);

	if (now >= it->expires) {
		if (beyond_hard_limit(it, now)) {
			thread_group_exit(it->tg, SIGKILL);
			return;
		}
		(void)signal_send_group(it->tg, itimer_signal[it->which], NULL);
		next_round(it, now);
	}
	arm(it, now);
}

static struct itimers *itimers_get(struct thread_group *tg)
{
	if (tg->itimers)
		return tg->itimers;
	tg->itimers = calloc(1, sizeof(*tg->itimers));
	for (int i = 0; tg->itimers && i < ITIMER_COUNT; i++) {
		struct itimer *it = &tg->itimers->timer[i];

		ktimer_init(&it->timer, itimer_fired);
		it->tg = tg;
		it->which = i;
	}
	return tg->itimers;
}

void itimer_get(struct thread_group *tg, int which, nsec_t *ret_value, nsec_t *ret_interval)
{
	const struct itimer *it = tg->itimers ? &tg->itimers->timer[which] : NULL;
	nsec_t now;

	*ret_value = 0;
	*ret_interval = it ? it->interval : 0;
	if (!it || !it->expires)
		return;
	now = clock_of(it);
	*ret_value = it->expires > now ? it->expires - now : 1000; /* about to fire: 1 us */
}

int itimer_set(struct thread_group *tg, int which, nsec_t value, nsec_t interval, nsec_t *ret_value,
	       nsec_t *ret_interval)
{
	struct itimers *all = itimers_get(tg);
	struct itimer *it;
	nsec_t now;

	if (!all)
		return -ENOMEM;
	it = &all->timer[which];
	if (ret_value)
		itimer_get(tg, which, ret_value, ret_interval);
	now = clock_of(it);
	it->expires = value ? nsec_add(now, value) : 0;
	it->interval = value ? interval : 0;
	arm(it, now);
	return 0;
}

int rlimit_cpu_changed(struct thread_group *tg)
{
	const rlim_t soft = tg->limits[RLIMIT_CPU].rlim_cur;
	struct itimers *all;
	struct itimer *it;
	nsec_t now;

	/* Nobody takes a timer back from a process that has ended. */
	if (!tg->live || (soft == RLIM_INFINITY && !tg->itimers))
		return 0;
	all = itimers_get(tg);
	if (!all)
		return -ENOMEM;
	it = &all->timer[ITIMER_RLIMIT];
	now = clock_of(it);
	it->interval = NSEC_PER_SEC;
	it->expires = soft >= UINT64_MAX / NSEC_PER_SEC ? 0 : (soft ? soft : 1) * NSEC_PER_SEC;
	arm(it, now);
	return 0;
}

void itimers_free(struct thread_group *tg)
{
	for (int i = 0; tg->itimers && i < ITIMER_COUNT; i++)
		ktimer_cancel(&tg->itimers->timer[i].timer);
	free(tg->itimers);
	tg->itimers = NULL;
}
