/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kicks that are not answered. A guest can block every signal of its host thread (rt_sigreturn(2)
 * with a mask of its own), and wait in the stub for ever.
 *
 * A signal that is not blocked is taken before the next instruction in user mode: time in user mode
 * that only the kicked thread can have used proves it deaf. Where other threads of its process were
 * in guest code too, it takes more; and time in the kernel alone proves nothing but after very
 * long: unmapping much, or reading a page of a slow volume, is honest. Who uses no CPU at all waits
 * for one, or for such a page, or sleeps on purpose: that is borne until the thread is to end.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sentry/core/kclock.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define LOOK_NS	     10000000ull /* between two kicks */
#define LOOK_LATE_NS 1000000000ull
#define LOOKS_SOON   100	   /* without any CPU; the next come late, or it is killed */
#define OWN_NS	     30000000ull   /* in user mode, alone */
#define USER_NS	     100000000ull  /* in user mode, per thread of the process */
#define CPU_NS	     2000000000ull /* in all, per thread */
#define NOTED	     12		   /* looks since the stub has noted a kick, per thread */

/* Of a process: clock_getcpuclockid(3). Tick by tick in user mode, exact in all. */
enum cpu_clock {
	CPU_CLOCK_USER = 1,
	CPU_CLOCK_ALL = 2,
};

static uint64_t cpu_time(const struct platform_space *s, enum cpu_clock which)
{
	const clockid_t clock = (clockid_t)((~(unsigned int)s->tgid) << 3 | which);
	struct timespec ts;

	if (s->dead || s->tgid == 0 || clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t systrap_cpu_ns(const struct platform_space *s)
{
	return cpu_time(s, CPU_CLOCK_ALL);
}

static unsigned int count_threads(const struct platform_space *s)
{
	const struct platform_thread *t;
	unsigned int n = 0;

	list_for_each(t, &s->threads, node) n++;
	return n;
}

static bool is_alone(const struct platform_thread *t)
{
	const struct platform_thread *other;

	list_for_each(other, &t->space->threads, node) if (other != t && other->guest) return false;
	return true;
}

/* Since the last look. */
static void look(struct platform_thread *t)
{
	struct systrap_deaf *d = &t->deaf_state;
	const uint64_t user = cpu_time(t->space, CPU_CLOCK_USER), cpu = systrap_cpu_ns(t->space);

	if (d->alone && d->entries == t->space->entries)
		d->own += user - d->user_ns;
	if (cpu == d->cpu_ns)
		d->idle++;
	else if (__atomic_load_n(&t->ctx->intr, __ATOMIC_RELAXED))
		d->noted++;
	d->user += user - d->user_ns;
	d->cpu += cpu - d->cpu_ns;
	d->user_ns = user;
	d->cpu_ns = cpu;
	d->entries = t->space->entries;
	d->alone = is_alone(t);
}

static bool is_deaf(const struct platform_thread *t)
{
	const struct systrap_deaf *d = &t->deaf_state;
	const unsigned int threads = count_threads(t->space);

	return d->own >= OWN_NS || d->user > USER_NS * threads || d->cpu > CPU_NS * threads ||
	       d->noted > NOTED * threads || (t->ending && d->idle > LOOKS_SOON);
}

/* Honest host threads never end alone: one that is not there any more was ended by its guest. */
static bool send_kick(struct platform_thread *t)
{
	if (syscall(SYS_tgkill, t->space->tgid, t->tid, SIGURG) == 0 || errno != ESRCH)
		return true;
	systrap_space_kill(t->space);
	return false;
}

static void on_deaf(struct ktimer *timer)
{
	struct platform_thread *t = container_of(timer, struct platform_thread, deaf);
	const bool late = t->deaf_state.idle > LOOKS_SOON && !t->ending;

	if (!t->kicked || t->space->dead)
		return;
	look(t);
	if (is_deaf(t))
		systrap_space_kill(t->space);
	else if (send_kick(t))
		ktimer_arm(timer, kclock_monotonic() + (late ? LOOK_LATE_NS : LOOK_NS));
}

void systrap_kick_init(struct platform_thread *t)
{
	ktimer_init(&t->deaf, on_deaf);
}

void systrap_kick(struct platform_thread *t)
{
	t->kicked = true;
	t->deaf_state = (struct systrap_deaf){
		.user_ns = cpu_time(t->space, CPU_CLOCK_USER),
		.cpu_ns = systrap_cpu_ns(t->space),
		.entries = t->space->entries,
		.alone = is_alone(t),
	};
	if (send_kick(t))
		ktimer_arm(&t->deaf, kclock_monotonic() + LOOK_NS);
}
