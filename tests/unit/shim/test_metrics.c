/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of a container in containerd's types: what of cgroup_stats becomes which field, by its
 * number on the wire. */
#include "shim/metrics.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/unit.h"
#include "shim/cgroups_v1.pb-c.h"
#include "shim/cgroups_v2.pb-c.h"
#include "shim/task.pb-c.h"

#define SIZE 4096

static void fill(struct cgroup_stats *s)
{
	s->cpu.total_ns = 9000;
	s->cpu.user_ns = 8000;
	s->cpu.throttled_ns = 7000;
	s->pids.current = 5;
	s->pids.limit = 7;
	s->memory.usage = (struct cgroup_memory_entry){ .usage = 3, .limit = 40 };
	/* Memory and swap together, also of v2. */
	s->memory.swap = (struct cgroup_memory_entry){ .usage = 4, .limit = 60 };
	s->memory.events.oom_kill = 1;
	assert_int_equal(cgroup_parse_kvs("inactive_file 6\npgfault 2\n", &s->memory.raw), 0);
	assert_int_equal(cgroup_parse_io_stat("8:16 rbytes=1 wbytes=2 rios=3 wios=4\n",
					      &s->blkio.service_bytes, &s->blkio.serviced),
			 0);
}

/* The message of an Any of this type. */
static Caisson__Shim__Any *packed(int version, const char *type)
{
	struct cgroup_stats stats = { 0 };
	Caisson__Shim__Any *any;
	struct err err = { 0 };
	uint8_t bytes[SIZE];
	size_t len = 0;

	fill(&stats);
	assert_int_equal(metrics_pack(&stats, version, bytes, sizeof(bytes), &len, &err), 0);
	assert_int_equal(metrics_pack(&stats, version, bytes, len - 1, &len, &err), -E2BIG);
	assert_int_equal(metrics_pack(&stats, version, bytes, sizeof(bytes), &len, &err), 0);
	cgroup_stats_done(&stats);
	any = caisson__shim__any__unpack(NULL, len, bytes);
	assert_non_null(any);
	assert_string_equal(any->type_url, type);
	return any;
}

/* containerd/cgroups, cgroup2/stats/metrics.proto: a key is the field's number by 8, and 2 for a
 * message. */
static void version_2_has_the_numbers_of_containerd(void **state)
{
	static const uint8_t expected[] = {
		0x0a, 4,  0x08, 5,    0x10, 7,		 /* pids: current, limit */
		0x12, 6,  0x08, 9,    0x10, 8,	0x30, 7, /* cpu: usage, user, throttled */
		0x22, 17,				 /* memory */
		0x68, 6,  0x90, 0x01, 2,		 /* inactive_file (13), pgfault (18) */
		0x80, 2,  3,	0x88, 2,    40,		 /* usage (32), its limit (33) */
		0x90, 2,  1,	0x98, 2,    20,		 /* swap alone (34), its limit (35) */
		0x32, 14, 0x0a, 12,			 /* io: an entry */
		0x08, 8,  0x10, 16,   0x18, 1,	0x20, 2, /* device, bytes */
		0x28, 3,  0x30, 4,			 /* calls */
		0x42, 2,  0x28, 1,			 /* memory_events: oom_kill */
	};
	Caisson__Shim__Any *any = packed(2, "io.containerd.cgroups.v2.Metrics");

	(void)state;
	assert_int_equal(any->value.len, sizeof(expected));
	assert_memory_equal(any->value.data, expected, sizeof(expected));
	caisson__shim__any__free_unpacked(any, NULL);
}

static void version_1_has_what_version_2_has(void **state)
{
	Caisson__Shim__Any *any = packed(1, "io.containerd.cgroups.v1.Metrics");
	Caisson__CgroupsV1__Metrics *m =
		caisson__cgroups_v1__metrics__unpack(NULL, any->value.len, any->value.data);

	(void)state;
	assert_non_null(m);
	assert_int_equal(m->cpu->usage->total, 9000);
	assert_int_equal(m->cpu->throttling->throttled_time, 7000);
	assert_int_equal(m->pids->limit, 7);
	assert_int_equal(m->memory->usage->limit, 40);
	assert_int_equal(m->memory->swap->usage, 4);
	assert_int_equal(m->memory->inactive_file, 6);
	assert_int_equal(m->blkio->n_io_service_bytes_recursive, 2);
	assert_string_equal(m->blkio->io_service_bytes_recursive[1]->op, "Write");
	assert_int_equal(m->memory_oom_control->oom_kill, 1);
	caisson__cgroups_v1__metrics__free_unpacked(m, NULL);
	caisson__shim__any__free_unpacked(any, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_2_has_the_numbers_of_containerd),
		cmocka_unit_test(version_1_has_what_version_2_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
