/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placement and polling. Times are ticks of the TSC: a clock that costs nothing is read a few times
 * in every call.
 *
 * Guest threads are pinned lazily, when they are let go: a thread's mask is compared with the one
 * that is wanted. Every FREE_US one wake-up is left to the scheduler, which may know a better CPU
 * than the one that we share; where the thread comes back from is the new home.
 *
 * A poller resigns when requests have become rare, when replies wake sleeping threads, which across
 * CPUs costs ten times a call, and when it sees that somebody else wants its CPU. How long it stays
 * away then depends on what it has saved and what it has cost.
 */
#include "sentry/platform/systrap/policy.h"

#include <sched.h>
#include <string.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/arch/yield.h"
#include "sentry/core/kclock.h"
#include "sentry/core/ktimer.h"
#include "sentry/platform/systrap/systrap_internal.h"

/* Microseconds. */
#define QUICK_US	40	/* a request that comes so soon after a reply is a quick one */
#define RARE_US		30	/* a mean distance from which polling does not pay */
#define BUSY_US		8	/* the same while several threads run, to begin */
#define BUSY_MAX_US	16	/* and to go on */
#define SPIN_US		100	/* without a request */
#define ARRIVAL_US	2000	/* the same, for a poller that has just been elected */
#define CHUNK_US	20	/* of spinning between two looks at descriptors */
#define STOLEN_US	1000	/* a gap in our own time: the CPU is wanted */
#define LOST_US		200	/* between a request and us, on one CPU */
#define SAVED_US	3	/* what a call is cheaper with a poller */
#define WAKE_US		60	/* what a wake-up across CPUs costs */
#define BACKOFF_US	10000	/* after a gap; doubled, if it was not worth it, up to */
#define BACKOFF_MAX_US	640000	/* this */
#define MULTI_US	1000	/* several threads ran for so long: spread */
#define CALM_US		20000	/* one thread ran for so long: together again */
#define FREE_US		20000	/* a wake-up of the scheduler's choice */
#define STUB_SPIN_US	100	/* how long a stub waits for a poller */
#define YIELD_PAUSE_US	20000	/* after a yield that others profited from; doubled up to */
#define YIELD_PAUSE_MAX 2560000 /* this */
#define GAP_MAX_US	100	/* what counts for the mean */

#define SPREAD_TICK_NS 10000000ull
#define MULTI_TICK_NS  1000000ull
#define QUICK_COUNT    8    /* so many quick requests in a row elect a poller */
#define LOOKS	       16   /* at the requests, between two at the clock */
#define DIRECT_MAX     16   /* requests that are waited for outside of the loop */
#define YIELD_THREADS  2    /* more that run would keep each other waiting */
#define YIELDS	       2    /* without a request */
#define YIELD_WORTH    1000 /* so many good ones forgive */
#define MEAN	       16   /* requests that a mean looks back at */
#define WAKES_ONE      1024 /* one wake-up in each request */
#define WAKES_MAX      (WAKES_ONE / 8)
#define RSEQ_AREA_LEN  32 /* as the C library registers it */
#define CALIBRATE_NS   20000
#define NO_CPU	       UINT32_MAX
#define OTHER_CPUS     (UINT32_MAX - 1) /* all but the poller's */
#define UNKNOWN_CPUS   (UINT32_MAX - 2) /* whatever it has is not what is wanted now */

enum mode {
	LOCAL,
	POLL,
	SPREAD,
};

static struct {
	enum mode mode;
	bool usable;  /* there is more than one CPU */
	bool several; /* threads have been running lately */
	cpu_set_t all;
	uint32_t home;	 /* where guest threads are */
	uint32_t worker; /* where the worker is pinned, NO_CPU: anywhere */
	unsigned int running, quick, direct;
	uint64_t us; /* ticks of one */
	uint64_t last_reply, idle_since, multi_since, calm_since, freed_at;
	uint64_t seen;		       /* requests that this poller has had */
	uint64_t woken;		       /* how many replies of it found a sleeping thread */
	uint64_t patience;	       /* without a request */
	uint64_t elect_after, backoff; /* no election before; the last pause */
	uint64_t gap;		       /* mean time in guest code */
	unsigned int wakes;	       /* mean number of wake-ups for a request */
	uint64_t yield_after, yield_pause;
	unsigned int good_yields;
	struct ktimer tick;
} policy;

static uint64_t ticks(void)
{
	return __builtin_ia32_rdtsc();
}

/* CPUs need not agree to the last tick. */
static uint64_t since(uint64_t then, uint64_t now)
{
	return (int64_t)(now - then) > 0 ? now - then : 0;
}

static uint32_t this_cpu(void)
{
	const int cpu = sched_getcpu();

	return cpu < 0 ? 0 : (uint32_t)cpu;
}

/* Of the CPUs that are allowed those that are wanted; where none is, all of them. */
static void pin(pid_t tid, uint32_t cpu, const cpu_set_t *allowed)
{
	cpu_set_t set = *allowed;

	if (cpu == OTHER_CPUS) {
		CPU_CLR(policy.worker, &set);
		if (CPU_COUNT(&set) == 0)
			set = *allowed;
	} else if (cpu != NO_CPU && CPU_ISSET(cpu, allowed)) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
	}
	(void)sched_setaffinity(tid, sizeof(set), &set);
}

static void pin_worker(uint32_t cpu)
{
	if (policy.worker == cpu)
		return;
	policy.worker = cpu;
	pin(0, cpu, &policy.all);
}

static void pin_thread(struct platform_thread *t, uint32_t cpu)
{
	if (t->cpu == cpu || t->tid == 0)
		return;
	t->cpu = cpu;
	pin(t->tid, cpu, t->masked ? &t->mask : &policy.all);
}

static uint32_t other_cpu(uint32_t cpu)
{
	for (uint32_t i = 1; i < CPU_SETSIZE; i++) {
		const uint32_t candidate = (cpu + i) % CPU_SETSIZE;

		if (CPU_ISSET(candidate, &policy.all))
			return candidate;
	}
	return cpu;
}

static void set_poller(uint32_t cpu)
{
	__atomic_store_n(&systrap.global->poller, cpu, __ATOMIC_RELAXED);
}

static void set_yields(uint32_t value)
{
	if (__atomic_load_n(&systrap.global->yields, __ATOMIC_RELAXED) != value)
		__atomic_store_n(&systrap.global->yields, value, __ATOMIC_RELAXED);
}

static void spread(void)
{
	struct platform_thread *t;

	policy.mode = SPREAD;
	pin_worker(NO_CPU);
	list_for_each(t, &systrap.guests, guest_node) pin_thread(t, NO_CPU);
	policy.calm_since = ticks();
}

static void on_tick(struct ktimer *timer);
static void resign(uint64_t now, uint64_t lost, bool pause);

/* It can run on no CPU but the poller's. */
static bool is_in_the_way(const struct platform_thread *t)
{
	return t->masked && CPU_COUNT(&t->mask) == 1 && CPU_ISSET(policy.worker, &t->mask);
}

void policy_affinity(struct platform_thread *t, const uint64_t mask[PLATFORM_CPU_WORDS])
{
	const bool was_masked = t->masked;
	unsigned int nth = 0;

	CPU_ZERO(&t->mask);
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &policy.all))
			continue;
		if (mask[nth / 64] >> nth % 64 & 1)
			CPU_SET(cpu, &t->mask);
		nth++;
	}
	t->masked = CPU_COUNT(&t->mask) > 0 && !CPU_EQUAL(&t->mask, &policy.all);
	if (!t->masked && !was_masked)
		return;
	t->cpu = UNKNOWN_CPUS;
	if (policy.usable && t->counted)
		pin_thread(t, NO_CPU);
}

uint32_t policy_cpu(struct platform_thread *t)
{
	const uint32_t at = __atomic_load_n(&t->ctx->cpu, __ATOMIC_RELAXED);
	uint32_t nth = 0;

	if (at >= CPU_SETSIZE || !CPU_ISSET(at, &policy.all))
		return UINT32_MAX;
	for (uint32_t cpu = 0; cpu < at; cpu++)
		nth += CPU_ISSET(cpu, &policy.all) ? 1 : 0;
	return nth;
}

void policy_inherit(const struct platform_thread *from, struct platform_thread *to)
{
	if (from->masked || to->masked)
		to->cpu = UNKNOWN_CPUS;
	to->masked = from->masked;
	to->mask = from->mask;
}

/* Ticks in a microsecond are not known without a measurement: a short one. */
static uint64_t calibrate(void)
{
	const nsec_t start = kclock_monotonic();
	const uint64_t begin = ticks();
	nsec_t passed;

	do
		passed = kclock_monotonic() - start;
	while (passed < CALIBRATE_NS);
	return (ticks() - begin) * 1000 / passed + 1;
}

/* Nothing here uses restartable sequences, which cost a write in every switch to the worker. */
static void leave_rseq(void)
{
	uint8_t *area = (uint8_t *)__builtin_thread_pointer() + __rseq_offset;

	if (__rseq_size > 0)
		(void)syscall(SYS_rseq, area, RSEQ_AREA_LEN, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
}

void policy_init(void)
{
	leave_rseq();
	memset(&policy, 0, sizeof(policy));
	policy.us = calibrate();
	policy.worker = NO_CPU;
	policy.yield_pause = YIELD_PAUSE_US * policy.us;
	policy.home = this_cpu();
	ktimer_init(&policy.tick, on_tick);
	policy.usable = sched_getaffinity(0, sizeof(policy.all), &policy.all) == 0 &&
			CPU_COUNT(&policy.all) > 1;
	systrap.global->spin = STUB_SPIN_US * policy.us;
}

/*
 * A start is one step of ours after one of a stub's: on two CPUs each would wake the other. The
 * scheduler has its say when the program has run for FREE_US.
 */
void policy_begin(struct platform_thread *template)
{
	if (!policy.usable)
		return;
	policy.freed_at = ticks();
	policy.home = this_cpu();
	pin_worker(policy.home);
	pin_thread(template, policy.home);
}

void policy_leaving(struct platform_thread *t)
{
	const uint64_t now = ticks();

	t->counted = true;
	t->left_at = now;
	policy.last_reply = policy.idle_since = now;
	if (++policy.running == 2)
		policy.multi_since = now;
	if (!policy.usable)
		return;
	if (policy.mode == POLL && is_in_the_way(t))
		resign(now, 0, true);
	if ((policy.running > 1 || policy.several) && !policy.tick.armed)
		ktimer_arm(&policy.tick, kclock_monotonic() + MULTI_TICK_NS);
	if (policy.mode == SPREAD) {
		pin_thread(t, NO_CPU);
	} else if (policy.mode == POLL && policy.several) {
		pin_thread(t, OTHER_CPUS);
	} else if (policy.mode == LOCAL && since(policy.freed_at, now) >= FREE_US * policy.us) {
		policy.freed_at = now;
		pin_thread(t, NO_CPU);
	} else {
		pin_thread(t, policy.home);
	}
}

uint64_t policy_guest_ticks(const struct platform_thread *t)
{
	return t->guest_ticks + (t->counted ? since(t->left_at, ticks()) : 0);
}

static void uncount(struct platform_thread *t, uint64_t now)
{
	if (!t->counted)
		return;
	t->counted = false;
	t->guest_ticks += since(t->left_at, now);
	policy.running--;
}

/* `lost`: for how long we were in others' way, or they in ours, for nothing. */
static void resign(uint64_t now, uint64_t lost, bool pause)
{
	struct platform_thread *t;
	const bool worth = policy.seen * SAVED_US * policy.us > 2 * lost;

	policy.mode = LOCAL;
	policy.quick = 0;
	if (worth && !pause)
		policy.backoff = 0;
	else if (worth || policy.backoff == 0)
		policy.backoff = BACKOFF_US * policy.us;
	else if (policy.backoff < BACKOFF_MAX_US * policy.us)
		policy.backoff *= 2;
	policy.elect_after = now + policy.backoff;
	/* Who has not come for long may be waiting for a CPU: ours is free now. */
	list_for_each(t, &systrap.guests, guest_node)
	{
		if (t->counted)
			pin_thread(t, NO_CPU);
	}
	pin_worker(policy.home);
	set_poller(policy.home);
}

static void elect(uint64_t now)
{
	const uint32_t cpu = other_cpu(policy.home);
	uint64_t there;

	policy.mode = POLL;
	policy.seen = policy.woken = 0;
	/* A stub that waits sees one or the other, and stays awake. */
	set_poller(cpu);
	set_yields(0);
	pin_worker(cpu);
	there = ticks();
	policy.idle_since = there;
	policy.patience = ARRIVAL_US * policy.us;
	if (since(now, there) > STOLEN_US * policy.us)
		resign(there, since(now, there), true);
}

static bool may_elect(uint64_t now)
{
	const uint64_t rare = policy.running > 0 ? BUSY_US : RARE_US;

	return policy.usable && policy.wakes < WAKES_MAX / 2 && policy.gap < rare * policy.us &&
	       (int64_t)(now - policy.elect_after) >= 0;
}

/*
 * Several threads have been running for a while. If they do little but calls, they are better off
 * with one CPU less and a poller; else they go where the host puts them.
 */
static void several(uint64_t now)
{
	policy.several = true;
	if (policy.mode == SPREAD) {
		if (may_elect(now))
			elect(now);
	} else if (policy.mode == LOCAL) {
		if (may_elect(now))
			elect(now);
		else
			spread();
	}
}

/* While several threads run or all are spread. */
static void on_tick(struct ktimer *timer)
{
	const uint64_t now = ticks();

	if (policy.running > 1) {
		policy.calm_since = now;
		if (since(policy.multi_since, now) >= MULTI_US * policy.us)
			several(now);
	} else if (since(policy.calm_since, now) >= CALM_US * policy.us) {
		policy.several = false;
		if (policy.mode == SPREAD)
			policy.mode = LOCAL;
	}
	if (policy.running > 0 && (policy.running > 1 || policy.several))
		ktimer_arm(timer,
			   kclock_monotonic() + (policy.several ? SPREAD_TICK_NS : MULTI_TICK_NS));
}

/* Others had the CPU between the request and us: a yield gives away more than it should. */
static void judge_yield(const struct platform_thread *t, uint64_t now)
{
	uint32_t posted;

	if (!systrap.global->yields)
		return;
	posted = __atomic_load_n(&t->ctx->posted, __ATOMIC_RELAXED);
	if ((uint32_t)now - posted <= LOST_US * policy.us) {
		if (++policy.good_yields >= YIELD_WORTH)
			policy.yield_pause = YIELD_PAUSE_US * policy.us;
		return;
	}
	set_yields(0);
	policy.yield_after = now + policy.yield_pause;
	policy.good_yields = 0;
	if (policy.yield_pause < YIELD_PAUSE_MAX * policy.us)
		policy.yield_pause *= 2;
}

static void note_request(uint64_t now)
{
	uint64_t gap = since(policy.last_reply, now);

	policy.seen++;
	policy.quick = gap < QUICK_US * policy.us ? policy.quick + 1 : 0;
	if (gap > GAP_MAX_US * policy.us)
		gap = GAP_MAX_US * policy.us;
	policy.gap = policy.gap - policy.gap / MEAN + gap / MEAN;
	policy.wakes -= (policy.wakes + MEAN - 1) / MEAN;
}

void policy_arrived(struct platform_thread *t)
{
	const uint64_t now = ticks();

	if (!t->counted)
		return;
	uncount(t, now);
	note_request(now);
	if (policy.mode == POLL) {
		if (policy.seen == QUICK_COUNT)
			policy.patience = SPIN_US * policy.us;
		return;
	}
	judge_yield(t, now);
	if (!policy.usable || policy.mode != LOCAL)
		return;
	if (t->cpu == NO_CPU || t->masked) {
		const uint32_t cpu = __atomic_load_n(&t->ctx->cpu, __ATOMIC_RELAXED);

		if (cpu < CPU_SETSIZE && CPU_ISSET(cpu, &policy.all))
			policy.home = cpu;
	}
	if (policy.quick >= QUICK_COUNT && policy.running == 0 && may_elect(now))
		elect(now);
	else
		pin_worker(policy.home);
}

void policy_lost(struct platform_thread *t)
{
	uncount(t, ticks());
}

void policy_woken(bool parked)
{
	/* With another thread on it, the CPU is awake. */
	if (policy.mode == POLL ? policy.running > 1 : !parked)
		return;
	policy.wakes += WAKES_ONE / MEAN;
	policy.woken++;
}

/* Is it time to stop polling? */
static bool judge_poller(uint64_t last, uint64_t now)
{
	if (since(last, now) > STOLEN_US * policy.us)
		resign(now, since(last, now), true);
	else if (since(policy.idle_since, now) > policy.patience)
		resign(now, policy.patience, false);
	else if (policy.seen > 2 * MEAN &&
		 policy.gap > (policy.several ? BUSY_MAX_US : RARE_US) * policy.us)
		resign(now, policy.seen * policy.gap, true);
	else if (policy.seen > 2 * MEAN && policy.wakes > WAKES_MAX)
		resign(now, policy.woken * WAKE_US * policy.us, false);
	else
		return false;
	return true;
}

/* Look until there is a request, for CHUNK_US at most. */
static enum policy_found spin(bool (*look)(void *arg), void *arg, bool briefly)
{
	const uint64_t start = ticks();
	uint64_t last = start;

	for (;;) {
		uint64_t now;

		for (unsigned int i = 0; i < LOOKS; i++) {
			if (look(arg))
				return POLICY_FOUND;
			__builtin_ia32_pause();
		}
		now = ticks();
		if (judge_poller(last, now))
			return POLICY_SLEEP;
		if (briefly || since(start, now) > CHUNK_US * policy.us)
			return POLICY_AGAIN;
		last = now;
	}
}

static bool may_yield(void)
{
	return policy.mode == LOCAL && policy.running > 0 && policy.running <= YIELD_THREADS &&
	       policy.quick >= QUICK_COUNT &&
	       (int64_t)(policy.last_reply - policy.yield_after) >= 0;
}

void policy_expect(void)
{
	policy_woken(true);
	if (may_yield())
		set_yields(1);
}

static enum policy_found yield(bool (*look)(void *arg), void *arg)
{
	if (!may_yield())
		return POLICY_SLEEP;
	set_yields(1);
	for (unsigned int i = 0; i < YIELDS; i++) {
		arch_yield();
		if (look(arg))
			return POLICY_FOUND;
	}
	set_yields(0);
	policy.quick = 0;
	return POLICY_SLEEP;
}

enum policy_found policy_wait(bool (*look)(void *arg), void *arg, bool briefly)
{
	/* Only a thread that runs guest code can post. */
	if (policy.running == 0 || policy.mode == SPREAD)
		return POLICY_SLEEP;
	if (policy.mode == POLL)
		return spin(look, arg, briefly);
	return briefly ? POLICY_SLEEP : yield(look, arg);
}

bool policy_wait_directly(bool (*look)(void *arg), void *arg)
{
	if (policy.running != 1 || ++policy.direct > DIRECT_MAX) {
		policy.direct = 0;
		return false;
	}
	return policy_wait(look, arg, false) == POLICY_FOUND;
}

void policy_sleeping(void)
{
	set_poller(NO_CPU);
}

void policy_awake(void)
{
	set_poller(policy.usable ? this_cpu() : NO_CPU);
}
