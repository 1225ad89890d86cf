/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources, against the hierarchies of the host: what is refused, and what the files then
 * say. */
#include "cgrouptest.h"

#include <sys/sysmacros.h>

/* ---- failure first */

static void fields_without_a_controller_name_themselves(void **state)
{
	struct box *b = NEED_BOX(state);
	struct oci_if_prio prio = { "eth0", 5 };
	struct oci_rdma rdma = { .name = "mlx5_0", .hca_handles = { 3, true } };
	struct oci_resources cls = { .network.class_id = { 0x10001, true } };
	struct oci_resources prios = { .network = { .priorities = &prio, .priorities_len = 1 } };
	struct oci_resources rdmas = { .rdma = &rdma, .rdma_len = 1 };

	if (!cgroup_path(b->cg, "net_cls"))
		apply_fails(b->cg, &cls, -ENOTSUP,
			    "linux.resources.network.classID: no net_cls controller on this host");
	if (!cgroup_path(b->cg, "net_prio"))
		apply_fails(b->cg, &prios, -ENOTSUP,
			    "linux.resources.network.priorities: no net_prio controller");
	if (cgroup_layout() == CGROUP_LAYOUT_V2)
		apply_fails(b->cg, &rdmas, -ENOTSUP, "this host has no rdma.max");
	else if (!cgroup_path(b->cg, "rdma"))
		apply_fails(b->cg, &rdmas, -ENOTSUP, "linux.resources.rdma: no rdma");
	cls.network.class_id.v = 0;
	apply_ok(b->cg, &cls, false);
}

static void values_that_the_kernel_refuses_are_named(void **state)
{
	struct box *b = NEED_BOX(state);
	struct oci_resources swappy = { .memory.swappiness = { 101, true } };
	struct oci_resources cpus = { .cpu.cpus = "1-0" };
	struct oci_resources junk = { .cpu.cpus = "zero" };
	struct oci_resources few = { .cpu.shares = { 1, true } };
	struct oci_resources many = { .cpu.shares = { 1000000, true } };
	struct oci_resources quota = { .cpu.quota = { 10, true } };
	struct oci_resources burst = { .cpu = { .quota = { 10000, true },
						.burst = { 20000, true } } };
	struct oci_resources leaf = { .block_io.leaf_weight = { 100, true } };
	struct oci_resources flat = { .memory.use_hierarchy = { false, true } };

	NEED_CONTROLLER(b->cg, "memory");
	NEED_CONTROLLER(b->cg, "cpuset");
	NEED_CONTROLLER(b->cg, "cpu");
	NEED_CONTROLLER(b->cg, "blkio");
	apply_fails(b->cg, &swappy, -EINVAL, "linux.resources.memory.swappiness: 101");
	apply_fails(b->cg, &cpus, -EINVAL, "cpuset: write 1-0 to cpuset.cpus");
	apply_fails(b->cg, &junk, -EINVAL, "cpuset: write zero to cpuset.cpus");
	apply_fails(b->cg, &few, -EINVAL, "linux.resources.cpu.shares: the minimum allowed is 2");
	apply_fails(b->cg, &many, -EINVAL, "the maximum allowed is 262144");
	apply_fails(b->cg, &quota, -EINVAL, "cpu: write 10 to cpu.cfs_quota_us");
	apply_fails(b->cg, &burst, -EINVAL, "linux.resources.cpu.burst: 20000 is above");
	apply_fails(b->cg, &leaf, -ENOTSUP, "this host has no blkio.leaf_weight");
	apply_fails(b->cg, &flat, -ENOTSUP, "linux.resources.memory.useHierarchy");
}

static void names_that_would_be_other_lines_are_refused(void **state)
{
	struct box *b = NEED_BOX(state);
	static const char *const keys[] = {
		"../cgroup.procs", "a/b.c",	 "memory", ".x", "a..b", "",
		"cgroup.procs\n",  "memory. max"
	};
	static const char *const sizes[] = { "2mb", "MB", "2", "../2MB", "123456789KB", "2MB/" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct oci_kv kv = { keys[i], "1" };
		struct oci_resources res = { .unified = { &kv, 1 } };

		apply_fails(b->cg, &res, -EINVAL, "linux.resources.unified");
	}
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct err err = { 0 };

		assert_int_equal(cgroup_check_page_size(sizes[i], &err), -EINVAL);
	}
	assert_int_equal(cgroup_check_page_size("2MB", NULL), 0);
	assert_int_equal(cgroup_check_page_size("64KB", NULL), 0);
	assert_int_equal(cgroup_check_page_size("1GB", NULL), 0);
}

static int hold_memory(void *arg)
{
	char *p = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mlock(p, 32 << 20) < 0)
		return 1;
	memset(p, 1, 32 << 20);
	*(volatile int *)arg = 1;
	return sleep_long(NULL);
}

static void a_limit_below_the_usage_is_refused(void **state)
{
	struct box *b = NEED_BOX(state);
	struct oci_resources res = { .set = true, .memory.limit = { 4 << 20, true } };
	volatile int *ready =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct err err = { 0 };

	NEED_CONTROLLER(b->cg, "memory");
	(void)spawn(b->cg, hold_memory, (void *)ready);
	for (int i = 0; i < 500 && !*ready; i++)
		sleep_ms(5);
	assert_int_equal(*ready, 1);
	assert_int_equal(cgroup_apply(b->cg, &res, true, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "memory: write 4194304 to memory.limit_in_bytes: "
					"the container uses "));
	munmap((void *)ready, 4096);
}

/* ---- memory */

static void memory_and_swap_are_ordered(void **state)
{
	struct box *b = NEED_BOX(state);
	static const struct {
		int64_t limit, swap;
		const char *want_limit, *want_swap;
	} steps[] = {
		{ 64 << 20, 128 << 20, "67108864", "134217728" },
		{ 256 << 20, 512 << 20, "268435456", "536870912" }, /* both up: swap first */
		{ 32 << 20, 64 << 20, "33554432", "67108864" },	    /* both down: limit first */
		{ 0, 128 << 20, "33554432", "134217728" },
		{ 64 << 20, 0, "67108864", "134217728" },
		{ 64 << 20, -1, "67108864", "9223372036854771712" },
		{ -1, 0, "9223372036854771712", "9223372036854771712" },
		{ 64 << 20, 64 << 20, "67108864", "67108864" },
	};

	NEED_CONTROLLER(b->cg, "memory");
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct oci_resources res = { .memory.limit = { steps[i].limit, true },
					     .memory.swap = { steps[i].swap, true } };

		apply_ok(b->cg, &res, true);
		assert_string_equal(value_of(b->cg, "memory", "memory.limit_in_bytes"),
				    steps[i].want_limit);
		assert_string_equal(value_of(b->cg, "memory", "memory.memsw.limit_in_bytes"),
				    steps[i].want_swap);
	}
}

static void the_other_memory_fields(void **state)
{
	struct box *b = NEED_BOX(state);
	struct oci_resources res = {
		.memory = { .reservation = { 8 << 20, true },
			    .swappiness = { 7, true },
			    .kernel = { 1 << 20, true },
			    .kernel_tcp = { 16 << 20, true },
			    .disable_oom_killer = { true, true },
			    .use_hierarchy = { true, true },
			    .check_before_update = { true, true } },
	};

	NEED_CONTROLLER(b->cg, "memory");
	apply_ok(b->cg, &res, false);
	assert_string_equal(value_of(b->cg, "memory", "memory.soft_limit_in_bytes"), "8388608");
	assert_string_equal(value_of(b->cg, "memory", "memory.swappiness"), "7");
	assert_string_equal(value_of(b->cg, "memory", "memory.kmem.tcp.limit_in_bytes"),
			    "16777216");
	assert_string_equal(value_of(b->cg, "memory", "memory.oom_control"), "oom_kill_disable 1");
}

/* ---- cpu, cpuset, pids, blkio */

static void cpu_bandwidth_changes_in_either_order(void **state)
{
	struct box *b = NEED_BOX(state);
	static const struct {
		int64_t quota;
		uint64_t period, burst;
	} steps[] = { { 50000, 100000, 10000 },
		      { 5000, 10000, 5000 },
		      { 900000, 1000000, 800000 },
		      { 2000, 4000, 0 } };
	struct oci_resources off = { .cpu.quota = { -1, true } };
	char want[32];

	NEED_CONTROLLER(b->cg, "cpu");
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct oci_resources res = { .cpu = { .quota = { steps[i].quota, true },
						      .period = { steps[i].period, true },
						      .burst = { steps[i].burst, true } } };

		apply_ok(b->cg, &res, true);
		snprintf(want, sizeof(want), "%lld", (long long)steps[i].quota);
		assert_string_equal(value_of(b->cg, "cpu", "cpu.cfs_quota_us"), want);
		snprintf(want, sizeof(want), "%llu", (unsigned long long)steps[i].period);
		assert_string_equal(value_of(b->cg, "cpu", "cpu.cfs_period_us"), want);
		snprintf(want, sizeof(want), "%llu", (unsigned long long)steps[i].burst);
		assert_string_equal(value_of(b->cg, "cpu", "cpu.cfs_burst_us"), want);
	}
	apply_ok(b->cg, &off, true);
	assert_string_equal(value_of(b->cg, "cpu", "cpu.cfs_quota_us"), "-1");
}

static void shares_and_idle(void **state)
{
	struct box *b = NEED_BOX(state);
	struct oci_resources on = { .cpu = { .shares = { 512, true }, .idle = { 1, true } } };
	struct oci_resources off = { .cpu = { .shares = { 300, true }, .idle = { 0, true } } };

	NEED_CONTROLLER(b->cg, "cpu");
	apply_ok(b->cg, &on, false);
	assert_string_equal(value_of(b->cg, "cpu", "cpu.idle"), "1");
	apply_ok(b->cg, &off, true);
	assert_string_equal(value_of(b->cg, "cpu", "cpu.idle"), "0");
	assert_string_equal(value_of(b->cg, "cpu", "cpu.shares"), "300");
}

static void cpuset_pids_and_zeros(void **state)
{
	struct box *b = NEED_BOX(state);
	struct oci_resources res = { .cpu = { .cpus = "0", .mems = "0" },
				     .pids_limit = { 17, true } };
	struct oci_resources unlimited = { .pids_limit = { -1, true } };
	struct oci_resources zero = { .cpu = { .cpus = "",
					       .shares = { 0, true },
					       .quota = { 0, true },
					       .period = { 0, true } },
				      .memory = { .limit = { 0, true }, .swap = { 0, true } } };

	NEED_CONTROLLER(b->cg, "cpuset");
	NEED_CONTROLLER(b->cg, "pids");
	apply_ok(b->cg, &res, false);
	assert_string_equal(value_of(b->cg, "cpuset", "cpuset.cpus"), "0");
	assert_string_equal(value_of(b->cg, "pids", "pids.max"), "17");
	apply_ok(b->cg, &zero, true);
	assert_string_equal(value_of(b->cg, "cpuset", "cpuset.cpus"), "0");
	apply_ok(b->cg, &unlimited, true);
	assert_string_equal(value_of(b->cg, "pids", "pids.max"), "max");
	apply_ok(b->cg, &res, true);
	unlimited.pids_limit.v = 0;
	apply_ok(b->cg, &unlimited, true);
	assert_string_equal(value_of(b->cg, "pids", "pids.max"), "max");
}

/* The first disk of the host, for throttles. */
static bool first_disk(int64_t *major, int64_t *minor)
{
	struct stat st;

	if (stat("/", &st) < 0 || major(st.st_dev) == 0)
		return false;
	*major = major(st.st_dev);
	*minor = minor(st.st_dev);
	return true;
}

static void block_io_weight_and_throttles(void **state)
{
	struct box *b = NEED_BOX(state);
	struct oci_throttle t = { .rate = 1 << 20 };
	struct oci_resources weight = { .block_io.weight = { 321, true } };
	struct oci_resources res = { .block_io = { .read_bps = { &t, 1 },
						   .write_bps = { &t, 1 },
						   .read_iops = { &t, 1 },
						   .write_iops = { &t, 1 } } };
	AUTO_CLOSE int dir = -EBADF;
	char want[64];

	NEED_CONTROLLER(b->cg, "blkio");
	dir = cgroup_open_dir(b->cg, "blkio");
	if (faccessat(dir, "blkio.bfq.weight", F_OK, 0) == 0) {
		apply_ok(b->cg, &weight, false);
		assert_string_equal(value_of(b->cg, "blkio", "blkio.bfq.weight"), "321");
	} else {
		apply_fails(b->cg, &weight, -ENOTSUP, "blkio.bfq.weight");
	}
	if (!first_disk(&t.major, &t.minor)) {
		print_message("/ is on no block device: CAVEATS.md#unit-block-device\n");
		skip();
	}
	apply_ok(b->cg, &res, false);
	snprintf(want, sizeof(want), "%lld:%lld 1048576", (long long)t.major, (long long)t.minor);
	assert_string_equal(value_of(b->cg, "blkio", "blkio.throttle.read_bps_device"), want);
	assert_string_equal(value_of(b->cg, "blkio", "blkio.throttle.write_iops_device"), want);
}

/* ---- cgroup2 without controllers: errors that name the field, and the files that always exist */

static struct cgroup *v2_only(struct box *b)
{
	struct cgroup_dir v2 = { "", cgroup_path(b->cg, "") };
	struct cgroup *cg = NULL;

	if (!v2.path) {
		print_message("no cgroup2: CAVEATS.md#cgroup-layout\n");
		skip();
	}
	assert_int_equal(cgroup_from_paths(&v2, 1, &cg, NULL), 0);
	assert_true(cgroup_is_v2(cg));
	return cg;
}

static void v2_names_what_is_missing(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup *cg = v2_only(b);
	struct oci_throttle t = { 8, 0, 1 };
	struct oci_hugepage_limit huge = { "2MB", 1 << 21 };
	struct oci_kv missing = { "memory.high", "1" };
	struct oci_resources cases[] = {
		{ .network.class_id = { 1, true } },
		{ .memory.kernel_tcp = { 1, true } },
		{ .memory.swappiness = { 1, true } },
		{ .memory.disable_oom_killer = { true, true } },
		{ .memory.use_hierarchy = { false, true } },
		{ .cpu.realtime_runtime = { 1, true } },
		{ .cpu.realtime_period = { 1, true } },
		{ .block_io.leaf_weight = { 10, true } },
	};
	static const char *const names[] = { "network.classID",	    "memory.kernelTCP",
					     "memory.swappiness",   "memory.disableOOMKiller",
					     "memory.useHierarchy", "cpu.realtimeRuntime",
					     "cpu.realtimePeriod",  "blockIO.leafWeight" };
	struct oci_resources swap = { .memory.swap = { 5, true } };
	struct oci_resources less = { .memory = { .limit = { 9, true }, .swap = { 5, true } } };
	struct oci_resources unified = { .unified = { &missing, 1 } };
	struct oci_resources io = { .block_io.read_bps = { &t, 1 } };
	struct oci_resources hugetlb = { .hugepage_limits = &huge, .hugepage_limits_len = 1 };
	struct oci_resources kernel = { .memory.kernel = { 1 << 20, true },
					.memory.use_hierarchy = { true, true } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		apply_fails(cg, &cases[i], -ENOTSUP, names[i]);
	apply_fails(cg, &swap, -EINVAL, "linux.resources.memory.swap: 5 needs");
	apply_fails(cg, &less, -EINVAL, "linux.resources.memory.swap: 5 is below");
	apply_ok(cg, &kernel, false);
	if (!cgroup_path(b->cg, "memory")) {
		cgroup_free(cg);
		return;
	}
	/* The controllers are on v1 here: their files cannot exist. */
	apply_fails(cg, &unified, -ENOTSUP, "unified[\"memory.high\"]: no such file");
	apply_fails(cg, &io, -ENOTSUP, "io: write 8:0 rbps=1: this host has no io.max");
	apply_fails(cg, &hugetlb, -ENOTSUP,
		    "linux.resources.hugepageLimits: no hugetlb controller");
	less.memory.swap.v = 10;
	apply_fails(cg, &less, -ENOTSUP, "memory: write 1: this host has no memory.swap.max");
	cgroup_free(cg);
}

static void unified_writes_files_of_cgroup2(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup *cg = v2_only(b);
	struct oci_kv kv[] = { { "cgroup.max.depth", "3" }, { "cgroup.max.descendants", "4" } };
	struct oci_kv bad[] = { { "cgroup.max.depth", "x" } };
	struct oci_resources res = { .unified = { kv, 2 } };
	struct oci_resources wrong = { .unified = { bad, 1 } };

	apply_ok(cg, &res, false);
	assert_string_equal(value_of(cg, "", "cgroup.max.depth"), "3");
	assert_string_equal(value_of(cg, "", "cgroup.max.descendants"), "4");
	apply_fails(cg, &wrong, -EINVAL, "linux.resources.unified[\"cgroup.max.depth\"]: write x");
	cgroup_free(cg);
}

/* Goal: creation turns controllers on down to the container; here hugetlb is the one that v2 can
 * have. */
static void v2_controllers_reach_the_container(void **state)
{
	struct box *b = NEED_BOX(state);
	struct oci_hugepage_limit huge = { "2MB", 6 << 20 };
	struct oci_kv kv = { "hugetlb.2MB.max", "8388608" };
	struct oci_resources res = { .hugepage_limits = &huge, .hugepage_limits_len = 1 };
	struct oci_resources unified = { .unified = { &kv, 1 } };
	struct cgroup *deep = NULL;
	struct err err = { 0 };

	if (cgroup_layout() != CGROUP_LAYOUT_V2 ||
	    !strstr(value_of(b->cg, "", "cgroup.controllers"), "hugetlb")) {
		print_message("no cgroup2 with hugetlb: CAVEATS.md#cgroup-layout\n");
		skip();
	}
	apply_ok(b->cg, &res, false);
	assert_string_equal(value_of(b->cg, "", "hugetlb.2MB.max"), "6291456");
	assert_string_equal(value_of(b->cg, "", "hugetlb.2MB.rsvd.max"), "6291456");
	apply_ok(b->cg, &unified, true);
	assert_string_equal(value_of(b->cg, "", "hugetlb.2MB.max"), "8388608");
	huge.page_size = "3MB";
	apply_fails(b->cg, &res, -ENOTSUP, "no hugetlb controller for 3MB pages");
	/* And through parents that did not exist. */
	assert_int_equal(cgroup_subdir(b->cg, NULL, "p/q", &deep, NULL), 0);
	assert_int_equal(cgroup_create(deep, &err), 0);
	assert_non_null(strstr(value_of(deep, "", "cgroup.controllers"), "hugetlb"));
	cgroup_free(deep);
}

/* Goal: the published points of the curve, and no step back between them. */
static void shares_become_weights(void **state)
{
	static const struct {
		uint64_t shares, weight;
	} points[] = { { 0, 0 },      { 1, 1 },		 { 2, 1 },
		       { 1024, 100 }, { 262144, 10000 }, { 999999, 10000 } };
	uint64_t last = 0;

	for (size_t i = 0; i < ARRAY_LEN(points); i++)
		assert_int_equal(cgroup_weight_of_shares(points[i].shares), points[i].weight);
	for (uint64_t s = 2; s <= 262144; s++) {
		const uint64_t w = cgroup_weight_of_shares(s);

		if (w < last || w < 1 || w > 10000)
			fail_msg("%llu shares weigh %llu", (unsigned long long)s,
				 (unsigned long long)w);
		last = w;
	}
}

#define LIVE(test) cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

/* The first text of a file counts, and what the kernel has refused has changed nothing. */
static void what_was_applied_is_put_back(void **state)
{
	struct box *b = NEED_BOX(state);
	struct oci_resources before = { .pids_limit = { 50, true },
					.memory.limit = { 64 << 20, true },
					.memory.swap = { 128 << 20, true },
					.cpu = { .quota = { 40000, true },
						 .period = { 80000, true },
						 .shares = { 512, true } } };
	struct oci_resources first = { .pids_limit = { 60, true },
				       .memory.limit = { 256 << 20, true },
				       .memory.swap = { 512 << 20, true },
				       .cpu = { .quota = { 200000, true },
						.period = { 90000, true } } };
	struct oci_resources second = { .pids_limit = { 70, true }, .cpu.shares = { 700, true } };
	struct oci_resources refused = { .set = true,
					 .cpu = { .shares = { 800, true }, .cpus = "1-0" } };
	struct err err = { 0 };

	NEED_CONTROLLER(b->cg, "pids");
	NEED_CONTROLLER(b->cg, "memory");
	NEED_CONTROLLER(b->cg, "cpu");
	NEED_CONTROLLER(b->cg, "cpuset");
	apply_ok(b->cg, &before, false);
	assert_int_equal(cgroup_journal_begin(b->cg), 0);
	apply_ok(b->cg, &first, true);
	apply_ok(b->cg, &second, true);
	assert_true(cgroup_apply(b->cg, &refused, true, &err) < 0);
	assert_string_equal(value_of(b->cg, "pids", "pids.max"), "70");
	if (cgroup_journal_undo(b->cg, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(value_of(b->cg, "pids", "pids.max"), "50");
	assert_string_equal(value_of(b->cg, "memory", "memory.limit_in_bytes"), "67108864");
	assert_string_equal(value_of(b->cg, "memory", "memory.memsw.limit_in_bytes"), "134217728");
	assert_string_equal(value_of(b->cg, "cpu", "cpu.cfs_quota_us"), "40000");
	assert_string_equal(value_of(b->cg, "cpu", "cpu.cfs_period_us"), "80000");
	assert_string_equal(value_of(b->cg, "cpu", "cpu.shares"), "512");
	/* Nothing is kept any more. */
	apply_ok(b->cg, &second, true);
	assert_int_equal(cgroup_journal_undo(b->cg, &err), 0);
	assert_string_equal(value_of(b->cg, "pids", "pids.max"), "70");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE(fields_without_a_controller_name_themselves),
		LIVE(values_that_the_kernel_refuses_are_named),
		LIVE(names_that_would_be_other_lines_are_refused),
		LIVE(a_limit_below_the_usage_is_refused),
		LIVE(memory_and_swap_are_ordered),
		LIVE(the_other_memory_fields),
		LIVE(cpu_bandwidth_changes_in_either_order),
		LIVE(shares_and_idle),
		LIVE(cpuset_pids_and_zeros),
		LIVE(block_io_weight_and_throttles),
		LIVE(v2_names_what_is_missing),
		LIVE(unified_writes_files_of_cgroup2),
		LIVE(v2_controllers_reach_the_container),
		LIVE(what_was_applied_is_put_back),
		cmocka_unit_test(shares_become_weights),
	};

	return cmocka_run_group_tests_name("host/cgroup_apply", tests, NULL, NULL);
}
