/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/cgroup_stats.h - what a container's cgroup has used: the numbers of `events --stats`.
 *
 * One struct for v1 and v2, with v1's meanings, as engines expect them of runc: memory.swap counts
 * memory and swap together, times are nanoseconds. A controller that the container does not have
 * leaves its part zero. The parsers take the kernel's texts and nothing else: a line they do not
 * understand is -EINVAL, lists are bounded (-E2BIG).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "host/cgroup.h"

struct cgroup_u64s {
	uint64_t *items; /* owned */
	size_t len, cap;
};

/* "key value" lines of a .stat file. */
struct cgroup_kv {
	char *key; /* owned */
	uint64_t value;
};

struct cgroup_kvs {
	struct cgroup_kv *items; /* owned */
	size_t len, cap;
};

struct cgroup_io_entry {
	uint64_t major, minor;
	char op[16]; /* "Read", "Write", "Sync", "Async", "Discard", "Total"; "" where there is none
		      */
	uint64_t value;
};

struct cgroup_io_list {
	struct cgroup_io_entry *items; /* owned */
	size_t len, cap;
};

struct cgroup_memory_entry {
	uint64_t limit, usage, max, failcnt; /* bytes; failcnt is a count */
};

struct cgroup_hugetlb_entry {
	char page_size[16]; /* "2MB" */
	uint64_t usage, max, failcnt;
};

/* Pressure stall information of v2: percentages and microseconds. */
struct cgroup_psi {
	bool set;
	struct {
		double avg10, avg60, avg300;
		uint64_t total_us;
	} some, full;
};

struct cgroup_stats {
	struct {
		uint64_t total_ns, kernel_ns, user_ns;
		struct cgroup_u64s percpu_ns, percpu_kernel_ns, percpu_user_ns;
		uint64_t periods, throttled_periods, throttled_ns;
		uint64_t burst_periods, burst_ns;
		struct cgroup_psi psi;
	} cpu;
	struct {
		struct cgroup_u64s cpus, mems; /* numbers, not ranges */
		uint64_t cpu_exclusive, mem_hardwall, mem_exclusive, memory_migrate;
		uint64_t memory_spread_page, memory_spread_slab, memory_pressure,
			sched_load_balance;
		int64_t sched_relax_domain_level;
	} cpuset;
	struct {
		uint64_t cache;
		struct cgroup_memory_entry usage, swap, kernel, kernel_tcp;
		struct cgroup_kvs raw; /* memory.stat */
		bool use_hierarchy;
		struct {
			uint64_t low, high, max, oom, oom_kill;
		} events; /* memory.events; of v1 only oom_kill */
		struct cgroup_psi psi;
	} memory;
	struct {
		uint64_t current, limit; /* limit 0: none */
	} pids;
	struct {
		struct cgroup_io_list service_bytes, serviced, queued, service_time, wait_time,
			merged, time, sectors;
		struct cgroup_psi psi;
	} blkio;
	struct cgroup_hugetlb_entry *hugetlb; /* owned */
	size_t hugetlb_len;
};

/* Read all of it. *ret is written on success only; done with cgroup_stats_done(). */
int cgroup_stats_read(const struct cgroup *cg, struct cgroup_stats *ret, struct err *err);
void cgroup_stats_done(struct cgroup_stats *stats);

/* The value of a key, or 0. */
uint64_t cgroup_kvs_get(const struct cgroup_kvs *list, const char *key);

/*
 * The parsers. They append to *ret, which the caller frees also after a failure (cgroup_*_done()).
 * 0, -EINVAL, -ERANGE, -E2BIG, -ENOMEM.
 */
int cgroup_parse_kvs(const char *text, struct cgroup_kvs *ret);
int cgroup_parse_numbers(const char *text, struct cgroup_u64s *ret); /* separated by blanks */
int cgroup_parse_ranges(const char *text, struct cgroup_u64s *ret);  /* "0-3,7" */
int cgroup_parse_usage_all(const char *text, struct cgroup_u64s *user, struct cgroup_u64s *system);
int cgroup_parse_blkio(const char *text, struct cgroup_io_list *ret);
/* io.stat of v2 into v1's two lists. */
int cgroup_parse_io_stat(const char *text, struct cgroup_io_list *bytes,
			 struct cgroup_io_list *serviced);
int cgroup_parse_psi(const char *text, struct cgroup_psi *ret);

void cgroup_kvs_done(struct cgroup_kvs *list);
void cgroup_u64s_done(struct cgroup_u64s *list);
void cgroup_io_list_done(struct cgroup_io_list *list);
