/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_time.c - clocks, sleeping, CPU time. */
#include <linux/capability.h>
#include <string.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>

#include "sentry/core/kclock.h"
#include "sentry/syscall/syscall.h"
#include "sentry/syscall/timeout.h"
#include "sentry/task/account.h"
#include "sentry/task/clocks.h"
#include "sentry/task/wait.h"

#define COARSE_NS 4000000 /* a tick of HZ=250 */

sysret_t sys_clock_gettime(struct task *t, const struct syscall_args *a)
{
	struct timespec ts;
	nsec_t now;
	const int r = clock_now(t, arg_int(a, 0), &now);

	if (r < 0)
		return r;
	ts = nsec_to_timespec(now);
	return user_copy_out(task_um(t), arg_uaddr(a, 1), &ts, sizeof(ts));
}

sysret_t sys_clock_getres(struct task *t, const struct syscall_args *a)
{
	const clockid_t id = arg_int(a, 0);
	const bool coarse = id == CLOCK_REALTIME_COARSE || id == CLOCK_MONOTONIC_COARSE;
	const struct timespec ts = { .tv_nsec = coarse ? COARSE_NS : 1 };
	nsec_t now;
	const int r = clock_now(t, id, &now);

	if (r < 0 || !arg_uaddr(a, 1))
		return r;
	return user_copy_out(task_um(t), arg_uaddr(a, 1), &ts, sizeof(ts));
}

sysret_t sys_clock_settime(struct task *t, const struct syscall_args *a)
{
	struct timespec ts;

	/* Its coarse form and its alarms cannot be set. */
	if (arg_int(a, 0) != CLOCK_REALTIME)
		return -EINVAL;
	if (user_copy_in(task_um(t), &ts, arg_uaddr(a, 1), sizeof(ts)) < 0)
		return -EFAULT;
	return timespec_valid(&ts) ? -EPERM : -EINVAL;
}

sysret_t sys_settimeofday(struct task *t, const struct syscall_args *a)
{
	struct timezone tz;
	struct timeval tv;

	if (arg_uaddr(a, 0)) {
		if (user_copy_in(task_um(t), &tv, arg_uaddr(a, 0), sizeof(tv)) < 0)
			return -EFAULT;
		if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
			return -EINVAL;
	}
	if (arg_uaddr(a, 1)) {
		if (user_copy_in(task_um(t), &tz, arg_uaddr(a, 1), sizeof(tz)) < 0)
			return -EFAULT;
	}
	return -EPERM;
}

/* Reading is allowed; the clock is not ours to change. */
static sysret_t read_timex(struct task *t, uaddr_t addr)
{
	const nsec_t now = kclock_realtime();
	struct timex tx;
	int r;

	if (user_copy_in(task_um(t), &tx, addr, sizeof(tx)) < 0)
		return -EFAULT;
	if (tx.modes && tx.modes != ADJ_OFFSET_SS_READ)
		return -EPERM;
	memset(&tx, 0, sizeof(tx));
	tx.status = STA_UNSYNC;
	tx.tick = 10000;
	tx.precision = 1;
	tx.maxerror = tx.esterror = 16000000;
	tx.constant = 2;
	tx.tolerance = 32768000;
	tx.time.tv_sec = (time_t)(now / NSEC_PER_SEC);
	tx.time.tv_usec = (suseconds_t)(now % NSEC_PER_SEC / 1000);
	r = user_copy_out(task_um(t), addr, &tx, sizeof(tx));
	return r < 0 ? r : TIME_ERROR;
}

sysret_t sys_adjtimex(struct task *t, const struct syscall_args *a)
{
	return read_timex(t, arg_uaddr(a, 0));
}

sysret_t sys_clock_adjtime(struct task *t, const struct syscall_args *a)
{
	if (clock_kind(arg_int(a, 0)) == CLOCK_KIND_BAD)
		return -EINVAL;
	if (arg_int(a, 0) != CLOCK_REALTIME)
		return -EOPNOTSUPP;
	return read_timex(t, arg_uaddr(a, 1));
}

sysret_t sys_gettimeofday(struct task *t, const struct syscall_args *a)
{
	const nsec_t now = kclock_realtime();
	const struct timeval tv = { .tv_sec = (time_t)(now / NSEC_PER_SEC),
				    .tv_usec = (suseconds_t)(now % NSEC_PER_SEC / 1000) };
	const struct timezone tz = { 0 };
	int r = 0;

	if (arg_uaddr(a, 0))
		r = user_copy_out(task_um(t), arg_uaddr(a, 0), &tv, sizeof(tv));
	if (r == 0 && arg_uaddr(a, 1))
		r = user_copy_out(task_um(t), arg_uaddr(a, 1), &tz, sizeof(tz));
	return r;
}

sysret_t sys_time(struct task *t, const struct syscall_args *a)
{
	const int64_t now = (int64_t)(kclock_realtime() / NSEC_PER_SEC);
	int r = 0;

	if (arg_uaddr(a, 0))
		r = user_copy_out(task_um(t), arg_uaddr(a, 0), &now, sizeof(now));
	return r < 0 ? r : now;
}

sysret_t sys_times(struct task *t, const struct syscall_args *a)
{
	uint64_t user, sys;
	struct tms tms;
	int r = 0;

	thread_group_cpu_ns(t->tg, &user, &sys);
	tms.tms_utime = (clock_t)(user / CLOCK_TICK_NS);
	tms.tms_stime = (clock_t)(sys / CLOCK_TICK_NS);
	tms.tms_cutime = (clock_t)(t->tg->cutime_ns / CLOCK_TICK_NS);
	tms.tms_cstime = (clock_t)(t->tg->cstime_ns / CLOCK_TICK_NS);
	if (arg_uaddr(a, 0))
		r = user_copy_out(task_um(t), arg_uaddr(a, 0), &tms, sizeof(tms));
	return r < 0 ? r : (sysret_t)(kclock_monotonic() / CLOCK_TICK_NS);
}

sysret_t sys_getrusage(struct task *t, const struct syscall_args *a)
{
	struct platform_usage faults;
	struct rusage usage;
	uint64_t user, sys;

	switch (arg_int(a, 0)) {
	case RUSAGE_SELF:
		(void)mm_usage(t->mm);
		thread_group_rusage(t->tg, &usage);
		break;
	case RUSAGE_CHILDREN:
		thread_group_rusage_children(t->tg, &usage);
		break;
	case RUSAGE_THREAD:
		memset(&usage, 0, sizeof(usage));
		task_cpu_ns(t, &user, &sys);
		usage.ru_utime.tv_sec = (time_t)(user / NSEC_PER_SEC);
		usage.ru_utime.tv_usec = (suseconds_t)(user % NSEC_PER_SEC / 1000);
		usage.ru_stime.tv_sec = (time_t)(sys / NSEC_PER_SEC);
		usage.ru_stime.tv_usec = (suseconds_t)(sys % NSEC_PER_SEC / 1000);
		if (platform->thread_usage && platform->thread_usage(t->thread, &faults) == 0) {
			usage.ru_minflt = (long)faults.min_flt;
			usage.ru_majflt = (long)faults.maj_flt;
			usage.ru_maxrss = (long)(faults.max_rss >> 10);
		}
		usage.ru_nvcsw = (long)task_switches(t).voluntary;
		usage.ru_nivcsw = (long)task_switches(t).involuntary;
		break;
	default:
		return -EINVAL;
	}
	return user_copy_out(task_um(t), arg_uaddr(a, 1), &usage, sizeof(usage));
}

/* Sleep to a deadline: 0, or -EINTR when a signal came before it. */
static int sleep_until(struct task *t, nsec_t deadline)
{
	while (kclock_monotonic() < deadline) {
		if (signal_pending(t) || fiber_park(deadline, true) == -EINTR)
			return -EINTR;
	}
	return 0;
}

/* What is left of an interrupted sleep goes to the guest. */
static int tell_rest(struct task *t, uaddr_t addr, nsec_t deadline)
{
	const nsec_t now = kclock_monotonic();
	const struct timespec ts = nsec_to_timespec(deadline > now ? deadline - now : 0);

	return addr ? user_copy_out(task_um(t), addr, &ts, sizeof(ts)) : 0;
}

static int64_t sleep_restart(struct task *t, const struct restart_block *b)
{
	if (sleep_until(t, b->arg[0]) == 0)
		return 0;
	if (tell_rest(t, b->arg[1], b->arg[0]) < 0)
		return -EFAULT;
	return task_restart_block(t, b);
}

static int import_sleep(struct task *t, uaddr_t addr, struct timespec *ret)
{
	if (user_copy_in(task_um(t), ret, addr, sizeof(*ret)) < 0)
		return -EFAULT;
	return timespec_valid(ret) ? 0 : -EINVAL;
}

static sysret_t sleep_relative(struct task *t, const struct timespec *ts, uaddr_t rest)
{
	const struct restart_block block = {
		.fn = sleep_restart,
		.arg = { nsec_add(kclock_monotonic(), timespec_to_nsec(ts)), rest },
	};

	return sleep_restart(t, &block);
}

sysret_t sys_nanosleep(struct task *t, const struct syscall_args *a)
{
	struct timespec ts;
	const int r = import_sleep(t, arg_uaddr(a, 0), &ts);

	return r < 0 ? r : sleep_relative(t, &ts, arg_uaddr(a, 1));
}

/* On a CPU clock: look again whenever it may have got there. */
static sysret_t sleep_cpu(struct task *t, clockid_t id, nsec_t until)
{
	nsec_t now;
	int r;

	for (;;) {
		r = clock_now(t, id, &now);
		if (r < 0 || now >= until)
			return r;
		if (signal_pending(t) ||
		    fiber_park(clock_cpu_poll(t->tg, until - now), true) == -EINTR)
			return -ERESTARTNOHAND;
	}
}

sysret_t sys_clock_nanosleep(struct task *t, const struct syscall_args *a)
{
	const clockid_t id = arg_int(a, 0);
	const enum clock_kind kind = clock_kind(id);
	const bool absolute = arg_int(a, 1) & TIMER_ABSTIME;
	struct timespec ts;
	nsec_t ns, now;
	int r;

	if (kind == CLOCK_KIND_BAD)
		return -EINVAL;
	if (id == CLOCK_THREAD_CPUTIME_ID || id == CLOCK_REALTIME_COARSE ||
	    id == CLOCK_MONOTONIC_COARSE || id == CLOCK_MONOTONIC_RAW)
		return -EOPNOTSUPP;
	r = import_sleep(t, arg_uaddr(a, 2), &ts);
	if (r < 0)
		return r;
	ns = timespec_to_nsec(&ts);
	if (kind == CLOCK_KIND_CPU_PROCESS || kind == CLOCK_KIND_CPU_THREAD) {
		r = clock_now(t, id, &now);
		return r < 0 ? r : sleep_cpu(t, id, absolute ? ns : nsec_add(now, ns));
	}
	if (!absolute)
		return sleep_relative(t, &ts, arg_uaddr(a, 3));
	r = sleep_until(t, clock_deadline(kind, ns));
	return r < 0 ? -ERESTARTNOHAND : 0;
}
