/* SPDX-License-Identifier: Apache-2.0 */
/* How big a machine is, and what its host's cgroup has (runtime/vm/size.h). */
#include "runtimetest.h"

#include "base/json.h"
#include "base/str.h"
#include "host/cgroup.h"
#include "runtime/vm/size.h"

#define MIB    (1ull << 20)
#define MEMORY "io.kubernetes.cri.sandbox-memory"
#define QUOTA  "io.kubernetes.cri.sandbox-cpu-quota"
#define PERIOD "io.kubernetes.cri.sandbox-cpu-period"
#define CRIO   "pod-linux-resources.crio.io"

static const struct vm_config plain = {
	.type = MACHINE_MICROVM,
	.memory = 512 * MIB,
	.overhead = 64 * MIB,
	.cpus = 1,
	.max_memory = 4096 * MIB,
	.host_memory = 8192 * MIB,
	.max_cpus = 4,
};

static json_t *annotation(const char *key, const char *value)
{
	json_t *object = json_object();

	if (key)
		assert_int_equal(json_object_set_new(object, key, json_string(value)), 0);
	return object;
}

static int get(const char *key, const char *value, const struct oci_resources *r,
	       struct vm_size *ret, struct err *err)
{
	AUTO_JSON json_t *annotations = annotation(key, value);

	return vm_size_get(&plain, annotations, r, ret, err);
}

static struct vm_size size_of(const struct oci_resources *r)
{
	struct vm_size size;
	struct err err = { 0 };

	assert_int_equal(get(NULL, NULL, r, &size, &err), 0);
	return size;
}

/* ---- What is refused ---- */

static void a_pods_limit_that_is_none_is_refused_by_its_name(void **state)
{
	static const struct {
		const char *key, *value;
	} rows[] = {
		{ MEMORY, "lots" },
		{ MEMORY, "" },
		{ MEMORY, "-2" },
		{ MEMORY, "1e9" },
		{ MEMORY, " 1" },
		{ MEMORY, "9223372036854775808" },
		{ QUOTA, "50%" },
		{ PERIOD, "-100000" },
		{ "io.kubernetes.cri.sandbox-cpu-shares", "many" },
		{ CRIO, "" },
		{ CRIO, "[]" },
		{ CRIO, "{" },
		{ CRIO, "{\"memory_limit_in_bytes\":\"1\"}" },
		{ CRIO, "{\"memory_limit_in_bytes\":-2}" },
		{ CRIO, "{\"cpu_quota\":1.5}" },
		{ CRIO, "{\"cpu_period\":99999999999999999999}" },
		{ "io.kubernetes.cri-o.PodLinuxResources", "wrong" },
	};
	const struct oci_resources none = { 0 };
	struct vm_size size;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };

		assert_int_equal(get(rows[i].key, rows[i].value, &none, &size, &err), -EINVAL);
		assert_non_null(strstr(err.msg, rows[i].key));
	}
}

static void an_update_above_the_maximum_is_refused(void **state)
{
	const struct oci_resources made = { 0 };
	struct oci_resources r = { .memory.limit = { 4097 * MIB, true } };
	struct vm_size size;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(vm_size_update(&plain, NULL, &made, &r, &size, &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "vm.max_memory"));
	/* What the host has not is an engine's word for no limit. */
	r.memory.limit.v = 8192 * MIB;
	assert_int_equal(vm_size_update(&plain, NULL, &made, &r, &size, &err), 0);
	assert_int_equal(size.memory, 0);
}

/* ---- What a machine gets ---- */

static void memory_is_the_limit_and_the_overhead(void **state)
{
	struct oci_resources r = { 0 };

	(void)state;
	assert_int_equal(size_of(&r).memory, 512 * MIB);
	r.memory.limit = (struct oci_opt_i64){ -1, true };
	assert_int_equal(size_of(&r).memory, 512 * MIB);
	r.memory.limit.v = 100 * MIB + 1;
	assert_int_equal(size_of(&r).memory, 166 * MIB);
	r.memory.limit.v = INT64_MAX;
	assert_int_equal(size_of(&r).memory, 512 * MIB);
	r.memory.limit.v = 1;
	assert_int_equal(size_of(&r).memory, 66 * MIB);
	r.memory.limit.v = 6000 * MIB;
	assert_int_equal(size_of(&r).memory, 4096 * MIB);
}

static void what_annotations_ask_for_is_bounded_by_the_pods_cgroup(void **state)
{
	struct oci_resources r = { .memory.limit = { 100 * MIB, true } };
	AUTO_JSON json_t *annotations = annotation(MEMORY, "3221225472");
	struct vm_config config = plain;
	struct vm_size size;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(vm_size_get(&config, annotations, &r, &size, &err), 0);
	assert_int_equal(size.memory, (3072 + 64) * MIB);
	config.pod_memory = 200 * MIB;
	assert_int_equal(vm_size_get(&config, annotations, &r, &size, &err), 0);
	assert_int_equal(size.memory, 264 * MIB);
	/* The container's own limit is not the annotation's author's. */
	r.memory.limit.v = 400 * MIB;
	assert_int_equal(vm_size_get(&config, annotations, &r, &size, &err), 0);
	assert_int_equal(size.memory, 464 * MIB);
}

static void a_machine_is_never_smaller_than_its_kernel_needs(void **state)
{
	struct oci_resources r = { .memory.limit = { 1, true } };
	struct vm_config config = plain;
	struct vm_size size;
	struct err err = { 0 };

	(void)state;
	config.overhead = 0;
	assert_int_equal(vm_size_get(&config, NULL, &r, &size, &err), 0);
	assert_int_equal(size.memory, MACHINE_MEMORY_MIN);
}

static void of_pod_and_container_the_larger_counts(void **state)
{
	struct oci_resources r = { .memory.limit = { 100 * MIB, true } };
	struct vm_size size;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(get(MEMORY, "268435456", &r, &size, &err), 0);
	assert_int_equal(size.memory, 320 * MIB);
	assert_int_equal(size.cpus, 1);
	assert_int_equal(get(MEMORY, "1048576", &r, &size, &err), 0);
	assert_int_equal(size.memory, 164 * MIB);
	assert_int_equal(get(MEMORY, "0", &r, &size, &err), 0);
	assert_int_equal(size.memory, 164 * MIB);
	assert_int_equal(get(MEMORY, "9223372036854775807", &r, &size, &err), 0);
	assert_int_equal(size.memory, 164 * MIB);
	/* Never above the configuration's bound. */
	assert_int_equal(get(MEMORY, "6442450944", &r, &size, &err), 0);
	assert_int_equal(size.memory, 4096 * MIB);
	assert_int_equal(get(QUOTA, "9223372036854775807", &r, &size, &err), 0);
	assert_int_equal(size.cpus, 4);
	assert_int_equal(get(QUOTA, "-1", &r, &size, &err), 0);
	assert_int_equal(size.cpus, 1);
}

static void crios_sums_are_taken(void **state)
{
	const struct oci_resources none = { 0 };
	struct vm_size size;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(get(CRIO,
			     "{\"cpu_period\":50000,\"cpu_quota\":100001,\"cpu_shares\":7,"
			     "\"memory_limit_in_bytes\":268435456,\"unified\":{\"a\":\"b\"}}",
			     &none, &size, &err),
			 0);
	assert_int_equal(size.memory, 320 * MIB);
	assert_int_equal(size.cpus, 3);
	assert_int_equal(get("io.kubernetes.cri-o.PodLinuxResources", "{}", &none, &size, &err), 0);
	assert_int_equal(size.memory, 512 * MIB);
}

static void cpus_are_the_quotas_and_no_more_than_the_cpusets(void **state)
{
	struct oci_resources r = { .cpu.quota = { 50000, true } };

	(void)state;
	assert_int_equal(size_of(&r).cpus, 1);
	r.cpu.quota.v = 100001;
	assert_int_equal(size_of(&r).cpus, 2);
	r.cpu.period = (struct oci_opt_u64){ 40000, true };
	assert_int_equal(size_of(&r).cpus, 3);
	r.cpu.cpus = "0,7";
	assert_int_equal(size_of(&r).cpus, 2);
	r.cpu.quota.v = -1;
	assert_int_equal(size_of(&r).cpus, 2);
	r.cpu.cpus = "0-63";
	assert_int_equal(size_of(&r).cpus, 4);
	r.cpu.cpus = "nonsense";
	assert_int_equal(size_of(&r).cpus, 1);
	r.cpu.quota.v = INT64_MAX;
	r.cpu.period.v = 0;
	assert_int_equal(size_of(&r).cpus, 4);
}

static void an_update_says_only_what_it_names(void **state)
{
	const struct oci_resources made = { .cpu.quota = { 200000, true },
					    .cpu.period = { 50000, true } };
	struct oci_resources r = { .pids_limit = { 5, true } };
	struct vm_size size;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(vm_size_update(&plain, NULL, &made, &r, &size, &err), 0);
	assert_true(size.memory == 0 && size.cpus == 0);
	r.memory.limit = (struct oci_opt_i64){ 128 * MIB, true };
	assert_int_equal(vm_size_update(&plain, NULL, &made, &r, &size, &err), 0);
	assert_true(size.memory == 192 * MIB && size.cpus == 0);
	/* A period that stays, and no quota: what was at the start. */
	r.cpu.quota = (struct oci_opt_i64){ 100000, true };
	assert_int_equal(vm_size_update(&plain, NULL, &made, &r, &size, &err), 0);
	assert_int_equal(size.cpus, 2);
	r.cpu.quota.v = -1;
	assert_int_equal(vm_size_update(&plain, NULL, &made, &r, &size, &err), 0);
	assert_int_equal(size.cpus, 4);
}

static void a_q35_may_grow_so_far(void **state)
{
	struct vm_config config = plain;
	struct vm_size size = { .cpus = 1, .memory = 128 * MIB }, room;

	(void)state;
	room = vm_size_room(&config, &size);
	assert_true(room.cpus == 1 && room.memory == 128 * MIB);
	config.type = MACHINE_Q35;
	room = vm_size_room(&config, &size);
	assert_true(room.cpus == 4 && room.memory == 2048 * MIB);
	config.max_memory = 1025 * MIB;
	assert_int_equal(vm_size_room(&config, &size).memory, 1024 * MIB);
	config.max_memory = 64 * MIB;
	assert_int_equal(vm_size_room(&config, &size).memory, 128 * MIB);
}

/* ---- Outside ---- */

static void the_hosts_limits_have_room_for_the_machine(void **state)
{
	const struct vm_size size = { .cpus = 1, .memory = 164 * MIB };
	const struct vm_size pod = { .cpus = 1, .memory = 512 * MIB };
	struct oci_resources r = { .memory = { .limit = { 100 * MIB, true },
					       .swap = { 200 * MIB, true } },
				   .pids_limit = { 10, true } };

	(void)state;
	vm_size_host_limits(&plain, &size, &r);
	assert_int_equal(r.memory.limit.v, 356 * MIB);
	assert_int_equal(r.memory.swap.v, 456 * MIB);
	assert_int_equal(r.pids_limit.v, 10 + VM_HOST_PIDS);
	/* The machine is the pod's, the limit one container's. */
	r.memory.limit.v = 100 * MIB;
	vm_size_host_limits(&plain, &pod, &r);
	assert_int_equal(r.memory.limit.v, 704 * MIB);
	r.memory.limit.v = r.memory.swap.v = r.pids_limit.v = -1;
	vm_size_host_limits(&plain, &pod, &r);
	assert_true(r.memory.limit.v == -1 && r.memory.swap.v == -1 && r.pids_limit.v == -1);
	r.memory.limit.v = INT64_MAX - 1;
	vm_size_host_limits(&plain, &pod, &r);
	assert_int_equal(r.memory.limit.v, INT64_MAX);
}

static void files_of_cgroup2_hold_where_they_can(void **state)
{
	const struct vm_size size = { .cpus = 1, .memory = 164 * MIB };
	struct oci_kv kvs[] = {
		{ "memory.high", "1000000" },	  { "memory.max", "104857600" },
		{ "io.max", "8:0 rbps=1000" },	  { "pids.max", "20" },
		{ "hugetlb.2MB.max", "0" },	  { "cpu.weight", "50" },
		{ "memory.swap.max", "1000000" },
	};
	struct oci_resources r = { .unified = { kvs, ARRAY_LEN(kvs) } };

	(void)state;
	assert_int_equal(size_of(&r).memory, 164 * MIB);
	vm_size_host_limits(&plain, &size, &r);
	assert_int_equal(r.memory.limit.v, 356 * MIB);
	assert_int_equal(r.pids_limit.v, 20 + VM_HOST_PIDS);
	assert_int_equal(r.unified.len, cgroup_layout() == CGROUP_LAYOUT_V2 ? 4 : 3);
	assert_string_equal(r.unified.items[0].key, "io.max");
	assert_string_equal(r.unified.items[1].key, "hugetlb.2MB.max");
	assert_true(vm_size_is_inside("memory.high") && vm_size_is_inside("cpu.max"));
	assert_false(vm_size_is_inside("io.max"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pods_limit_that_is_none_is_refused_by_its_name),
		cmocka_unit_test(an_update_above_the_maximum_is_refused),
		cmocka_unit_test(memory_is_the_limit_and_the_overhead),
		cmocka_unit_test(what_annotations_ask_for_is_bounded_by_the_pods_cgroup),
		cmocka_unit_test(a_machine_is_never_smaller_than_its_kernel_needs),
		cmocka_unit_test(of_pod_and_container_the_larger_counts),
		cmocka_unit_test(crios_sums_are_taken),
		cmocka_unit_test(cpus_are_the_quotas_and_no_more_than_the_cpusets),
		cmocka_unit_test(an_update_says_only_what_it_names),
		cmocka_unit_test(a_q35_may_grow_so_far),
		cmocka_unit_test(the_hosts_limits_have_room_for_the_machine),
		cmocka_unit_test(files_of_cgroup2_hold_where_they_can),
	};

	return cmocka_run_group_tests_name("runtime/vm_size", tests, NULL, NULL);
}
