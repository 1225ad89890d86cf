/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/account.c - see account.h. */
#include "sentry/task/account.h"

#include "sentry/core/kclock.h"
#include "sentry/core/ktimer.h"

#define LOAD_PERIOD_NS (5 * NSEC_PER_SEC)
#define LOAD_BITS      11 /* LOAD_ONE */

struct switches task_switches(const struct task *t)
{
	struct switches s = { t->nvcsw, t->nivcsw };

	if (t->fiber && !t->in_guest) {
		s.voluntary += fiber_parks(t->fiber) - t->parks_before;
		s.involuntary += fiber_yields(t->fiber) - t->yields_before;
	}
	return s;
}

void account_enter_guest(struct task *t)
{
	const struct switches s = task_switches(t);

	t->nvcsw = s.voluntary;
	t->nivcsw = s.involuntary;
	load_wake(t);
}

void account_left_guest(struct task *t)
{
	t->parks_before = fiber_parks(t->fiber);
	t->yields_before = fiber_yields(t->fiber);
}

struct switches thread_group_switches(const struct thread_group *tg)
{
	struct switches all = { tg->nvcsw, tg->nivcsw };
	const struct task *t;

	list_for_each(t, &tg->tasks, tg_node)
	{
		const struct switches s = task_switches(t);

		if (t->state == TASK_ZOMBIE) /* counted when it ended */
			continue;
		all.voluntary += s.voluntary;
		all.involuntary += s.involuntary;
	}
	return all;
}

static uint64_t births;

void account_birth(void)
{
	births++;
}

uint64_t account_births(void)
{
	return births;
}

void io_account_add(struct io_account *to, const struct io_account *more)
{
	to->read_calls += more->read_calls;
	to->read_bytes += more->read_bytes;
	to->write_calls += more->write_calls;
	to->write_bytes += more->write_bytes;
}

struct io_account thread_group_io(const struct thread_group *tg)
{
	struct io_account all = tg->io;
	const struct task *t;

	list_for_each(t, &tg->tasks, tg_node) if (t->state != TASK_ZOMBIE)
		io_account_add(&all, &t->io);
	return all;
}

static void load_timer(struct ktimer *timer);

static struct {
	struct ktimer timer;
	struct pid_ns *root; /* one reference */
	nsec_t last;	     /* when `average` was true; the timer runs a period later */
	uint64_t average[3];
} load = { .timer = { .fn = load_timer } };

/* What of an old average is left after a period: exp(-5 s / 1, 5, 15 min), of LOAD_ONE. */
static const uint64_t decay[3] = { 1884, 2014, 2037 };

/* decay to the n-th power, of LOAD_ONE. */
static uint64_t decay_n(uint64_t factor, uint64_t n)
{
	uint64_t r = LOAD_ONE;

	for (; n; n >>= 1, factor = (factor * factor + LOAD_ONE / 2) >> LOAD_BITS)
		if (n & 1)
			r = (r * factor + LOAD_ONE / 2) >> LOAD_BITS;
	return r;
}

/* So many periods with so many tasks. */
static void load_fold(unsigned int active, uint64_t periods)
{
	for (int i = 0; i < 3; i++) {
		const uint64_t left = decay_n(decay[i], periods), now = active * (uint64_t)LOAD_ONE;
		uint64_t sum = load.average[i] * left + now * (LOAD_ONE - left);

		if (now >= load.average[i])
			sum += LOAD_ONE - 1;
		load.average[i] = sum >> LOAD_BITS;
	}
	load.last += periods * LOAD_PERIOD_NS;
}

static unsigned int count_active(void)
{
	unsigned int active = 0;
	int nr = 1;

	for (struct pid *p = pid_next(load.root, nr); p; p = pid_next(load.root, nr)) {
		nr = pid_nr(p, load.root) + 1;
		if (p->task && (task_state_now(p->task) == TASK_RUNNING ||
				task_state_now(p->task) == TASK_BLOCKED))
			active++;
	}
	return active;
}

static void load_timer(struct ktimer *timer)
{
	const unsigned int active = count_active();

	load_fold(active, (kclock_monotonic() - load.last) / LOAD_PERIOD_NS);
	if (active)
		ktimer_arm(timer, load.last + LOAD_PERIOD_NS);
}

/* While no timer runs nobody did. */
static void load_idle(void)
{
	const nsec_t now = kclock_monotonic();

	if (load.root && !load.timer.armed && now > load.last)
		load_fold(0, (now - load.last) / LOAD_PERIOD_NS);
}

void load_averages(uint64_t ret[3])
{
	load_idle();
	for (int i = 0; i < 3; i++)
		ret[i] = load.average[i];
}

void load_wake(const struct task *t)
{
	if (load.timer.armed)
		return;
	if (!load.root) {
		struct pid_ns *ns = task_pid_ns(t);

		while (pid_ns_parent(ns))
			ns = pid_ns_parent(ns);
		load.root = pid_ns_ref(ns);
		load.last = kclock_monotonic();
	}
	load_idle();
	ktimer_arm(&load.timer, load.last + LOAD_PERIOD_NS);
}
