/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/system.c - files of proc's root directory about the machine: the sandbox's limits
 * and usage (sysinfo.h) in the words of proc(5).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "sentry/core/kclock.h"
#include "sentry/fs/proc/internal.h"
#include "sentry/fs/proc/sysinfo.h"
#include "sentry/task/account.h"

#define USER_HZ	      100 /* ticks per second of every time in /proc */
#define NSEC_PER_TICK (NSEC_PER_SEC / USER_HZ)

int proc_show_meminfo(struct kern_inode *ki, struct buf *b)
{
	const struct sandbox_info *info = sysinfo_get();
	struct sandbox_usage use;
	uint64_t cached, free_bytes;

	sysinfo_usage(&use);
	free_bytes = info->memory_limit - use.memory;
	cached = use.memory - use.anon;
	const struct {
		const char *name;
		uint64_t bytes;
	} lines[] = {
		{ "MemTotal", info->memory_limit },
		{ "MemFree", free_bytes },
		{ "MemAvailable", free_bytes + (cached - use.shmem) },
		{ "Buffers", 0 },
		{ "Cached", cached },
		{ "SwapCached", 0 },
		{ "Active", use.anon },
		{ "Inactive", cached },
		{ "Active(anon)", use.anon },
		{ "Inactive(anon)", use.shmem },
		{ "Active(file)", 0 },
		{ "Inactive(file)", cached - use.shmem },
		{ "Unevictable", 0 },
		{ "Mlocked", 0 },
		{ "SwapTotal", info->swap_limit },
		{ "SwapFree", info->swap_limit },
		{ "Dirty", 0 },
		{ "Writeback", 0 },
		{ "AnonPages", use.anon },
		{ "Mapped", 0 },
		{ "Shmem", use.shmem },
		{ "KReclaimable", 0 },
		{ "Slab", 0 },
		{ "SReclaimable", 0 },
		{ "SUnreclaim", 0 },
		{ "PageTables", 0 },
		{ "CommitLimit", info->memory_limit / 2 + info->swap_limit },
		{ "Committed_AS", use.memory },
		{ "VmallocTotal", 34359738367ull << 10 },
		{ "VmallocUsed", 0 },
		{ "VmallocChunk", 0 },
		{ "AnonHugePages", 0 },
		{ "ShmemHugePages", 0 },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const int width = 24 - (int)strlen(lines[i].name) - 1;

		(void)buf_printf(b, "%s:%*llu kB\n", lines[i].name, width,
				 (unsigned long long)lines[i].bytes >> 10);
	}
	return buf_puts(b, "HugePages_Total:       0\nHugePages_Free:        0\n"
			   "HugePages_Rsvd:        0\nHugePages_Surp:        0\n"
			   "Hugepagesize:       2048 kB\nHugetlb:               0 kB\n");
}

/* Lines that differ between processors stand between the cache's size and the first flag. */
int proc_show_cpuinfo(struct kern_inode *ki, struct buf *b)
{
	const struct sandbox_info *info = sysinfo_get();
	const char *rest = strstr(info->cpuinfo, "fpu\t");
	size_t first;

	if (!rest)
		rest = info->cpuinfo + strlen(info->cpuinfo);
	first = (size_t)(rest - info->cpuinfo);
	for (unsigned int cpu = 0; cpu < info->cpus; cpu++) {
		(void)buf_printf(b, "processor\t: %u\n", cpu);
		(void)buf_append(b, info->cpuinfo, first);
		(void)buf_printf(b,
				 "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\n"
				 "cpu cores\t: %u\napicid\t\t: %u\ninitial apicid\t: %u\n",
				 info->cpus, cpu, info->cpus, cpu, cpu);
		(void)buf_puts(b, rest);
		if (buf_puts(b, "\n") < 0)
			break;
	}
	return 0;
}

static unsigned long long ticks(uint64_t ns)
{
	return (unsigned long long)(ns / NSEC_PER_TICK);
}

static nsec_t uptime(void)
{
	const nsec_t now = kclock_monotonic(), boot = sysinfo_get()->boot_monotonic;

	return now > boot ? now - boot : 0;
}

static void count_tasks(struct pid_ns *ns, unsigned int *ret_running, unsigned int *ret_all)
{
	unsigned int running = 0, all = 0;
	int nr = 1;

	for (struct pid *p = pid_next(ns, nr); p; p = pid_next(ns, nr)) {
		nr = pid_nr(p, ns) + 1;
		if (!p->task)
			continue;
		all++;
		running += task_state_now(p->task) == TASK_RUNNING;
	}
	*ret_running = running;
	*ret_all = all;
}

int proc_show_stat(struct kern_inode *ki, struct buf *b)
{
	const struct sandbox_info *info = sysinfo_get();
	struct pid_ns *ns = proc_info_of(ki)->ns;
	struct sandbox_usage use;
	unsigned int running, all;
	uint64_t idle, total;

	sysinfo_usage(&use);
	total = uptime() * info->cpus;
	idle = use.cpu_user_ns + use.cpu_system_ns;
	idle = total > idle ? total - idle : 0;
	(void)buf_printf(b, "cpu  %llu 0 %llu %llu 0 0 0 0 0 0\n", ticks(use.cpu_user_ns),
			 ticks(use.cpu_system_ns), ticks(idle));
	for (unsigned int cpu = 0; cpu < info->cpus; cpu++)
		(void)buf_printf(b, "cpu%u %llu 0 %llu %llu 0 0 0 0 0 0\n", cpu,
				 ticks(use.cpu_user_ns / info->cpus),
				 ticks(use.cpu_system_ns / info->cpus), ticks(idle / info->cpus));
	count_tasks(ns, &running, &all);
	return buf_printf(b,
			  "intr 0\nctxt %llu\nbtime %llu\nprocesses %llu\nprocs_running %u\n"
			  "procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
			  (unsigned long long)fiber_switches(),
			  (unsigned long long)(info->boot_realtime / NSEC_PER_SEC),
			  (unsigned long long)account_births(), running);
}

int proc_show_uptime(struct kern_inode *ki, struct buf *b)
{
	const struct sandbox_info *info = sysinfo_get();
	struct sandbox_usage use;
	uint64_t up = uptime(), idle, used;

	sysinfo_usage(&use);
	used = use.cpu_user_ns + use.cpu_system_ns;
	idle = up * info->cpus > used ? up * info->cpus - used : 0;
	up /= NSEC_PER_SEC / 100;
	idle /= NSEC_PER_SEC / 100;
	return buf_printf(b, "%llu.%02llu %llu.%02llu\n", (unsigned long long)up / 100,
			  (unsigned long long)up % 100, (unsigned long long)idle / 100,
			  (unsigned long long)idle % 100);
}

int proc_show_loadavg(struct kern_inode *ki, struct buf *b)
{
	struct pid_ns *ns = proc_info_of(ki)->ns;
	unsigned int running, all;
	uint64_t loads[3];

	count_tasks(ns, &running, &all);
	load_averages(loads);
	for (int i = 0; i < 3; i++) {
		const uint64_t hundredths = (loads[i] * 100 + LOAD_ONE / 2) / LOAD_ONE;

		(void)buf_printf(b, "%llu.%02llu ", (unsigned long long)hundredths / 100,
				 (unsigned long long)hundredths % 100);
	}
	return buf_printf(b, "%u/%u %d\n", running, all, pid_ns_last(ns));
}

int proc_show_version(struct kern_inode *ki, struct buf *b)
{
	return buf_printf(b, "Linux version %s (caisson@sentry) %s\n", SANDBOX_RELEASE,
			  SANDBOX_VERSION);
}

int proc_show_filesystems(struct kern_inode *ki, struct buf *b)
{
	for (struct filesystem_type *t = filesystem_next(NULL); t; t = filesystem_next(t))
		(void)buf_printf(b, "%s\t%s\n", t->needs_device ? "" : "nodev", t->name);
	return 0;
}

int proc_show_vmstat(struct kern_inode *ki, struct buf *b)
{
	const struct sandbox_info *info = sysinfo_get();
	struct sandbox_usage use;

	sysinfo_usage(&use);
	return buf_printf(
		b,
		"nr_free_pages %llu\nnr_anon_pages %llu\nnr_mapped 0\nnr_file_pages %llu\n"
		"nr_dirty 0\nnr_writeback 0\nnr_shmem %llu\npgpgin 0\npgpgout 0\n"
		"pswpin 0\npswpout 0\npgfault 0\npgmajfault 0\noom_kill 0\n",
		(unsigned long long)(info->memory_limit - use.memory) / MM_PAGE,
		(unsigned long long)use.anon / MM_PAGE,
		(unsigned long long)(use.memory - use.anon) / MM_PAGE,
		(unsigned long long)use.shmem / MM_PAGE);
}

int proc_show_interrupts(struct kern_inode *ki, struct buf *b)
{
	const unsigned int cpus = sysinfo_get()->cpus;

	(void)buf_puts(b, "    ");
	for (unsigned int cpu = 0; cpu < cpus; cpu++)
		(void)buf_printf(b, "       CPU%-2u", cpu);
	return buf_puts(b, "\nERR:          0\nMIS:          0\n");
}

int proc_show_irq_affinity(struct kern_inode *ki, struct buf *b)
{
	const unsigned int cpus = sysinfo_get()->cpus;

	return buf_printf(b, "%llx\n", cpus < 64 ? (1ull << cpus) - 1 : ~0ull);
}
