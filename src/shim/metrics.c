/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/metrics.h"

#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "shim/cgroups_v1.pb-c.h"
#include "shim/cgroups_v2.pb-c.h"
#include "shim/task.pb-c.h"

#define PER_CPU_MAX 4096u
#define HUGETLB_MAX 16u
#define BLKIO_MAX   256u /* entries of one list */

/* A key of memory.stat and the field it goes to. */
struct field {
	const char *key;
	size_t offset;
};

#define V1(name, key)                                               \
	{                                                           \
		key, offsetof(Caisson__CgroupsV1__MemoryStat, name) \
	}
static const struct field v1_memory[] = {
	V1(cache, "cache"),
	V1(rss, "rss"),
	V1(rss_huge, "rss_huge"),
	V1(mapped_file, "mapped_file"),
	V1(dirty, "dirty"),
	V1(writeback, "writeback"),
	V1(pg_pg_in, "pgpgin"),
	V1(pg_pg_out, "pgpgout"),
	V1(pg_fault, "pgfault"),
	V1(pg_maj_fault, "pgmajfault"),
	V1(inactive_anon, "inactive_anon"),
	V1(active_anon, "active_anon"),
	V1(inactive_file, "inactive_file"),
	V1(active_file, "active_file"),
	V1(unevictable, "unevictable"),
	V1(hierarchical_memory_limit, "hierarchical_memory_limit"),
	V1(hierarchical_swap_limit, "hierarchical_memsw_limit"),
	V1(total_cache, "total_cache"),
	V1(total_rss, "total_rss"),
	V1(total_rss_huge, "total_rss_huge"),
	V1(total_mapped_file, "total_mapped_file"),
	V1(total_dirty, "total_dirty"),
	V1(total_writeback, "total_writeback"),
	V1(total_pg_pg_in, "total_pgpgin"),
	V1(total_pg_pg_out, "total_pgpgout"),
	V1(total_pg_fault, "total_pgfault"),
	V1(total_pg_maj_fault, "total_pgmajfault"),
	V1(total_inactive_anon, "total_inactive_anon"),
	V1(total_active_anon, "total_active_anon"),
	V1(total_inactive_file, "total_inactive_file"),
	V1(total_active_file, "total_active_file"),
	V1(total_unevictable, "total_unevictable"),
};

#define V2(name)                                                      \
	{                                                             \
#name, offsetof(Caisson__CgroupsV2__MemoryStat, name) \
	}
static const struct field v2_memory[] = {
	V2(anon),
	V2(file),
	V2(kernel_stack),
	V2(slab),
	V2(sock),
	V2(shmem),
	V2(file_mapped),
	V2(file_dirty),
	V2(file_writeback),
	V2(anon_thp),
	V2(inactive_anon),
	V2(active_anon),
	V2(inactive_file),
	V2(active_file),
	V2(unevictable),
	V2(slab_reclaimable),
	V2(slab_unreclaimable),
	V2(pgfault),
	V2(pgmajfault),
	V2(workingset_refault),
	V2(workingset_activate),
	V2(workingset_nodereclaim),
	V2(pgrefill),
	V2(pgscan),
	V2(pgsteal),
	V2(pgactivate),
	V2(pgdeactivate),
	V2(pglazyfree),
	V2(pglazyfreed),
	V2(thp_fault_alloc),
	V2(thp_collapse_alloc),
};

static void fill_fields(const struct field *fields, size_t len, const struct cgroup_kvs *raw,
			void *message)
{
	for (size_t i = 0; i < len; i++) {
		const uint64_t value = cgroup_kvs_get(raw, fields[i].key);

		memcpy((char *)message + fields[i].offset, &value, sizeof(value));
	}
}

int metrics_version(void)
{
	struct statfs fs;

	return statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC ? 2 : 1;
}

static int pack_any(const ProtobufCMessage *metrics, const char *type, uint8_t *bytes, size_t size,
		    size_t *ret_len, struct err *err)
{
	Caisson__Shim__Any any = CAISSON__SHIM__ANY__INIT;
	const size_t len = protobuf_c_message_get_packed_size(metrics);
	AUTO_FREE uint8_t *value = malloc(len ? len : 1);

	if (!value)
		return err_sys(err, -ENOMEM, "metrics");
	any.type_url = (char *)type;
	any.value.len = protobuf_c_message_pack(metrics, value);
	any.value.data = value;
	if (caisson__shim__any__get_packed_size(&any) > size)
		return err_set(err, -E2BIG, "metrics of %zu bytes", len);
	*ret_len = caisson__shim__any__pack(&any, bytes);
	return 0;
}

/* ---- Version 1 ---- */

static void fill_entry(const struct cgroup_memory_entry *e, Caisson__CgroupsV1__MemoryEntry *m)
{
	*m = (Caisson__CgroupsV1__MemoryEntry)CAISSON__CGROUPS_V1__MEMORY_ENTRY__INIT;
	m->limit = e->limit;
	m->usage = e->usage;
	m->max = e->max;
	m->failcnt = e->failcnt;
}

/* Room for all lists of one message. */
struct blkio_room {
	Caisson__CgroupsV1__BlkIOEntry entries[BLKIO_MAX];
	Caisson__CgroupsV1__BlkIOEntry *list[BLKIO_MAX];
	size_t used;
};

static void fill_blkio(struct cgroup_io_list list, struct blkio_room *room, size_t *ret_n,
		       Caisson__CgroupsV1__BlkIOEntry ***ret)
{
	const size_t first = room->used;

	for (size_t i = 0; i < list.len && room->used < BLKIO_MAX; i++) {
		Caisson__CgroupsV1__BlkIOEntry *e = &room->entries[room->used];

		*e = (Caisson__CgroupsV1__BlkIOEntry)CAISSON__CGROUPS_V1__BLK_IOENTRY__INIT;
		e->op = list.items[i].op;
		e->major = list.items[i].major;
		e->minor = list.items[i].minor;
		e->value = list.items[i].value;
		room->list[room->used++] = e;
	}
	*ret = room->list + first;
	*ret_n = room->used - first;
}

static void fill_all_blkio(const struct cgroup_stats *s, struct blkio_room *room,
			   Caisson__CgroupsV1__BlkIOStat *b)
{
	fill_blkio(s->blkio.service_bytes, room, &b->n_io_service_bytes_recursive,
		   &b->io_service_bytes_recursive);
	fill_blkio(s->blkio.serviced, room, &b->n_io_serviced_recursive, &b->io_serviced_recursive);
	fill_blkio(s->blkio.queued, room, &b->n_io_queued_recursive, &b->io_queued_recursive);
	fill_blkio(s->blkio.service_time, room, &b->n_io_service_time_recursive,
		   &b->io_service_time_recursive);
	fill_blkio(s->blkio.wait_time, room, &b->n_io_wait_time_recursive,
		   &b->io_wait_time_recursive);
	fill_blkio(s->blkio.merged, room, &b->n_io_merged_recursive, &b->io_merged_recursive);
	fill_blkio(s->blkio.time, room, &b->n_io_time_recursive, &b->io_time_recursive);
	fill_blkio(s->blkio.sectors, room, &b->n_sectors_recursive, &b->sectors_recursive);
}

static void fill_cpu_v1(const struct cgroup_stats *s, Caisson__CgroupsV1__CPUUsage *usage,
			Caisson__CgroupsV1__Throttle *throttle)
{
	usage->total = s->cpu.total_ns;
	usage->kernel = s->cpu.kernel_ns;
	usage->user = s->cpu.user_ns;
	usage->per_cpu = s->cpu.percpu_ns.items;
	usage->n_per_cpu = s->cpu.percpu_ns.len < PER_CPU_MAX ? s->cpu.percpu_ns.len : PER_CPU_MAX;
	throttle->periods = s->cpu.periods;
	throttle->throttled_periods = s->cpu.throttled_periods;
	throttle->throttled_time = s->cpu.throttled_ns;
}

static int pack_v1(const struct cgroup_stats *s, uint8_t *bytes, size_t size, size_t *ret_len,
		   struct err *err)
{
	Caisson__CgroupsV1__Metrics m = CAISSON__CGROUPS_V1__METRICS__INIT;
	Caisson__CgroupsV1__PidsStat pids = CAISSON__CGROUPS_V1__PIDS_STAT__INIT;
	Caisson__CgroupsV1__CPUStat cpu = CAISSON__CGROUPS_V1__CPUSTAT__INIT;
	Caisson__CgroupsV1__CPUUsage usage = CAISSON__CGROUPS_V1__CPUUSAGE__INIT;
	Caisson__CgroupsV1__Throttle throttle = CAISSON__CGROUPS_V1__THROTTLE__INIT;
	Caisson__CgroupsV1__MemoryStat memory = CAISSON__CGROUPS_V1__MEMORY_STAT__INIT;
	Caisson__CgroupsV1__BlkIOStat blkio = CAISSON__CGROUPS_V1__BLK_IOSTAT__INIT;
	Caisson__CgroupsV1__MemoryOomControl oom = CAISSON__CGROUPS_V1__MEMORY_OOM_CONTROL__INIT;
	Caisson__CgroupsV1__MemoryEntry entries[4];
	Caisson__CgroupsV1__HugetlbStat huge[HUGETLB_MAX], *huge_list[HUGETLB_MAX];
	AUTO_FREE struct blkio_room *room = calloc(1, sizeof(*room));

	if (!room)
		return err_sys(err, -ENOMEM, "metrics");
	pids.current = s->pids.current;
	pids.limit = s->pids.limit;
	fill_cpu_v1(s, &usage, &throttle);
	cpu.usage = &usage;
	cpu.throttling = &throttle;
	fill_fields(v1_memory, ARRAY_LEN(v1_memory), &s->memory.raw, &memory);
	fill_entry(&s->memory.usage, &entries[0]);
	fill_entry(&s->memory.swap, &entries[1]);
	fill_entry(&s->memory.kernel, &entries[2]);
	fill_entry(&s->memory.kernel_tcp, &entries[3]);
	memory.usage = &entries[0];
	memory.swap = &entries[1];
	memory.kernel = &entries[2];
	memory.kernel_tcp = &entries[3];
	oom.oom_kill = s->memory.events.oom_kill;
	fill_all_blkio(s, room, &blkio);
	for (size_t i = 0; i < s->hugetlb_len && i < HUGETLB_MAX; i++) {
		huge[i] = (Caisson__CgroupsV1__HugetlbStat)CAISSON__CGROUPS_V1__HUGETLB_STAT__INIT;
		huge[i].usage = s->hugetlb[i].usage;
		huge[i].max = s->hugetlb[i].max;
		huge[i].failcnt = s->hugetlb[i].failcnt;
		huge[i].pagesize = s->hugetlb[i].page_size;
		huge_list[m.n_hugetlb++] = &huge[i];
	}
	m.hugetlb = huge_list;
	m.pids = &pids;
	m.cpu = &cpu;
	m.memory = &memory;
	m.blkio = &blkio;
	m.memory_oom_control = &oom;
	return pack_any(&m.base, "io.containerd.cgroups.v1.Metrics", bytes, size, ret_len, err);
}

/* ---- Version 2 ---- */

struct io_room {
	Caisson__CgroupsV2__IOEntry entries[BLKIO_MAX];
	Caisson__CgroupsV2__IOEntry *list[BLKIO_MAX];
	size_t used;
};

static Caisson__CgroupsV2__IOEntry *io_entry(struct io_room *room, uint64_t major, uint64_t minor)
{
	Caisson__CgroupsV2__IOEntry *e;

	for (size_t i = 0; i < room->used; i++) {
		if (room->entries[i].major == major && room->entries[i].minor == minor)
			return &room->entries[i];
	}
	if (room->used == BLKIO_MAX)
		return NULL;
	e = &room->entries[room->used];
	*e = (Caisson__CgroupsV2__IOEntry)CAISSON__CGROUPS_V2__IOENTRY__INIT;
	e->major = major;
	e->minor = minor;
	room->list[room->used++] = e;
	return e;
}

/* The lists have v1's form: an entry for each device and direction. */
static void fill_io(const struct cgroup_stats *s, struct io_room *room)
{
	for (size_t i = 0; i < s->blkio.service_bytes.len; i++) {
		const struct cgroup_io_entry *one = &s->blkio.service_bytes.items[i];
		Caisson__CgroupsV2__IOEntry *e = io_entry(room, one->major, one->minor);

		if (e && str_eq(one->op, "Read"))
			e->rbytes = one->value;
		else if (e && str_eq(one->op, "Write"))
			e->wbytes = one->value;
	}
	for (size_t i = 0; i < s->blkio.serviced.len; i++) {
		const struct cgroup_io_entry *one = &s->blkio.serviced.items[i];
		Caisson__CgroupsV2__IOEntry *e = io_entry(room, one->major, one->minor);

		if (e && str_eq(one->op, "Read"))
			e->rios = one->value;
		else if (e && str_eq(one->op, "Write"))
			e->wios = one->value;
	}
}

static void fill_memory_v2(const struct cgroup_stats *s, Caisson__CgroupsV2__MemoryStat *memory,
			   Caisson__CgroupsV2__MemoryEvents *events)
{
	/* Of both together, as v1 has it. */
	const struct cgroup_memory_entry *both = &s->memory.swap, *usage = &s->memory.usage;

	fill_fields(v2_memory, ARRAY_LEN(v2_memory), &s->memory.raw, memory);
	memory->usage = usage->usage;
	memory->usage_limit = usage->limit;
	memory->swap_usage = both->usage > usage->usage ? both->usage - usage->usage : 0;
	memory->swap_limit = both->limit == UINT64_MAX	  ? UINT64_MAX
			     : both->limit > usage->limit ? both->limit - usage->limit
							  : 0;
	events->low = s->memory.events.low;
	events->high = s->memory.events.high;
	events->max = s->memory.events.max;
	events->oom = s->memory.events.oom;
	events->oom_kill = s->memory.events.oom_kill;
}

static int pack_v2(const struct cgroup_stats *s, uint8_t *bytes, size_t size, size_t *ret_len,
		   struct err *err)
{
	Caisson__CgroupsV2__Metrics m = CAISSON__CGROUPS_V2__METRICS__INIT;
	Caisson__CgroupsV2__PidsStat pids = CAISSON__CGROUPS_V2__PIDS_STAT__INIT;
	Caisson__CgroupsV2__CPUStat cpu = CAISSON__CGROUPS_V2__CPUSTAT__INIT;
	Caisson__CgroupsV2__MemoryStat memory = CAISSON__CGROUPS_V2__MEMORY_STAT__INIT;
	Caisson__CgroupsV2__MemoryEvents events = CAISSON__CGROUPS_V2__MEMORY_EVENTS__INIT;
	Caisson__CgroupsV2__IOStat io = CAISSON__CGROUPS_V2__IOSTAT__INIT;
	Caisson__CgroupsV2__HugeTlbStat huge[HUGETLB_MAX], *huge_list[HUGETLB_MAX];
	AUTO_FREE struct io_room *room = calloc(1, sizeof(*room));

	if (!room)
		return err_sys(err, -ENOMEM, "metrics");
	pids.current = s->pids.current;
	pids.limit = s->pids.limit;
	cpu.usage_usec = s->cpu.total_ns / 1000;
	cpu.user_usec = s->cpu.user_ns / 1000;
	cpu.system_usec = s->cpu.kernel_ns / 1000;
	cpu.nr_periods = s->cpu.periods;
	cpu.nr_throttled = s->cpu.throttled_periods;
	cpu.throttled_usec = s->cpu.throttled_ns / 1000;
	fill_memory_v2(s, &memory, &events);
	fill_io(s, room);
	io.usage = room->list;
	io.n_usage = room->used;
	for (size_t i = 0; i < s->hugetlb_len && i < HUGETLB_MAX; i++) {
		huge[i] = (Caisson__CgroupsV2__HugeTlbStat)CAISSON__CGROUPS_V2__HUGE_TLB_STAT__INIT;
		huge[i].current = s->hugetlb[i].usage;
		huge[i].max = s->hugetlb[i].max;
		huge[i].pagesize = s->hugetlb[i].page_size;
		huge_list[m.n_hugetlb++] = &huge[i];
	}
	m.hugetlb = huge_list;
	m.pids = &pids;
	m.cpu = &cpu;
	m.memory = &memory;
	m.io = &io;
	m.memory_events = &events;
	return pack_any(&m.base, "io.containerd.cgroups.v2.Metrics", bytes, size, ret_len, err);
}

int metrics_pack(const struct cgroup_stats *stats, int version, uint8_t *bytes, size_t size,
		 size_t *ret_len, struct err *err)
{
	return version == 2 ? pack_v2(stats, bytes, size, ret_len, err)
			    : pack_v1(stats, bytes, size, ret_len, err);
}
