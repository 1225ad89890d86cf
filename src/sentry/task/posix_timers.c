/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/posix_timers.c - see posix_timers.h.
 *
 * A timer owns one queued signal. While that waits to be taken the timer does not run; what would
 * have expired meanwhile is counted as its overrun (timer_getoverrun(2)).
 */
#include "sentry/task/posix_timers.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/core/kclock.h"
#include "sentry/task/clocks.h"
#include "sentry/task/sigqueue.h"
#include "sentry/task/task.h"
#include "sentry/task/user_usage.h"

#define OVERRUN_MAX	  INT32_MAX
#define TIMER_STEP_MIN_NS 50000ull /* an ignored signal of a faster timer would burn CPU */

struct posix_timer {
	struct ktimer timer;
	struct thread_group *tg;
	int id;
	enum clock_kind kind;
	struct task *cpu_of; /* of a CPU clock; one reference */
	struct pid *target;  /* SIGEV_THREAD_ID: one reference */
	int notify;	     /* SIGEV_* */
	nsec_t expires;	     /* on its clock; 0: disarmed */
	nsec_t interval;
	struct queued_signal *signal; /* NULL: SIGEV_NONE */
	bool queued;
	uint64_t overrun, overrun_last;
};

static unsigned int timers_of_all; /* in the sandbox */

struct posix_timers {
	struct posix_timer *slot[POSIX_TIMERS_MAX];
};

static nsec_t timer_clock(const struct posix_timer *pt)
{
	switch (pt->kind) {
	case CLOCK_KIND_REAL:
		return kclock_realtime();
	case CLOCK_KIND_MONO:
		return kclock_monotonic();
	case CLOCK_KIND_BOOT:
		return kclock_boottime();
	default:
		return clock_cpu_now(pt->cpu_of, pt->kind);
	}
}

static void arm(struct posix_timer *pt)
{
	if (!pt->expires) {
		ktimer_cancel(&pt->timer);
	} else if (pt->cpu_of) {
		const nsec_t now = timer_clock(pt);

		ktimer_arm(&pt->timer,
			   clock_cpu_poll(pt->tg, pt->expires > now ? pt->expires - now : 0));
	} else {
		ktimer_arm(&pt->timer, clock_deadline(pt->kind, pt->expires));
	}
}

/* Past `now` by whole intervals; each one more than the first is an overrun. */
static void forward(struct posix_timer *pt, nsec_t now, nsec_t step_min)
{
	uint64_t rounds;

	if (!pt->interval) {
		pt->expires = 0;
		return;
	}
	if (pt->expires > now)
		return;
	rounds = (now - pt->expires) / pt->interval + 1;
	pt->expires = nsec_add(pt->expires, pt->interval * rounds);
	pt->overrun += rounds;
	if (pt->expires - now < step_min)
		pt->expires = now + step_min;
}

static void expired(struct posix_timer *pt, nsec_t now)
{
	struct task *to = pt->target ? pt->target->task : pt->tg->leader;
	int sent = 0;

	pt->overrun = 0;
	if (pt->signal && to)
		sent = signal_send_timer(to, pt->target ? SIGNAL_TO_TASK : SIGNAL_TO_GROUP,
					 pt->signal);
	pt->queued = sent == 1;
	if (pt->queued && pt->interval)
		return; /* goes on when the signal is taken */
	forward(pt, now, TIMER_STEP_MIN_NS);
	arm(pt);
}

static void timer_fired(struct ktimer *timer)
{
	struct posix_timer *pt = container_of(timer, struct posix_timer, timer);
	const nsec_t now = timer_clock(pt);

	if (now < pt->expires)
		arm(pt);
	else if (!pt->queued)
		expired(pt, now);
	else if (!pt->interval)
		pt->expires = 0;
	/* Else it was set again before its signal was taken, and goes on with that. */
}

void posix_timer_signal_dropped(struct posix_timer *timer)
{
	timer->queued = false;
	if (!timer->interval || !timer->expires)
		return;
	forward(timer, timer_clock(timer), TIMER_STEP_MIN_NS);
	arm(timer);
}

void posix_timer_signal_taken(struct posix_timer *timer, siginfo_t *info)
{
	timer->queued = false;
	if (timer->interval && timer->expires) {
		timer->overrun = 0;
		forward(timer, timer_clock(timer), 0);
		if (timer->overrun)
			timer->overrun--; /* the first is the one that was signalled */
		arm(timer);
	}
	timer->overrun_last = timer->overrun > OVERRUN_MAX ? OVERRUN_MAX : timer->overrun;
	info->si_overrun = (int)timer->overrun_last;
}

static struct posix_timer *find(struct thread_group *tg, int id)
{
	return tg->timers && id >= 0 && id < POSIX_TIMERS_MAX ? tg->timers->slot[id] : NULL;
}

static void timer_free(struct posix_timer *pt)
{
	ktimer_cancel(&pt->timer);
	if (pt->signal && pt->queued) {
		pt->signal->timer = NULL; /* it is delivered and freed as any other */
	} else if (pt->signal) {
		user_usage_drop_signal(pt->signal->usage);
		free(pt->signal);
	}
	timers_of_all--;
	task_unref(pt->cpu_of);
	pid_unref(pt->target);
	free(pt);
}

void posix_timers_free(struct thread_group *tg)
{
	for (int i = 0; tg->timers && i < POSIX_TIMERS_MAX; i++)
		if (tg->timers->slot[i])
			timer_free(tg->timers->slot[i]);
	free(tg->timers);
	tg->timers = NULL;
}

static int free_slot(struct thread_group *tg)
{
	if (!tg->timers)
		tg->timers = calloc(1, sizeof(*tg->timers));
	if (!tg->timers)
		return -ENOMEM;
	for (int i = 0; i < POSIX_TIMERS_MAX; i++)
		if (!tg->timers->slot[i])
			return i;
	return -EAGAIN;
}

static int signal_new(struct task *t, struct posix_timer *pt, const struct sigevent *ev)
{
	struct queued_signal *s;

	if (user_usage_add_signal(t->usage, task_rlimit(t, RLIMIT_SIGPENDING)) < 0)
		return -EAGAIN;
	s = calloc(1, sizeof(*s));
	if (!s) {
		user_usage_drop_signal(t->usage);
		return -ENOMEM;
	}
	list_init(&s->node);
	s->sig = ev->sigev_signo;
	s->timer = pt;
	s->usage = t->usage;
	s->info.si_signo = s->sig;
	s->info.si_code = SI_TIMER;
	s->info.si_timerid = pt->id;
	s->info.si_value = ev->sigev_value;
	pt->signal = s;
	return 0;
}

static int set_target(struct task *t, struct posix_timer *pt, const struct sigevent *ev)
{
	struct task *to;

	pt->notify = ev->sigev_notify;
	switch (ev->sigev_notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_THREAD_ID:
		to = task_find(task_pid_ns(t), ev->_sigev_un._tid);
		if (to && to->tg == t->tg)
			pt->target = pid_ref(to->pid);
		task_unref(to);
		if (!pt->target)
			return -EINVAL;
		break;
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
		break;
	default:
		return -EINVAL;
	}
	if (ev->sigev_signo < 1 || ev->sigev_signo > KNSIG)
		return -EINVAL;
	return signal_new(t, pt, ev);
}

int posix_timer_create(struct task *t, clockid_t clock, const struct sigevent *event)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	const enum clock_kind kind = clock_kind(clock);
	struct posix_timer *pt;
	int id, r;

	if (kind == CLOCK_KIND_BAD)
		return -EINVAL;
	if (clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE ||
	    clock == CLOCK_MONOTONIC_RAW)
		return -EOPNOTSUPP;
	if ((clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) &&
	    !task_capable(t, CAP_WAKE_ALARM))
		return -EPERM;
	id = free_slot(t->tg);
	if (id < 0)
		return id;
	if (timers_of_all >= POSIX_TIMERS_ALL_MAX)
		return -EAGAIN;
	pt = calloc(1, sizeof(*pt));
	if (!pt)
		return -ENOMEM;
	timers_of_all++;
	ktimer_init(&pt->timer, timer_fired);
	pt->tg = t->tg;
	pt->id = id;
	pt->kind = kind;
	ev.sigev_value.sival_int = id;
	if (kind >= CLOCK_KIND_CPU_THREAD) {
		pt->cpu_of = clock_task(t, clock);
		r = pt->cpu_of ? 0 : -EINVAL;
	} else {
		r = 0;
	}
	if (r == 0)
		r = set_target(t, pt, event ? event : &ev);
	if (r < 0) {
		timer_free(pt);
		return r;
	}
	t->tg->timers->slot[id] = pt;
	return id;
}

int posix_timer_delete(struct task *t, int id)
{
	struct posix_timer *pt = find(t->tg, id);

	if (!pt)
		return -EINVAL;
	t->tg->timers->slot[id] = NULL;
	timer_free(pt);
	return 0;
}

static void describe(const struct posix_timer *pt, struct itimerspec *ret)
{
	const nsec_t now = timer_clock(pt);

	memset(ret, 0, sizeof(*ret));
	ret->it_interval = nsec_to_timespec(pt->interval);
	if (pt->expires > now) {
		ret->it_value = nsec_to_timespec(pt->expires - now);
	} else if (pt->expires && pt->interval) {
		const nsec_t into = (now - pt->expires) % pt->interval;

		ret->it_value = nsec_to_timespec(pt->interval - into);
	} else if (pt->expires && pt->notify != SIGEV_NONE && !pt->queued) {
		ret->it_value.tv_nsec = 1; /* about to fire */
	}
}

int posix_timer_set(struct task *t, int id, int flags, const struct itimerspec *value,
		    struct itimerspec *ret_old)
{
	struct posix_timer *pt = find(t->tg, id);
	nsec_t ns;

	if (!pt)
		return -EINVAL;
	if (ret_old)
		describe(pt, ret_old);
	ns = timespec_to_nsec(&value->it_value);
	pt->interval = ns ? timespec_to_nsec(&value->it_interval) : 0;
	pt->overrun = pt->overrun_last = 0;
	if (!ns)
		pt->expires = 0;
	else
		pt->expires = flags & TIMER_ABSTIME ? ns : nsec_add(timer_clock(pt), ns);
	arm(pt);
	return 0;
}

int posix_timer_get(struct task *t, int id, struct itimerspec *ret)
{
	const struct posix_timer *pt = find(t->tg, id);

	if (!pt)
		return -EINVAL;
	describe(pt, ret);
	return 0;
}

int posix_timer_overrun(struct task *t, int id)
{
	const struct posix_timer *pt = find(t->tg, id);

	return pt ? (int)pt->overrun_last : -EINVAL;
}
