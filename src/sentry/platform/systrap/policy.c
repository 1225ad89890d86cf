/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placement and polling.
 *
 * Guest threads are pinned lazily, when they are let go: a thread's mask is compared with the one
 * that is wanted. Every FREE_NS one wake-up is left to the scheduler, which may know a better CPU
 * than the one that we share; where the thread comes back from is the new home. A poller resigns
 * when nothing has come for SPIN_NS, and for longer when it sees that somebody else wants its CPU.
 */
#include "sentry/platform/systrap/policy.h"

#include <sched.h>
#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/core/ktimer.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define QUICK_NS	40000	     /* a request that comes so soon after a reply is a quick one */
#define QUICK_COUNT	8	     /* so many in a row elect a poller */
#define SPIN_NS		100000	     /* without a request */
#define CHUNK_NS	20000	     /* of spinning between two looks at descriptors */
#define STOLEN_NS	200000	     /* a gap in our own time: the CPU is wanted */
#define BACKOFF_NS	10000000ull  /* after that; doubled up to */
#define BACKOFF_MAX	160000000ull /* this */
#define POLL_WORTH	32	     /* requests that a poller must see */
#define MULTI_NS	1000000	     /* several threads ran for so long: spread */
#define SPREAD_TICK_NS	10000000
#define CALM_NS		20000000 /* one thread ran for so long: together again */
#define FREE_NS		20000000 /* a wake-up of the scheduler's choice */
#define STUB_SPIN_NS	20000	 /* how long a stub waits for a poller */
#define YIELD_THREADS	2	 /* more that run would keep each other waiting */
#define YIELDS		2
#define YIELD_PAUSE_NS	20000000ull   /* after a yield that others profited from; doubled up to */
#define YIELD_PAUSE_MAX 2560000000ull /* this */
#define YIELD_WORTH	1000	      /* so many good ones forgive */
#define NO_CPU		UINT32_MAX

enum mode {
	LOCAL,
	POLL,
	SPREAD,
};

static struct {
	enum mode mode;
	bool usable; /* there is more than one CPU */
	cpu_set_t all;
	uint32_t home;	 /* where guest threads are */
	uint32_t worker; /* where the worker is pinned, NO_CPU: anywhere */
	unsigned int running, quick, seen;
	nsec_t last_reply, last_request, multi_since, calm_since, freed_at, backoff_until, backoff;
	nsec_t yield_after, yield_pause;
	unsigned int good_yields;
	struct ktimer tick;
} policy;

static uint32_t this_cpu(void)
{
	const int cpu = sched_getcpu();

	return cpu < 0 ? 0 : (uint32_t)cpu;
}

static void pin(pid_t tid, uint32_t cpu)
{
	cpu_set_t one;

	if (cpu == NO_CPU) {
		(void)sched_setaffinity(tid, sizeof(policy.all), &policy.all);
		return;
	}
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	(void)sched_setaffinity(tid, sizeof(one), &one);
}

static void pin_worker(uint32_t cpu)
{
	if (policy.worker == cpu)
		return;
	policy.worker = cpu;
	pin(0, cpu);
}

static void pin_thread(struct platform_thread *t, uint32_t cpu)
{
	if (t->cpu == cpu || t->tid == 0)
		return;
	t->cpu = cpu;
	pin(t->tid, cpu);
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

static void spread(void)
{
	struct platform_thread *t;

	policy.mode = SPREAD;
	pin_worker(NO_CPU);
	list_for_each(t, &systrap.guests, guest_node) pin_thread(t, NO_CPU);
	policy.calm_since = kclock_monotonic();
}

/* While several threads run or all are spread. */
static void on_tick(struct ktimer *timer)
{
	const nsec_t now = kclock_monotonic();

	if (policy.running > 1) {
		policy.calm_since = now;
		if (policy.mode != SPREAD && now - policy.multi_since >= MULTI_NS)
			spread();
	} else if (policy.mode == SPREAD && now - policy.calm_since >= CALM_NS) {
		policy.mode = LOCAL;
	}
	if (policy.running > 0 && (policy.running > 1 || policy.mode == SPREAD))
		ktimer_arm(timer, now + (policy.mode == SPREAD ? SPREAD_TICK_NS : MULTI_NS));
}

void policy_init(void)
{
	/* Time stamp ticks per nanosecond are not known without a measurement: a short one. */
	const nsec_t start = kclock_monotonic();
	const uint64_t ticks = __builtin_ia32_rdtsc();
	nsec_t passed;

	memset(&policy, 0, sizeof(policy));
	policy.worker = NO_CPU;
	policy.backoff = BACKOFF_NS;
	policy.yield_pause = YIELD_PAUSE_NS;
	policy.home = this_cpu();
	ktimer_init(&policy.tick, on_tick);
	policy.usable = sched_getaffinity(0, sizeof(policy.all), &policy.all) == 0 &&
			CPU_COUNT(&policy.all) > 1;
	do
		passed = kclock_monotonic() - start;
	while (passed < 20000);
	systrap.global->spin = (__builtin_ia32_rdtsc() - ticks) * STUB_SPIN_NS / passed;
}

void policy_leaving(struct platform_thread *t)
{
	const nsec_t now = kclock_monotonic();

	t->counted = true;
	t->left_at = now;
	policy.last_reply = now;
	if (++policy.running == 2)
		policy.multi_since = now;
	if (!policy.usable)
		return;
	if (policy.running > 1 && !policy.tick.armed)
		ktimer_arm(&policy.tick, now + MULTI_NS);
	if (policy.mode == SPREAD) {
		pin_thread(t, NO_CPU);
	} else if (policy.mode == LOCAL && now - policy.freed_at >= FREE_NS) {
		policy.freed_at = now;
		pin_thread(t, NO_CPU);
	} else {
		pin_thread(t, policy.home);
	}
}

static void uncount(struct platform_thread *t)
{
	if (!t->counted)
		return;
	t->counted = false;
	t->guest_ns += kclock_monotonic() - t->left_at;
	policy.running--;
}

static void elect(nsec_t now)
{
	policy.mode = POLL;
	__atomic_store_n(&systrap.global->yields, 0, __ATOMIC_RELAXED);
	policy.seen = 0;
	policy.last_request = now;
	pin_worker(other_cpu(policy.home));
	policy_awake();
}

/* Others had the CPU between the request and us: a yield gives away more than it should. */
static void judge_yield(const struct platform_thread *t, nsec_t now)
{
	const uint32_t posted = __atomic_load_n(&t->ctx->posted, __ATOMIC_RELAXED);
	const uint32_t ticks = (uint32_t)__builtin_ia32_rdtsc() - posted;

	if (!systrap.global->yields)
		return;
	if (ticks <= systrap.global->spin * (STOLEN_NS / STUB_SPIN_NS)) {
		if (++policy.good_yields >= YIELD_WORTH)
			policy.yield_pause = YIELD_PAUSE_NS;
		return;
	}
	__atomic_store_n(&systrap.global->yields, 0, __ATOMIC_RELAXED);
	policy.yield_after = now + policy.yield_pause;
	policy.good_yields = 0;
	if (policy.yield_pause < YIELD_PAUSE_MAX)
		policy.yield_pause *= 2;
}

void policy_arrived(struct platform_thread *t)
{
	const nsec_t now = kclock_monotonic();

	if (!t->counted)
		return;
	uncount(t);
	policy.seen++;
	policy.quick = now - policy.last_reply < QUICK_NS ? policy.quick + 1 : 0;
	policy.last_request = now;
	judge_yield(t, now);
	if (!policy.usable || policy.mode != LOCAL)
		return;
	if (t->cpu == NO_CPU) {
		const uint32_t cpu = __atomic_load_n(&t->ctx->cpu, __ATOMIC_RELAXED);

		if (cpu < CPU_SETSIZE && CPU_ISSET(cpu, &policy.all))
			policy.home = cpu;
	}
	if (policy.quick >= QUICK_COUNT && policy.running == 0 && now >= policy.backoff_until)
		elect(now);
	else
		pin_worker(policy.home);
}

void policy_lost(struct platform_thread *t)
{
	uncount(t);
}

static void resign(nsec_t now, bool stolen)
{
	const bool worth = policy.seen >= POLL_WORTH && !stolen;

	policy.mode = LOCAL;
	policy.quick = 0;
	policy.backoff = worth ? BACKOFF_NS : policy.backoff * 2;
	if (policy.backoff > BACKOFF_MAX)
		policy.backoff = BACKOFF_MAX;
	policy.backoff_until = worth ? now : now + policy.backoff;
	pin_worker(policy.home);
}

bool policy_spin(bool (*poll)(void))
{
	nsec_t start, last;

	/* Only a thread that runs guest code can post. */
	if (policy.mode != POLL || policy.running == 0)
		return false;
	start = last = kclock_monotonic();
	for (;;) {
		nsec_t now;

		if (poll())
			return true;
		__builtin_ia32_pause();
		now = kclock_monotonic();
		if (now - last > STOLEN_NS || now - policy.last_request > SPIN_NS) {
			resign(now, now - last > STOLEN_NS);
			return false;
		}
		last = now;
		if (now - start > CHUNK_NS)
			return true;
	}
}

bool policy_yield(bool (*poll)(void))
{
	const nsec_t now = kclock_monotonic();

	if (policy.mode != LOCAL || policy.running == 0 || policy.running > YIELD_THREADS ||
	    policy.quick < QUICK_COUNT || now < policy.yield_after)
		return false;
	__atomic_store_n(&systrap.global->yields, 1, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < YIELDS; i++) {
		(void)sched_yield();
		if (poll())
			return true;
	}
	__atomic_store_n(&systrap.global->yields, 0, __ATOMIC_RELAXED);
	policy.quick = 0;
	return false;
}

void policy_sleeping(void)
{
	__atomic_store_n(&systrap.global->poller, NO_CPU, __ATOMIC_RELAXED);
}

void policy_awake(void)
{
	__atomic_store_n(&systrap.global->poller, policy.usable ? this_cpu() : NO_CPU,
			 __ATOMIC_RELAXED);
}
