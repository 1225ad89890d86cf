/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the statistics files of a container's cgroup (host/cgroup_stats.h).
 *
 * A file that does not exist belongs to a controller or kernel option that is not there and leaves
 * its numbers zero; a file that cannot be read or understood is an error naming it.
 */
#include "host/cgroup_stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/cgroup_internal.h"

#define HUGETLB_MAX 32	     /* page sizes */
#define TICK_NS	    10000000 /* USER_HZ is 100 on every architecture that we build for */

/* One directory and where errors go. `error` keeps the first one: a run of reads is checked once.
 */
struct reader {
	int dir_fd; /* owned */
	int error;
	struct err *err;
};

static void reader_open(const struct cgroup *cg, const char *controller, struct err *err,
			struct reader *ret)
{
	*ret = (struct reader){ .dir_fd = cgroup_open_dir(cg, controller), .err = err };
}

static void reader_done(struct reader *rd)
{
	auto_close_p(&rd->dir_fd);
}

/* The text of a file; false if there is none (or an error before or now). */
static bool read_text(struct reader *rd, const char *file, struct buf *text)
{
	int r;

	if (rd->dir_fd < 0 || rd->error < 0)
		return false;
	text->max = CGROUP_FILE_MAX;
	r = fd_read_file(rd->dir_fd, file, text);
	/* -EOPNOTSUPP: pressure files with PSI switched off. */
	if (r == -ENOENT || r == -EOPNOTSUPP || r == -ENODEV)
		return false;
	if (r < 0)
		rd->error = err_sys(rd->err, r, "read %s", file);
	return r == 0 && text->data;
}

static void check(struct reader *rd, const char *file, int r)
{
	if (r < 0 && rd->error == 0)
		rd->error = err_sys(rd->err, r, "parse %s", file);
}

/* One number; "max" is UINT64_MAX. Returns whether the file was there. */
static bool read_number(struct reader *rd, const char *file, uint64_t *ret)
{
	AUTO_BUF struct buf text = { 0 };

	if (!read_text(rd, file, &text))
		return false;
	text.data[strcspn(text.data, "\n")] = '\0';
	if (str_eq(text.data, "max"))
		*ret = UINT64_MAX;
	else
		check(rd, file, str_to_u64(text.data, UINT64_MAX, ret));
	return true;
}

static void read_kvs(struct reader *rd, const char *file, struct cgroup_kvs *ret)
{
	AUTO_BUF struct buf text = { 0 };

	if (read_text(rd, file, &text))
		check(rd, file, cgroup_parse_kvs(text.data, ret));
}

static void read_psi(struct reader *rd, const char *file, struct cgroup_psi *ret)
{
	AUTO_BUF struct buf text = { 0 };

	if (read_text(rd, file, &text))
		check(rd, file, cgroup_parse_psi(text.data, ret));
}

static void read_ranges(struct reader *rd, const char *file, struct cgroup_u64s *ret)
{
	AUTO_BUF struct buf text = { 0 };

	if (read_text(rd, file, &text))
		check(rd, file, cgroup_parse_ranges(text.data, ret));
}

static bool read_blkio(struct reader *rd, const char *file, struct cgroup_io_list *ret)
{
	AUTO_BUF struct buf text = { 0 };

	if (!read_text(rd, file, &text))
		return false;
	check(rd, file, cgroup_parse_blkio(text.data, ret));
	return true;
}

static void read_pids(struct reader *rd, struct cgroup_stats *s)
{
	(void)read_number(rd, "pids.current", &s->pids.current);
	(void)read_number(rd, "pids.max", &s->pids.limit);
	if (s->pids.limit == UINT64_MAX)
		s->pids.limit = 0;
}

/* -------------------------------------------------------------------------------------- v1 */

static void read_cpuacct_v1(struct reader *rd, struct cgroup_stats *s)
{
	AUTO(cgroup_kvs_done) struct cgroup_kvs stat = { 0 };
	AUTO_BUF struct buf all = { 0 };
	AUTO_BUF struct buf percpu = { 0 };

	(void)read_number(rd, "cpuacct.usage", &s->cpu.total_ns);
	read_kvs(rd, "cpuacct.stat", &stat);
	s->cpu.user_ns = cgroup_kvs_get(&stat, "user") * TICK_NS;
	s->cpu.kernel_ns = cgroup_kvs_get(&stat, "system") * TICK_NS;
	if (read_text(rd, "cpuacct.usage_percpu", &percpu))
		check(rd, "cpuacct.usage_percpu",
		      cgroup_parse_numbers(percpu.data, &s->cpu.percpu_ns));
	if (read_text(rd, "cpuacct.usage_all", &all))
		check(rd, "cpuacct.usage_all",
		      cgroup_parse_usage_all(all.data, &s->cpu.percpu_user_ns,
					     &s->cpu.percpu_kernel_ns));
}

static void read_cpu_v1(struct reader *rd, struct cgroup_stats *s)
{
	AUTO(cgroup_kvs_done) struct cgroup_kvs stat = { 0 };

	read_kvs(rd, "cpu.stat", &stat);
	s->cpu.periods = cgroup_kvs_get(&stat, "nr_periods");
	s->cpu.throttled_periods = cgroup_kvs_get(&stat, "nr_throttled");
	s->cpu.throttled_ns = cgroup_kvs_get(&stat, "throttled_time");
	s->cpu.burst_periods = cgroup_kvs_get(&stat, "nr_bursts");
	s->cpu.burst_ns = cgroup_kvs_get(&stat, "burst_time");
}

static void read_cpuset_v1(struct reader *rd, struct cgroup_stats *s)
{
	AUTO_BUF struct buf level = { 0 };

	read_ranges(rd, "cpuset.cpus", &s->cpuset.cpus);
	read_ranges(rd, "cpuset.mems", &s->cpuset.mems);
	(void)read_number(rd, "cpuset.cpu_exclusive", &s->cpuset.cpu_exclusive);
	(void)read_number(rd, "cpuset.mem_hardwall", &s->cpuset.mem_hardwall);
	(void)read_number(rd, "cpuset.mem_exclusive", &s->cpuset.mem_exclusive);
	(void)read_number(rd, "cpuset.memory_migrate", &s->cpuset.memory_migrate);
	(void)read_number(rd, "cpuset.memory_spread_page", &s->cpuset.memory_spread_page);
	(void)read_number(rd, "cpuset.memory_spread_slab", &s->cpuset.memory_spread_slab);
	(void)read_number(rd, "cpuset.memory_pressure", &s->cpuset.memory_pressure);
	(void)read_number(rd, "cpuset.sched_load_balance", &s->cpuset.sched_load_balance);
	if (read_text(rd, "cpuset.sched_relax_domain_level", &level)) {
		level.data[strcspn(level.data, "\n")] = '\0';
		check(rd, "cpuset.sched_relax_domain_level",
		      str_to_i64(level.data, INT64_MIN, INT64_MAX,
				 &s->cpuset.sched_relax_domain_level));
	}
}

/* "memory", "memory.memsw", "memory.kmem", "memory.kmem.tcp" */
static void read_memory_entry_v1(struct reader *rd, const char *prefix,
				 struct cgroup_memory_entry *e)
{
	char file[64];

	(void)snprintf(file, sizeof(file), "%s.usage_in_bytes", prefix);
	if (!read_number(rd, file, &e->usage))
		return;
	(void)snprintf(file, sizeof(file), "%s.max_usage_in_bytes", prefix);
	(void)read_number(rd, file, &e->max);
	(void)snprintf(file, sizeof(file), "%s.limit_in_bytes", prefix);
	(void)read_number(rd, file, &e->limit);
	(void)snprintf(file, sizeof(file), "%s.failcnt", prefix);
	(void)read_number(rd, file, &e->failcnt);
}

static void read_memory_v1(struct reader *rd, struct cgroup_stats *s)
{
	AUTO(cgroup_kvs_done) struct cgroup_kvs oom = { 0 };
	uint64_t hierarchy = 0;

	read_kvs(rd, "memory.stat", &s->memory.raw);
	s->memory.cache = cgroup_kvs_get(&s->memory.raw, "cache");
	read_memory_entry_v1(rd, "memory", &s->memory.usage);
	read_memory_entry_v1(rd, "memory.memsw", &s->memory.swap);
	read_memory_entry_v1(rd, "memory.kmem", &s->memory.kernel);
	read_memory_entry_v1(rd, "memory.kmem.tcp", &s->memory.kernel_tcp);
	(void)read_number(rd, "memory.use_hierarchy", &hierarchy);
	s->memory.use_hierarchy = hierarchy == 1;
	read_kvs(rd, "memory.oom_control", &oom);
	s->memory.events.oom_kill = cgroup_kvs_get(&oom, "oom_kill");
}

/*
 * Which files there are depends on the I/O scheduler: BFQ with its debug files, BFQ, CFQ, or only
 * the throttling layer. The first family whose first file has entries is taken whole.
 */
static void read_blkio_v1(struct reader *rd, struct cgroup_stats *s)
{
	static const char *const families[] = { "blkio.bfq.", "blkio.", "blkio.throttle." };
	const struct {
		const char *name;
		struct cgroup_io_list *list;
	} files[] = {
		{ "io_serviced_recursive", &s->blkio.serviced },
		{ "io_service_bytes_recursive", &s->blkio.service_bytes },
		{ "sectors_recursive", &s->blkio.sectors },
		{ "io_service_time_recursive", &s->blkio.service_time },
		{ "io_wait_time_recursive", &s->blkio.wait_time },
		{ "io_merged_recursive", &s->blkio.merged },
		{ "io_queued_recursive", &s->blkio.queued },
		{ "time_recursive", &s->blkio.time },
	};

	for (size_t f = 0; f < ARRAY_LEN(families) && s->blkio.serviced.len == 0; f++) {
		for (size_t i = 0; i < ARRAY_LEN(files); i++) {
			char file[64];

			(void)snprintf(file, sizeof(file), "%s%s", families[f], files[i].name);
			(void)read_blkio(rd, file, files[i].list);
			if (s->blkio.serviced.len == 0)
				break;
		}
	}
}

/* ------------------------------------------------------------------------------- both: hugetlb */

/* The size in the name of a limit file: "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max". */
static bool hugetlb_size(const char *file, const char *suffix, char size[static 16])
{
	const char *rest = str_after(file, "hugetlb.");
	const size_t n = rest ? strcspn(rest, ".") : 0;

	if (n == 0 || n >= 16 || strcmp(rest + n, suffix) != 0)
		return false;
	memcpy(size, rest, n);
	size[n] = '\0';
	return true;
}

static void read_hugetlb_entry(struct reader *rd, bool v2, const char *size,
			       struct cgroup_hugetlb_entry *e)
{
	AUTO(cgroup_kvs_done) struct cgroup_kvs events = { 0 };
	char file[64];

	(void)snprintf(e->page_size, sizeof(e->page_size), "%s", size);
	(void)snprintf(file, sizeof(file), "hugetlb.%s.%s", size,
		       v2 ? "current" : "usage_in_bytes");
	(void)read_number(rd, file, &e->usage);
	if (v2) {
		(void)snprintf(file, sizeof(file), "hugetlb.%s.events", size);
		read_kvs(rd, file, &events);
		e->failcnt = cgroup_kvs_get(&events, "max");
		return;
	}
	(void)snprintf(file, sizeof(file), "hugetlb.%s.max_usage_in_bytes", size);
	(void)read_number(rd, file, &e->max);
	(void)snprintf(file, sizeof(file), "hugetlb.%s.failcnt", size);
	(void)read_number(rd, file, &e->failcnt);
}

static void read_hugetlb(struct reader *rd, bool v2, struct cgroup_stats *s)
{
	const int fd = rd->dir_fd < 0 || rd->error < 0
			       ? -1
			       : openat(rd->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	char size[16];

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	s->hugetlb = calloc(HUGETLB_MAX, sizeof(s->hugetlb[0]));
	if (!s->hugetlb)
		rd->error = err_sys(rd->err, -ENOMEM, "hugetlb statistics");
	while (s->hugetlb && s->hugetlb_len < HUGETLB_MAX && (e = readdir(dir)) != NULL) {
		if (hugetlb_size(e->d_name, v2 ? ".max" : ".limit_in_bytes", size))
			read_hugetlb_entry(rd, v2, size, &s->hugetlb[s->hugetlb_len++]);
	}
	(void)closedir(dir);
}

/* -------------------------------------------------------------------------------------- v2 */

static void read_cpu_v2(struct reader *rd, struct cgroup_stats *s)
{
	AUTO(cgroup_kvs_done) struct cgroup_kvs stat = { 0 };

	read_kvs(rd, "cpu.stat", &stat);
	s->cpu.total_ns = cgroup_kvs_get(&stat, "usage_usec") * 1000;
	s->cpu.user_ns = cgroup_kvs_get(&stat, "user_usec") * 1000;
	s->cpu.kernel_ns = cgroup_kvs_get(&stat, "system_usec") * 1000;
	s->cpu.periods = cgroup_kvs_get(&stat, "nr_periods");
	s->cpu.throttled_periods = cgroup_kvs_get(&stat, "nr_throttled");
	s->cpu.throttled_ns = cgroup_kvs_get(&stat, "throttled_usec") * 1000;
	s->cpu.burst_periods = cgroup_kvs_get(&stat, "nr_bursts");
	s->cpu.burst_ns = cgroup_kvs_get(&stat, "burst_usec") * 1000;
	read_psi(rd, "cpu.pressure", &s->cpu.psi);
	read_ranges(rd, "cpuset.cpus.effective", &s->cpuset.cpus);
	read_ranges(rd, "cpuset.mems.effective", &s->cpuset.mems);
}

/* v2 counts swap alone; engines know memory+swap. An unlimited part makes the sum unlimited. */
static void add_swap_v2(struct reader *rd, struct cgroup_stats *s)
{
	struct cgroup_memory_entry *swap = &s->memory.swap;
	const struct cgroup_memory_entry *memory = &s->memory.usage;

	if (!read_number(rd, "memory.swap.current", &swap->usage))
		return;
	(void)read_number(rd, "memory.swap.max", &swap->limit);
	(void)read_number(rd, "memory.swap.peak", &swap->max);
	if (__builtin_add_overflow(swap->usage, memory->usage, &swap->usage))
		swap->usage = UINT64_MAX;
	if (__builtin_add_overflow(swap->limit, memory->limit, &swap->limit))
		swap->limit = UINT64_MAX;
}

static void read_memory_v2(struct reader *rd, struct cgroup_stats *s)
{
	AUTO(cgroup_kvs_done) struct cgroup_kvs events = { 0 };

	read_kvs(rd, "memory.stat", &s->memory.raw);
	s->memory.cache = cgroup_kvs_get(&s->memory.raw, "file");
	s->memory.use_hierarchy = true;
	if (!read_number(rd, "memory.current", &s->memory.usage.usage))
		return;
	(void)read_number(rd, "memory.max", &s->memory.usage.limit);
	(void)read_number(rd, "memory.peak", &s->memory.usage.max);
	read_kvs(rd, "memory.events", &events);
	s->memory.events.low = cgroup_kvs_get(&events, "low");
	s->memory.events.high = cgroup_kvs_get(&events, "high");
	s->memory.events.max = cgroup_kvs_get(&events, "max");
	s->memory.events.oom = cgroup_kvs_get(&events, "oom");
	s->memory.events.oom_kill = cgroup_kvs_get(&events, "oom_kill");
	s->memory.usage.failcnt = s->memory.events.max;
	add_swap_v2(rd, s);
	read_psi(rd, "memory.pressure", &s->memory.psi);
}

static void read_io_v2(struct reader *rd, struct cgroup_stats *s)
{
	AUTO_BUF struct buf text = { 0 };

	if (read_text(rd, "io.stat", &text))
		check(rd, "io.stat",
		      cgroup_parse_io_stat(text.data, &s->blkio.service_bytes, &s->blkio.serviced));
	read_psi(rd, "io.pressure", &s->blkio.psi);
}

static int read_v2(const struct cgroup *cg, struct cgroup_stats *s, struct err *err)
{
	AUTO(reader_done) struct reader rd;

	reader_open(cg, "", err, &rd);
	read_cpu_v2(&rd, s);
	read_memory_v2(&rd, s);
	read_pids(&rd, s);
	read_io_v2(&rd, s);
	read_hugetlb(&rd, true, s);
	return rd.error;
}

static int read_v1(const struct cgroup *cg, struct cgroup_stats *s, struct err *err)
{
	static const struct {
		const char *controller;
		void (*read)(struct reader *rd, struct cgroup_stats *s);
	} parts[] = {
		{ "cpuacct", read_cpuacct_v1 }, { "cpu", read_cpu_v1 },
		{ "cpuset", read_cpuset_v1 },	{ "memory", read_memory_v1 },
		{ "pids", read_pids },		{ "blkio", read_blkio_v1 },
	};
	AUTO(reader_done) struct reader hugetlb = { .dir_fd = -EBADF };
	bool v1;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		AUTO(reader_done) struct reader rd;

		reader_open(cg, parts[i].controller, err, &rd);
		parts[i].read(&rd, s);
		if (rd.error < 0)
			return err_prefix(err, rd.error, "%s", parts[i].controller);
	}
	v1 = cgroup_index(cg, "hugetlb") >= 0;
	reader_open(cg, v1 ? "hugetlb" : "", err, &hugetlb);
	read_hugetlb(&hugetlb, !v1, s);
	return hugetlb.error;
}

int cgroup_stats_read(const struct cgroup *cg, struct cgroup_stats *ret, struct err *err)
{
	struct cgroup_stats s = { 0 };
	const int r = cgroup_is_v2(cg) ? read_v2(cg, &s, err) : read_v1(cg, &s, err);

	if (r < 0) {
		cgroup_stats_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void cgroup_stats_done(struct cgroup_stats *s)
{
	struct cgroup_io_list *io[] = { &s->blkio.service_bytes, &s->blkio.serviced,
					&s->blkio.queued,	 &s->blkio.service_time,
					&s->blkio.wait_time,	 &s->blkio.merged,
					&s->blkio.time,		 &s->blkio.sectors };

	cgroup_u64s_done(&s->cpu.percpu_ns);
	cgroup_u64s_done(&s->cpu.percpu_kernel_ns);
	cgroup_u64s_done(&s->cpu.percpu_user_ns);
	cgroup_u64s_done(&s->cpuset.cpus);
	cgroup_u64s_done(&s->cpuset.mems);
	cgroup_kvs_done(&s->memory.raw);
	for (size_t i = 0; i < ARRAY_LEN(io); i++)
		cgroup_io_list_done(io[i]);
	free(s->hugetlb);
	*s = (struct cgroup_stats){ 0 };
}
