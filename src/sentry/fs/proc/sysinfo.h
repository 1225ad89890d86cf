/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/sysinfo.h - what the guest is told about its machine: the sandbox's limits, never
 * the host's size. Set once by boot, read by proc, sysfs and cgroup, and by sysinfo(2).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sentry/core/fiber.h"
#include "sentry/task/version.h"

#define SANDBOX_CPUS_MAX 1024

/* uname(2)'s words: what the calls that we serve are counted against. */
#define SANDBOX_RELEASE SENTRY_RELEASE
#define SANDBOX_VERSION SENTRY_VERSION

/* What the sandbox uses now. */
struct sandbox_usage {
	uint64_t memory;		     /* bytes in all, at most the limit */
	uint64_t anon, shmem;		     /* bytes of it */
	uint64_t cpu_user_ns, cpu_system_ns; /* of all guest code, also of ended processes */
};

struct sandbox_info {
	uint64_t memory_limit; /* bytes: MemTotal */
	uint64_t swap_limit;   /* bytes: SwapTotal */
	unsigned int cpus;     /* 1..SANDBOX_CPUS_MAX: what the sandbox may use at once */
	/* One processor's lines of /proc/cpuinfo after "processor"; owned by boot, static. */
	const char *cpuinfo;
	/* All CPU bandwidth in microseconds per period; quota 0: no limit. */
	uint64_t cpu_quota_us, cpu_period_us;
	uint64_t pids_limit;   /* 0: no limit */
	nsec_t boot_monotonic; /* when the sandbox began, CLOCK_MONOTONIC */
	nsec_t boot_realtime;  /* the same moment since the epoch: btime */
	/* Fills in what is known; must not park. NULL: nothing is known. */
	void (*usage)(struct sandbox_usage *ret);
};

/*
 * The host as an unlimited sandbox would see it: CPUs of the affinity mask, its memory, its
 * processor. Opens a file of proc_fd, a procfs: before the cage. Boot then lowers the limits. 0,
 * -ENOMEM.
 */
int sysinfo_from_host(int proc_fd, struct sandbox_info *ret);

void sysinfo_set(const struct sandbox_info *info); /* copied */
const struct sandbox_info *sysinfo_get(void);	   /* never NULL */

/* Usage now, within the limits. */
void sysinfo_usage(struct sandbox_usage *ret);
