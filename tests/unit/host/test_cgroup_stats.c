/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics: the texts, and the numbers of a container on the real host. OOM notices too. */
#include "cgrouptest.h"

#include <poll.h>

#include "host/cgroup_stats.h"

/* ---- texts */

static void damaged_texts_are_refused(void **state)
{
	static const char *const kvs[] = { "a",	       "a ",	" 1",	"a b",
					   "a -1",     "a 1 2", "a 1x", "a 18446744073709551616",
					   "ok 1\nbad" };
	static const char *const ranges[] = { "a",     "1-",	  "-1",	 "3-1",
					      "1-2-3", "0-70000", "1 2", "0x1" };
	static const char *const io[] = { "8:0",
					  "8:0 Read",
					  "8:0 Read x",
					  "8 Read 1",
					  "x:0 Read 1",
					  "8:0 Read 1 2",
					  "8:0 AVeryLongOperationName 1",
					  "8:99999999999 1",
					  "Total",
					  "total 5" };
	static const char *const io_stat[] = { "8:0 rbytes", "8 rbytes=1", "8:0 rbytes=x",
					       "8:0 rbytes=-1", "x" };
	static const char *const psi[] = { "x",
					   "some",
					   "some avg10=1",
					   "other avg10=0.00",
					   "some avg10=0.0 avg60=0.00 avg300=0.00 total=0",
					   "some avg10=0.00 avg60=0.00 avg300=0.00 total=x",
					   "some avg10=99999.00 avg60=0.00 avg300=0.00 total=0",
					   "some avg10=0.00 avg300=0.00 avg60=0.00 total=0" };
	static const char *const usage[] = { "", "cpu user\n0 1 2\n", "cpu user system\n0 1\n",
					     "cpu user system\n0 1 x\n" };

	for (size_t i = 0; i < ARRAY_LEN(kvs); i++) {
		AUTO(cgroup_kvs_done) struct cgroup_kvs l = { 0 };

		if (cgroup_parse_kvs(kvs[i], &l) >= 0)
			fail_msg("taken: %s", kvs[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		AUTO(cgroup_u64s_done) struct cgroup_u64s l = { 0 };

		if (cgroup_parse_ranges(ranges[i], &l) >= 0)
			fail_msg("taken: %s", ranges[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(io); i++) {
		AUTO(cgroup_io_list_done) struct cgroup_io_list l = { 0 };

		if (cgroup_parse_blkio(io[i], &l) >= 0)
			fail_msg("taken: %s", io[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(io_stat); i++) {
		AUTO(cgroup_io_list_done) struct cgroup_io_list l = { 0 };

		if (cgroup_parse_io_stat(io_stat[i], &l, &l) >= 0)
			fail_msg("taken: %s", io_stat[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(psi); i++) {
		struct cgroup_psi p = { 0 };

		if (cgroup_parse_psi(psi[i], &p) >= 0 || p.set)
			fail_msg("taken: %s", psi[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(usage); i++) {
		AUTO(cgroup_u64s_done) struct cgroup_u64s l = { 0 };

		if (cgroup_parse_usage_all(usage[i], &l, &l) >= 0)
			fail_msg("taken: %s", usage[i]);
	}
}

static void lists_are_bounded(void **state)
{
	AUTO(cgroup_kvs_done) struct cgroup_kvs l = { 0 };
	AUTO(cgroup_u64s_done) struct cgroup_u64s n = { 0 };
	AUTO_BUF struct buf keys = { 0 }, ranges = { 0 };

	for (int i = 0; i < 5000; i++)
		buf_printf(&keys, "k%d 1\n", i);
	assert_int_equal(cgroup_parse_kvs(keys.data, &l), -E2BIG);
	for (int i = 0; i < 3; i++)
		buf_puts(&ranges, "0-65535,");
	assert_int_equal(cgroup_parse_ranges(ranges.data, &n), -E2BIG);
}

static void texts_of_v1(void **state)
{
	AUTO(cgroup_kvs_done) struct cgroup_kvs kvs = { 0 };
	AUTO(cgroup_u64s_done)
	struct cgroup_u64s n = { 0 }, user = { 0 }, sys = { 0 }, cpus = { 0 };
	AUTO(cgroup_io_list_done) struct cgroup_io_list io = { 0 };

	assert_int_equal(cgroup_parse_kvs("cache 1\nrss 18446744073709551615\n", &kvs), 0);
	assert_int_equal(kvs.len, 2);
	assert_true(cgroup_kvs_get(&kvs, "rss") == UINT64_MAX);
	assert_int_equal(cgroup_kvs_get(&kvs, "none"), 0);
	assert_int_equal(cgroup_parse_numbers("11 22 \n", &n), 0);
	assert_int_equal(n.len, 2);
	assert_int_equal(n.items[1], 22);
	assert_int_equal(cgroup_parse_usage_all("cpu user system\n0 10 20\n1 30 40\n", &user, &sys),
			 0);
	assert_int_equal(user.len, 2);
	assert_int_equal(user.items[1], 30);
	assert_int_equal(sys.items[0], 20);
	assert_int_equal(cgroup_parse_ranges("0-2,7,9-9\n", &cpus), 0);
	assert_int_equal(cpus.len, 5);
	assert_int_equal(cpus.items[3], 7);
	assert_int_equal(cgroup_parse_ranges("\n", &cpus), 0);
	assert_int_equal(cgroup_parse_blkio("8:0 Read 5\n8:16 7\nTotal 12\n", &io), 0);
	assert_int_equal(io.len, 2);
	assert_string_equal(io.items[0].op, "Read");
	assert_int_equal(io.items[1].minor, 16);
	assert_string_equal(io.items[1].op, "");
	assert_int_equal(io.items[1].value, 7);
}

static void texts_of_v2(void **state)
{
	AUTO(cgroup_io_list_done) struct cgroup_io_list bytes = { 0 }, ios = { 0 };
	struct cgroup_psi psi = { 0 };

	assert_int_equal(
		cgroup_parse_io_stat("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"
				     "9:1\n",
				     &bytes, &ios),
		0);
	assert_int_equal(bytes.len, 2);
	assert_int_equal(ios.len, 2);
	assert_string_equal(ios.items[1].op, "Write");
	assert_int_equal(ios.items[1].value, 4);
	assert_int_equal(cgroup_parse_psi("some avg10=1.25 avg60=0.01 avg300=100.00 total=77\n"
					  "full avg10=0.00 avg60=0.00 avg300=0.00 total=3\n",
					  &psi),
			 0);
	assert_true(psi.set);
	assert_true(psi.some.avg10 > 1.2499 && psi.some.avg10 < 1.2501);
	assert_true(psi.some.avg300 > 99.99);
	assert_int_equal(psi.some.total_us, 77);
	assert_int_equal(psi.full.total_us, 3);
}

/* ---- the host */

static int burn(void *arg)
{
	char *p = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct timespec used;

	memset(p, 1, 4 << 20);
	/* 50 ms of CPU time, however busy the host is. */
	do {
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	} while (used.tv_nsec < 50000000 && used.tv_sec == 0);
	*(volatile int *)arg = 1;
	return sleep_long(NULL);
}

static void a_running_container_has_numbers(void **state)
{
	struct box *b = NEED_BOX(state);
	volatile int *ready =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct oci_resources res = { .pids_limit = { 9, true },
				     .memory.limit = { 64 << 20, true } };
	struct cgroup_stats s;
	struct err err = { 0 };

	NEED_CONTROLLER(b->cg, "memory");
	NEED_CONTROLLER(b->cg, "pids");
	NEED_CONTROLLER(b->cg, "cpuacct");
	apply_ok(b->cg, &res, false);
	(void)spawn(b->cg, burn, (void *)ready);
	for (int i = 0; i < 2000 && !*ready; i++)
		sleep_ms(5);
	if (cgroup_stats_read(b->cg, &s, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(s.cpu.total_ns > 20000000);
	assert_true(s.cpu.user_ns + s.cpu.kernel_ns > 0);
	assert_true(s.cpu.percpu_ns.len >= 1);
	assert_int_equal(s.cpu.percpu_user_ns.len, s.cpu.percpu_kernel_ns.len);
	assert_true(s.cpuset.cpus.len >= 1 && s.cpuset.mems.len >= 1);
	assert_true(s.memory.usage.usage >= 4 << 20);
	assert_true(s.memory.usage.max >= s.memory.usage.usage);
	assert_int_equal(s.memory.usage.limit, 64 << 20);
	assert_true(s.memory.raw.len > 10);
	assert_true(cgroup_kvs_get(&s.memory.raw, "total_rss") >= 4 << 20);
	assert_int_equal(s.pids.current, 1);
	assert_int_equal(s.pids.limit, 9);
	cgroup_stats_done(&s);
	munmap((void *)ready, 4096);
}

static void no_limit_reads_as_zero_pids(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup_stats s;

	assert_int_equal(cgroup_stats_read(b->cg, &s, NULL), 0);
	assert_int_equal(s.pids.current, 0);
	assert_int_equal(s.pids.limit, 0);
	cgroup_stats_done(&s);
}

static void cgroup2_has_cpu_numbers_without_controllers(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup_dir v2 = { "", cgroup_path(b->cg, "") };
	struct cgroup *cg = NULL;
	volatile int *ready =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct cgroup_stats s;
	struct err err = { 0 };

	if (!v2.path) {
		print_message("no cgroup2: CAVEATS.md#cgroup-layout\n");
		skip();
	}
	assert_int_equal(cgroup_from_paths(&v2, 1, &cg, NULL), 0);
	(void)spawn(cg, burn, (void *)ready);
	for (int i = 0; i < 2000 && !*ready; i++)
		sleep_ms(5);
	if (cgroup_stats_read(cg, &s, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(s.cpu.total_ns > 20000000);
	assert_true(s.memory.use_hierarchy);
	cgroup_stats_done(&s);
	assert_int_equal(cgroup_signal_all(cg, SIGKILL, NULL), 0);
	cgroup_free(cg);
	munmap((void *)ready, 4096);
}

static int eat(void *arg)
{
	char *p = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(p, 1, 64 << 20);
	return 0;
}

static void oom_wakes_the_watcher(void **state)
{
	struct box *b = NEED_BOX(state);
	struct oci_resources res = { .memory.limit = { 8 << 20, true } };
	struct pollfd p = { .events = POLLIN };
	struct cgroup_stats s;
	struct err err = { 0 };
	uint64_t kills = 0;
	int r;

	NEED_CONTROLLER(b->cg, "memory");
	apply_ok(b->cg, &res, false);
	assert_int_equal(cgroup_oom_confirm(b->cg, &kills), !cgroup_is_v2(b->cg));
	p.fd = cgroup_oom_fd(b->cg, &err);
	assert_true(p.fd >= 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(wait_for(spawn(b->cg, eat, NULL)), 1000 + SIGKILL);
	r = poll(&p, 1, 2000);
	close(p.fd);
	assert_int_equal(r, 1);
	assert_true(cgroup_oom_confirm(b->cg, &kills));
	assert_int_equal(cgroup_oom_confirm(b->cg, &kills), !cgroup_is_v2(b->cg));
	assert_int_equal(cgroup_stats_read(b->cg, &s, NULL), 0);
	assert_true(s.memory.events.oom_kill >= 1);
	/* Linux 6.18 counts failures against the limit, not against memory+swap. */
	assert_true(s.memory.usage.failcnt >= 1);
	cgroup_stats_done(&s);
}

static void cgroup2_without_memory_has_no_oom_notice(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup_dir v2 = { "", cgroup_path(b->cg, "") };
	struct cgroup *cg = NULL;
	struct err err = { 0 };

	if (!v2.path || !cgroup_path(b->cg, "memory")) {
		print_message("not the hybrid layout: CAVEATS.md#cgroup-layout\n");
		skip();
	}
	assert_int_equal(cgroup_from_paths(&v2, 1, &cg, NULL), 0);
	assert_int_equal(cgroup_oom_fd(cg, &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "memory.events"));
	cgroup_free(cg);
}

#define LIVE(test) cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_texts_are_refused),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(texts_of_v1),
		cmocka_unit_test(texts_of_v2),
		LIVE(a_running_container_has_numbers),
		LIVE(no_limit_reads_as_zero_pids),
		LIVE(cgroup2_has_cpu_numbers_without_controllers),
		LIVE(oom_wakes_the_watcher),
		LIVE(cgroup2_without_memory_has_no_oom_notice),
	};

	return cmocka_run_group_tests_name("host/cgroup_stats", tests, NULL, NULL);
}
