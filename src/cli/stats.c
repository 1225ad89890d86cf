/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stats.h"

#include <inttypes.h>

#include "base/str.h"

/*
 * Members are written with a comma behind them; the closing bracket takes the last one back. Keys
 * are constants or the kernel's words; none needs escaping but those of memory.stat are checked.
 */
static void open_object(struct buf *b, const char *key)
{
	if (key)
		buf_printf(b, "\"%s\":", key);
	buf_puts(b, "{");
}

static void close_with(struct buf *b, const char *bracket)
{
	if (!buf_error(b) && b->len > 0 && b->data[b->len - 1] == ',')
		b->data[--b->len] = '\0';
	buf_puts(b, bracket);
	buf_puts(b, ",");
}

static void put(struct buf *b, const char *key, uint64_t value)
{
	buf_printf(b, "\"%s\":%" PRIu64 ",", key, value);
}

/* Go's omitempty. */
static void put_some(struct buf *b, const char *key, uint64_t value)
{
	if (value)
		put(b, key, value);
}

static void put_list(struct buf *b, const char *key, const struct cgroup_u64s *list)
{
	if (list->len == 0)
		return;
	buf_printf(b, "\"%s\":[", key);
	for (size_t i = 0; i < list->len; i++)
		buf_printf(b, "%" PRIu64 ",", list->items[i]);
	close_with(b, "]");
}

static void put_psi_line(struct buf *b, const char *key, double avg10, double avg60, double avg300)
{
	open_object(b, key);
	buf_printf(b, "\"avg10\":%.2f,\"avg60\":%.2f,\"avg300\":%.2f,", avg10, avg60, avg300);
}

static void put_psi(struct buf *b, const struct cgroup_psi *psi)
{
	if (!psi->set)
		return;
	open_object(b, "psi");
	put_psi_line(b, "some", psi->some.avg10, psi->some.avg60, psi->some.avg300);
	put(b, "total", psi->some.total_us);
	close_with(b, "}");
	put_psi_line(b, "full", psi->full.avg10, psi->full.avg60, psi->full.avg300);
	put(b, "total", psi->full.total_us);
	close_with(b, "}");
	close_with(b, "}");
}

static void put_cpu(struct buf *b, const struct cgroup_stats *s)
{
	open_object(b, "cpu");
	open_object(b, "usage");
	put_some(b, "total", s->cpu.total_ns);
	put_list(b, "percpu", &s->cpu.percpu_ns);
	put_list(b, "percpu_kernel", &s->cpu.percpu_kernel_ns);
	put_list(b, "percpu_user", &s->cpu.percpu_user_ns);
	put(b, "kernel", s->cpu.kernel_ns);
	put(b, "user", s->cpu.user_ns);
	close_with(b, "}");
	open_object(b, "throttling");
	put_some(b, "periods", s->cpu.periods);
	put_some(b, "throttledPeriods", s->cpu.throttled_periods);
	put_some(b, "throttledTime", s->cpu.throttled_ns);
	close_with(b, "}");
	put_psi(b, &s->cpu.psi);
	close_with(b, "}");
}

static void put_cpuset(struct buf *b, const struct cgroup_stats *s)
{
	open_object(b, "cpuset");
	put_list(b, "cpus", &s->cpuset.cpus);
	put(b, "cpu_exclusive", s->cpuset.cpu_exclusive);
	put_list(b, "mems", &s->cpuset.mems);
	put(b, "mem_hardwall", s->cpuset.mem_hardwall);
	put(b, "mem_exclusive", s->cpuset.mem_exclusive);
	put(b, "memory_migrate", s->cpuset.memory_migrate);
	put(b, "memory_spread_page", s->cpuset.memory_spread_page);
	put(b, "memory_spread_slab", s->cpuset.memory_spread_slab);
	put(b, "memory_pressure", s->cpuset.memory_pressure);
	put(b, "sched_load_balance", s->cpuset.sched_load_balance);
	buf_printf(b, "\"sched_relax_domain_level\":%" PRId64 ",",
		   s->cpuset.sched_relax_domain_level);
	close_with(b, "}");
}

static void put_memory_entry(struct buf *b, const char *key, const struct cgroup_memory_entry *e)
{
	open_object(b, key);
	put(b, "limit", e->limit);
	put_some(b, "usage", e->usage);
	put_some(b, "max", e->max);
	put(b, "failcnt", e->failcnt);
	close_with(b, "}");
}

/* Names like "pgpgin" and "file_mapped"; anything else would break the document. */
static bool is_plain(const char *key)
{
	for (; *key; key++) {
		const bool plain = (*key >= 'a' && *key <= 'z') || (*key >= 'A' && *key <= 'Z') ||
				   (*key >= '0' && *key <= '9') || *key == '_' || *key == '.' ||
				   *key == '-';

		if (!plain)
			return false;
	}
	return true;
}

static void put_memory(struct buf *b, const struct cgroup_stats *s)
{
	open_object(b, "memory");
	put_some(b, "cache", s->memory.cache);
	put_memory_entry(b, "usage", &s->memory.usage);
	put_memory_entry(b, "swap", &s->memory.swap);
	put_memory_entry(b, "kernel", &s->memory.kernel);
	put_memory_entry(b, "kernelTCP", &s->memory.kernel_tcp);
	if (s->memory.raw.len) {
		open_object(b, "raw");
		for (size_t i = 0; i < s->memory.raw.len; i++) {
			if (is_plain(s->memory.raw.items[i].key))
				put(b, s->memory.raw.items[i].key, s->memory.raw.items[i].value);
		}
		close_with(b, "}");
	}
	put_psi(b, &s->memory.psi);
	open_object(b, "event_count");
	put_some(b, "low", s->memory.events.low);
	put_some(b, "high", s->memory.events.high);
	put_some(b, "max", s->memory.events.max);
	put_some(b, "oom", s->memory.events.oom);
	put_some(b, "oom_kill", s->memory.events.oom_kill);
	close_with(b, "}");
	close_with(b, "}");
}

static void put_io(struct buf *b, const char *key, const struct cgroup_io_list *list)
{
	if (list->len == 0)
		return;
	buf_printf(b, "\"%s\":[", key);
	for (size_t i = 0; i < list->len; i++) {
		const struct cgroup_io_entry *e = &list->items[i];

		open_object(b, NULL);
		put_some(b, "major", e->major);
		put_some(b, "minor", e->minor);
		if (e->op[0] && is_plain(e->op))
			buf_printf(b, "\"op\":\"%s\",", e->op);
		put_some(b, "value", e->value);
		close_with(b, "}");
	}
	close_with(b, "]");
}

static void put_blkio(struct buf *b, const struct cgroup_stats *s)
{
	open_object(b, "blkio");
	put_io(b, "ioServiceBytesRecursive", &s->blkio.service_bytes);
	put_io(b, "ioServicedRecursive", &s->blkio.serviced);
	put_io(b, "ioQueueRecursive", &s->blkio.queued);
	put_io(b, "ioServiceTimeRecursive", &s->blkio.service_time);
	put_io(b, "ioWaitTimeRecursive", &s->blkio.wait_time);
	put_io(b, "ioMergedRecursive", &s->blkio.merged);
	put_io(b, "ioTimeRecursive", &s->blkio.time);
	put_io(b, "sectorsRecursive", &s->blkio.sectors);
	put_psi(b, &s->blkio.psi);
	close_with(b, "}");
}

static void put_hugetlb(struct buf *b, const struct cgroup_stats *s)
{
	open_object(b, "hugetlb");
	for (size_t i = 0; i < s->hugetlb_len; i++) {
		const struct cgroup_hugetlb_entry *e = &s->hugetlb[i];

		if (!is_plain(e->page_size))
			continue;
		open_object(b, e->page_size);
		put_some(b, "usage", e->usage);
		put_some(b, "max", e->max);
		put(b, "failcnt", e->failcnt);
		close_with(b, "}");
	}
	close_with(b, "}");
}

void stats_append(const struct cgroup_stats *s, struct buf *b)
{
	open_object(b, NULL);
	put_cpu(b, s);
	put_cpuset(b, s);
	put_memory(b, s);
	open_object(b, "pids");
	put_some(b, "current", s->pids.current);
	put_some(b, "limit", s->pids.limit);
	close_with(b, "}");
	put_blkio(b, s);
	put_hugetlb(b, s);
	/* Class ns reports neither: no member of runc's that is always there is left out. */
	buf_puts(b, "\"intel_rdt\":{},\"network_interfaces\":null");
	buf_puts(b, "}");
}

void stats_append_event(const char *id, const struct cgroup_stats *stats, struct buf *out)
{
	buf_printf(out, "{\"type\":\"stats\",\"id\":\"%s\",\"data\":", id);
	stats_append(stats, out);
	buf_puts(out, "}\n");
}
