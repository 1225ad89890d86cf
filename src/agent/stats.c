/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AGENT_STATS: the container's cgroup2 and the machine, by the reader that `events --stats` has on
 * the host.
 */
#include <string.h>
#include <sys/sysinfo.h>

#include "agent/container.h"
#include "base/str.h"
#include "host/cgroup_stats.h"

static uint64_t limit_of(uint64_t value)
{
	return value ? value : UINT64_MAX;
}

static void add_io(const struct cgroup_io_list *list, uint64_t *reads, uint64_t *writes)
{
	for (size_t i = 0; i < list->len; i++) {
		if (str_eq(list->items[i].op, "Read"))
			*reads += list->items[i].value;
		else if (str_eq(list->items[i].op, "Write"))
			*writes += list->items[i].value;
	}
}

static void take_cgroup(const struct cgroup_stats *s, struct agent_stats *ret)
{
	const struct cgroup_memory_entry *memory = &s->memory.usage, *swap = &s->memory.swap;

	ret->cpu_usage_ns = s->cpu.total_ns;
	ret->cpu_user_ns = s->cpu.user_ns;
	ret->cpu_system_ns = s->cpu.kernel_ns;
	ret->cpu_periods = s->cpu.periods;
	ret->cpu_throttled = s->cpu.throttled_periods;
	ret->cpu_throttled_ns = s->cpu.throttled_ns;
	ret->memory_usage = memory->usage;
	ret->memory_limit = limit_of(memory->limit);
	ret->memory_peak = memory->max;
	/* The reader's sum is that of memory and swap. */
	ret->memory_swap = swap->usage > memory->usage ? swap->usage - memory->usage : 0;
	ret->memory_anon = cgroup_kvs_get(&s->memory.raw, "anon");
	ret->memory_file = cgroup_kvs_get(&s->memory.raw, "file");
	ret->memory_kernel = cgroup_kvs_get(&s->memory.raw, "kernel");
	ret->memory_faults = cgroup_kvs_get(&s->memory.raw, "pgfault");
	ret->memory_major_faults = cgroup_kvs_get(&s->memory.raw, "pgmajfault");
	ret->oom_kills = s->memory.events.oom_kill;
	ret->pids = s->pids.current;
	ret->pids_limit = limit_of(s->pids.limit);
	add_io(&s->blkio.service_bytes, &ret->io_read_bytes, &ret->io_write_bytes);
	add_io(&s->blkio.serviced, &ret->io_reads, &ret->io_writes);
}

int container_stats(const struct container *c, struct agent_stats *ret, struct err *err)
{
	struct cgroup_stats stats;
	struct sysinfo info;
	int r = cgroup_stats_read(c->cgroup, &stats, err);

	if (r < 0)
		return r;
	*ret = (struct agent_stats){ .uptime_ns = agent_clock_ns() };
	take_cgroup(&stats, ret);
	cgroup_stats_done(&stats);
	if (sysinfo(&info) == 0) {
		ret->total_memory = (uint64_t)info.totalram * info.mem_unit;
		ret->free_memory = (uint64_t)info.freeram * info.mem_unit;
	}
	return 0;
}
