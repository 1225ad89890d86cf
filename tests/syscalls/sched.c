/* SPDX-License-Identifier: Apache-2.0 */
/* sched_*(2), getpriority(2), setpriority(2), getcpu(2). */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "harness.h"

TEST(yield)
{
	for (int i = 0; i < 100; i++)
		OK(sched_yield());
}

TEST(affinity)
{
	cpu_set_t set, one;
	int first = 0, n;

	n = (int)OK(syscall(SYS_sched_getaffinity, 0, sizeof(set), &set));
	/* The raw call returns the size of the kernel's mask. */
	CHECK(n >= 8 && n % 8 == 0);
	OK(sched_getaffinity(0, sizeof(set), &set));
	CHECK(CPU_COUNT(&set) >= 1);
	while (!CPU_ISSET(first, &set))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	OK(sched_setaffinity(0, sizeof(one), &one));
	OK(sched_getaffinity(0, sizeof(set), &set));
	CHECK_EQ(CPU_COUNT(&set), 1);
	CHECK(CPU_ISSET(first, &set));
	CHECK_EQ(sched_getcpu(), first);
}

TEST(affinity_errors)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CHECK_ERRNO(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 1, &set), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 12, &set), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0x3fffffff, sizeof(set), &set), ESRCH);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, sizeof(set), BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_sched_setaffinity, 0, sizeof(set), BAD_PTR), EFAULT);
}

TEST(affinity_of_others)
{
	const pid_t parent = getpid();
	cpu_set_t set;
	pid_t pid;

	OK(sched_getaffinity(0, sizeof(set), &set));
	CHECK_ERRNO(sched_setaffinity(0x3fffffff, sizeof(set), &set), ESRCH);
	need_root();
	CHILD (pid) {
		become_nobody();
		CHECK_ERRNO(sched_setaffinity(parent, sizeof(set), &set), EPERM);
		OK(sched_setaffinity(0, sizeof(set), &set));
	}
	wait_ok(pid);
}

TEST(affinity_is_inherited)
{
	cpu_set_t set, one;
	pid_t pid;
	int last = 0;

	OK(sched_getaffinity(0, sizeof(set), &set));
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &set))
			last = i;
	}
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	OK(sched_setaffinity(0, sizeof(one), &one));
	CHILD (pid) {
		OK(sched_getaffinity(0, sizeof(set), &set));
		CHECK(CPU_EQUAL(&set, &one));
	}
	wait_ok(pid);
}

TEST(policies)
{
	struct sched_param param = { 7 };

	CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
	OK(sched_getparam(0, &param));
	CHECK_ERRNO(sched_getparam(0x3fffffff, &param), ESRCH);
	CHECK_ERRNO(sched_setparam(0x3fffffff, &param), ESRCH);
	CHECK_ERRNO(sched_setscheduler(0x3fffffff, SCHED_OTHER, &param), ESRCH);
	CHECK_EQ(param.sched_priority, 0);
	OK(sched_setscheduler(0, SCHED_BATCH, &param));
	CHECK_EQ(sched_getscheduler(0), SCHED_BATCH);
	OK(sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &param));
	CHECK_EQ(sched_getscheduler(0), SCHED_BATCH | SCHED_RESET_ON_FORK);
	OK(sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &param));
	OK(sched_setparam(0, &param));
	param.sched_priority = 5;
	CHECK_ERRNO(sched_setscheduler(0, SCHED_OTHER, &param), EINVAL);
	CHECK_ERRNO(sched_setscheduler(0, 77, &param), EINVAL);
	CHECK_ERRNO(sched_setscheduler(-1, SCHED_OTHER, &param), EINVAL);
	CHECK_ERRNO(sched_getscheduler(0x3fffffff), ESRCH);
	CHECK_ERRNO(sched_getscheduler(-5), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getparam, 0, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_sched_getparam, 0, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_setparam, 0, NULL), EINVAL);
}

TEST(realtime_needs_a_right)
{
	struct sched_param param = { 5 };

	need_root();
	become_nobody();
	CHECK_ERRNO(sched_setscheduler(0, SCHED_FIFO, &param), EPERM);
	CHECK_ERRNO(sched_setscheduler(0, SCHED_RR, &param), EPERM);
}

TEST(ranges_of_priorities)
{
	CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
	CHECK_EQ(sched_get_priority_min(SCHED_FIFO), 1);
	CHECK_EQ(sched_get_priority_max(SCHED_RR), 99);
	CHECK_EQ(sched_get_priority_max(SCHED_OTHER), 0);
	CHECK_EQ(sched_get_priority_min(SCHED_OTHER), 0);
	CHECK_EQ(sched_get_priority_max(SCHED_BATCH), 0);
	CHECK_ERRNO(sched_get_priority_max(77), EINVAL);
	CHECK_ERRNO(sched_get_priority_min(-1), EINVAL);
}

TEST(rr_interval)
{
	struct timespec ts = { 9, 9 };

	OK(sched_rr_get_interval(0, &ts));
	CHECK_EQ(ts.tv_sec, 0);
	CHECK_ERRNO(sched_rr_get_interval(-1, &ts), EINVAL);
	CHECK_ERRNO(sched_rr_get_interval(0x3fffffff, &ts), ESRCH);
}

static void need_normal_priority(void)
{
	if (getpriority(PRIO_PROCESS, 0))
		SKIP("started with another nice value");
}

TEST(nice_values)
{
	need_normal_priority();
	/* The raw call shifts, so that no value is negative. */
	CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 20);
	OK(setpriority(PRIO_PROCESS, 0, 7));
	CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 13);
	OK(setpriority(PRIO_PROCESS, 0, 100));
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
	CHECK_EQ(getpriority(PRIO_PGRP, 0), 19);
	CHECK_ERRNO(setpriority(9, 0, 0), EINVAL);
	CHECK_ERRNO(getpriority(9, 0), EINVAL);
	CHECK_ERRNO(getpriority(PRIO_PROCESS, 0x3fffffff), ESRCH);
	CHECK_ERRNO(setpriority(PRIO_PROCESS, 0x3fffffff, 0), ESRCH);
}

TEST(nice_is_inherited)
{
	pid_t pid;

	need_normal_priority();
	OK(setpriority(PRIO_PROCESS, 0, 3));
	CHILD (pid)
		CHECK_EQ(getpriority(PRIO_PROCESS, 0), 3);
	wait_ok(pid);
}

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

TEST(attributes)
{
	struct attr a = { .size = sizeof(a) };

	need_normal_priority();
	OK(setpriority(PRIO_PROCESS, 0, 4));
	OK(syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0));
	CHECK_EQ(a.policy, SCHED_OTHER);
	CHECK_EQ(a.nice, 4);
	a = (struct attr){ .size = sizeof(a), .policy = SCHED_BATCH, .nice = 6 };
	OK(syscall(SYS_sched_setattr, 0, &a, 0));
	CHECK_EQ(sched_getscheduler(0), SCHED_BATCH);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 6);
	CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &a, 4, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &a, sizeof(a), 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &a, 1), EINVAL);
	a.size = 5000;
	CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &a, 0), E2BIG);
	CHECK_ERRNO(syscall(SYS_sched_setattr, 0, BAD_PTR, 0), EFAULT);
}

TEST(getcpu)
{
	unsigned int cpu = 9999, node = 9999;

	OK(syscall(SYS_getcpu, &cpu, &node, NULL));
	CHECK(cpu < 4096 && node < 1024);
	OK(syscall(SYS_getcpu, NULL, NULL, NULL));
	CHECK_ERRNO(syscall(SYS_getcpu, BAD_PTR, NULL, NULL), EFAULT);
	CHECK(sched_getcpu() >= 0);
}

TEST(pinned_thread_stays)
{
	cpu_set_t set, one;

	OK(sched_getaffinity(0, sizeof(set), &set));
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &set))
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		OK(sched_setaffinity(0, sizeof(one), &one));
		for (int k = 0; k < 50; k++)
			CHECK_EQ(sched_getcpu(), i);
	}
}

static void *stays(void *arg)
{
	const int cpu = (int)(long)arg;
	unsigned int said;

	for (int k = 0; k < 50; k++) {
		CHECK_EQ(sched_getcpu(), cpu);
		OK(syscall(SYS_getcpu, &said, NULL, NULL));
		CHECK_EQ(said, cpu);
	}
	return NULL;
}

TEST(pinned_children_and_threads_stay)
{
	cpu_set_t set, one;
	pthread_t t;
	pid_t pid;

	OK(sched_getaffinity(0, sizeof(set), &set));
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &set))
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		OK(sched_setaffinity(0, sizeof(one), &one));
		CHILD (pid)
			stays((void *)(long)i);
		wait_ok(pid);
		CHECK_EQ(pthread_create(&t, NULL, stays, (void *)(long)i), 0);
		CHECK_EQ(pthread_join(t, NULL), 0);
		stays((void *)(long)i);
	}
	OK(sched_setaffinity(0, sizeof(set), &set));
	CHILD (pid) {
		OK(sched_getaffinity(0, sizeof(one), &one));
		CHECK(CPU_EQUAL(&set, &one));
	}
	wait_ok(pid);
}

static volatile int spinner_cpu, spinner_ends;

static void *spin_on(void *arg)
{
	*(pid_t *)arg = (pid_t)syscall(SYS_gettid);
	while (!spinner_ends)
		spinner_cpu = sched_getcpu();
	return NULL;
}

TEST(a_running_thread_is_moved)
{
	static volatile pid_t tid;
	cpu_set_t set, one;
	pthread_t t;

	OK(sched_getaffinity(0, sizeof(set), &set));
	CHECK_EQ(pthread_create(&t, NULL, spin_on, (void *)(long)&tid), 0);
	for (int n = 0; n < 60000 && tid == 0; n++)
		sleep_ms(1);
	CHECK(tid != 0);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &set))
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		OK(sched_setaffinity(tid, sizeof(one), &one));
		for (int n = 0; n < 60000 && spinner_cpu != i; n++)
			sleep_ms(1);
		CHECK_EQ(spinner_cpu, i);
	}
	spinner_ends = 1;
	CHECK_EQ(pthread_join(t, NULL), 0);
}
