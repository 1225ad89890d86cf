/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/clocks.c - see clocks.h. */
#include "sentry/task/clocks.h"

#include "sentry/core/kclock.h"

/* A dynamic CPU clock (clock_getcpuclockid(3)): ~pid << 3, CPUCLOCK_PERTHREAD, CPUCLOCK_SCHED. */
#define CPUCLOCK_WHICH	   3
#define CPUCLOCK_PERTHREAD 4

#define POLL_MIN_NS 1000000ull
#define POLL_MAX_NS 20000000ull

enum clock_kind clock_kind(clockid_t id)
{
	if (id < 0) {
		if ((id & CPUCLOCK_WHICH) == CPUCLOCK_WHICH)
			return CLOCK_KIND_BAD; /* a device's clock */
		return id & CPUCLOCK_PERTHREAD ? CLOCK_KIND_CPU_THREAD : CLOCK_KIND_CPU_PROCESS;
	}
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		return CLOCK_KIND_REAL;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
		return CLOCK_KIND_MONO;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		return CLOCK_KIND_BOOT;
	case CLOCK_THREAD_CPUTIME_ID:
		return CLOCK_KIND_CPU_THREAD;
	case CLOCK_PROCESS_CPUTIME_ID:
		return CLOCK_KIND_CPU_PROCESS;
	default:
		return CLOCK_KIND_BAD;
	}
}

struct task *clock_task(struct task *t, clockid_t id)
{
	const int nr = id < 0 ? ~(id >> 3) : 0;
	const struct pid *pid;
	struct task *of;

	if (!nr)
		return task_ref(t);
	pid = pid_find(task_pid_ns(t), nr);
	if (!pid)
		return NULL;
	if (id & CPUCLOCK_PERTHREAD) {
		of = pid->task;
		return of && of->tg == t->tg ? task_ref(of) : NULL;
	}
	return pid->tg ? task_ref(pid->tg->leader) : NULL;
}

nsec_t clock_cpu_now(const struct task *of, enum clock_kind kind)
{
	uint64_t user, sys;

	if (kind == CLOCK_KIND_CPU_THREAD)
		task_cpu_ns(of, &user, &sys);
	else
		thread_group_cpu_ns(of->tg, &user, &sys);
	return user + sys;
}

static clockid_t without_alarm(clockid_t id)
{
	if (id == CLOCK_REALTIME_ALARM)
		return CLOCK_REALTIME;
	return id == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME : id;
}

int clock_now(struct task *t, clockid_t id, nsec_t *ret)
{
	const enum clock_kind kind = clock_kind(id);
	struct timespec ts;
	struct task *of;

	switch (kind) {
	case CLOCK_KIND_REAL:
	case CLOCK_KIND_MONO:
	case CLOCK_KIND_BOOT:
		/* By its own id, so that it agrees with the guest's vDSO. */
		if (clock_gettime(without_alarm(id), &ts) < 0)
			return -EINVAL;
		*ret = timespec_to_nsec(&ts);
		return 0;
	case CLOCK_KIND_CPU_THREAD:
	case CLOCK_KIND_CPU_PROCESS:
		of = clock_task(t, id);
		if (!of)
			return -EINVAL;
		*ret = clock_cpu_now(of, kind);
		task_unref(of);
		return 0;
	default:
		return -EINVAL;
	}
}

nsec_t clock_deadline(enum clock_kind kind, nsec_t moment)
{
	const nsec_t now = kclock_monotonic();
	nsec_t other;

	if (kind == CLOCK_KIND_MONO)
		return moment;
	other = kind == CLOCK_KIND_REAL ? kclock_realtime() : kclock_boottime();
	return moment > other ? nsec_add(now, moment - other) : now;
}

nsec_t clock_cpu_poll(const struct thread_group *tg, nsec_t left)
{
	nsec_t wait = left / (tg->live ? tg->live : 1);

	if (wait < POLL_MIN_NS)
		wait = POLL_MIN_NS;
	if (wait > POLL_MAX_NS && wait > left / 2)
		wait = left / 2 > POLL_MAX_NS ? left / 2 : POLL_MAX_NS;
	return nsec_add(kclock_monotonic(), wait);
}
