/* SPDX-License-Identifier: Apache-2.0 */
/* Documents that verbs print or send: events, update, ps, the redaction of debug collect. */
#include "lib/unit.h"

#include <errno.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/debug.h"
#include "cli/ps.h"
#include "cli/stats.h"
#include "cli/update.h"

static void empty_statistics_have_runcs_members(void **state)
{
	const struct cgroup_stats stats = { 0 };
	AUTO_BUF struct buf out = { 0 };
	static const char expected[] =
		"{\"type\":\"stats\",\"id\":\"c1\",\"data\":{"
		"\"cpu\":{\"usage\":{\"kernel\":0,\"user\":0},\"throttling\":{}},"
		"\"cpuset\":{\"cpu_exclusive\":0,\"mem_hardwall\":0,\"mem_exclusive\":0,"
		"\"memory_migrate\":0,\"memory_spread_page\":0,\"memory_spread_slab\":0,"
		"\"memory_pressure\":0,\"sched_load_balance\":0,\"sched_relax_domain_level\":0},"
		"\"memory\":{\"usage\":{\"limit\":0,\"failcnt\":0},\"swap\":{\"limit\":0,"
		"\"failcnt\":0},"
		"\"kernel\":{\"limit\":0,\"failcnt\":0},\"kernelTCP\":{\"limit\":0,\"failcnt\":0},"
		"\"event_count\":{}},"
		"\"pids\":{},\"blkio\":{},\"hugetlb\":{},\"intel_rdt\":{},\"network_interfaces\":"
		"null}}\n";

	stats_append_event("c1", &stats, &out);
	assert_string_equal(out.data, expected);
}

static void numbers_are_whole_up_to_64_bits(void **state)
{
	struct cgroup_stats stats = { 0 };
	AUTO_BUF struct buf out = { 0 };

	stats.memory.usage.limit = UINT64_MAX;
	stats.cpuset.sched_relax_domain_level = -1;
	stats_append(&stats, &out);
	assert_non_null(strstr(out.data, "\"usage\":{\"limit\":18446744073709551615,"));
	assert_non_null(strstr(out.data, "\"sched_relax_domain_level\":-1}"));
}

static void full_statistics_are_valid_json(void **state)
{
	uint64_t cpus[] = { 1, 2 };
	char names[2][16] = { "pgfault", "odd\"key" };
	struct cgroup_kv raw[] = { { names[0], 3 }, { names[1], 4 } };
	struct cgroup_io_entry io = { .major = 8, .op = "Read", .value = 9 };
	struct cgroup_hugetlb_entry huge = { .page_size = "2MB", .usage = 5 };
	struct cgroup_stats stats = { 0 };
	AUTO_BUF struct buf out = { 0 };
	AUTO_JSON json_t *json = NULL;
	const json_t *memory, *entry;

	stats.cpu.percpu_ns = (struct cgroup_u64s){ cpus, 2, 2 };
	stats.cpu.psi.set = true;
	stats.cpu.psi.some.avg10 = 1.25;
	stats.memory.raw = (struct cgroup_kvs){ raw, 2, 2 };
	stats.memory.events.oom_kill = 2;
	stats.blkio.service_bytes = (struct cgroup_io_list){ &io, 1, 1 };
	stats.hugetlb = &huge;
	stats.hugetlb_len = 1;
	stats_append(&stats, &out);
	json = json_loads(out.data, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	memory = json_object_get(json, "memory");
	assert_int_equal(json_object_size(json_object_get(memory, "raw")), 1);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(memory, "event_count"),
							    "oom_kill")),
			 2);
	entry = json_array_get(
		json_object_get(json_object_get(json, "blkio"), "ioServiceBytesRecursive"), 0);
	assert_int_equal(json_integer_value(json_object_get(entry, "major")), 8);
	assert_null(json_object_get(entry, "minor"));
	assert_string_equal(json_string_value(json_object_get(entry, "op")), "Read");
}

static char *limits(const struct update_limits *l)
{
	struct err err = { 0 };
	json_t *json = NULL;
	char *text;

	if (update_limits_json(l, &json, &err) < 0)
		fail_msg("%s", err.msg);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return text;
}

static void limits_become_linux_resources(void **state)
{
	const struct update_limits all = {
		.memory = "1g",
		.memory_swap = "-1",
		.memory_reservation = "512k",
		.cpu_quota = "-1",
		.cpu_share = "512",
		.cpuset_cpus = "0-1",
		.pids_limit = "-1",
		.blkio_weight = "10",
	};
	const struct update_limits none = { .memory = "" };
	char *text = limits(&all);

	assert_string_equal(text,
			    "{\"blockIO\":{\"weight\":10},"
			    "\"cpu\":{\"quota\":-1,\"shares\":512,\"cpus\":\"0-1\"},"
			    "\"memory\":{\"limit\":1073741824,\"reservation\":524288,\"swap\":-1},"
			    "\"pids\":{\"limit\":-1}}");
	free(text);
	text = limits(&none);
	assert_string_equal(text, "{}");
	free(text);
}

static void bad_limits_name_their_flag(void **state)
{
	static const struct {
		struct update_limits limits;
		const char *says;
	} rows[] = {
		{ { .memory = "lots" }, "memory" },
		{ { .memory = "-2" }, "memory" },
		{ { .memory = "99999999999t" }, "memory" },
		{ { .cpu_period = "1.5" }, "cpu-period" },
		{ { .cpu_quota = "9223372036854775808" }, "cpu-quota" },
		{ { .pids_limit = "ten" }, "pids-limit" },
		{ { .cpuset_mems = "\xff" }, "cpuset-mems" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };
		json_t *json = NULL;

		assert_int_equal(update_limits_json(&rows[i].limits, &json, &err), -EINVAL);
		assert_says(err, rows[i].says);
		assert_null(json);
	}
}

static char *filtered(const char *text, struct err *err)
{
	pid_t pids[] = { 7, 1234 };
	const struct pid_list list = { pids, 2 };
	const struct buf in = { .data = (char *)text, .len = strlen(text) };
	struct buf out = { 0 };

	if (ps_filter(&in, &list, &out, err) < 0) {
		buf_done(&out);
		return NULL;
	}
	return out.data;
}

static void ps_lines_are_chosen_by_the_column_pid(void **state)
{
	struct err err = { 0 };
	char *out = filtered("UID   PID  PPID CMD\nroot    7     1 init\nroot    1     7 7 7\n"
			     "u    1234    7 PID\nu   12345    7 x\nshort\n",
			     &err);

	assert_string_equal(out, "UID   PID  PPID CMD\nroot    7     1 init\nu    1234    7 PID\n");
	free(out);
	out = filtered("  PID\n    7\n99999999999999999999999999\n-7\n", &err);
	assert_string_equal(out, "  PID\n    7\n");
	free(out);
	assert_null(filtered("USER PPID\nroot 7\n", &err));
	assert_says(err, "PID field");
}

static void values_of_the_environment_are_redacted(void **state)
{
	json_t *config =
		json_loads("{\"process\":{\"env\":[\"A=secret\",\"B\",\"C=x=secret\",5],"
			   "\"args\":[\"ls\"]},"
			   "\"hooks\":{\"prestart\":[{\"path\":\"/x\",\"env\":[\"T=secret\"]}],"
			   "\"odd\":3},\"annotations\":{\"k\":\"secret\"}}",
			   0, NULL);
	char *text;

	collect_redact(config);
	text = json_dumps(config, JSON_COMPACT);
	assert_null(strstr(text, "secret"));
	assert_non_null(strstr(text, "\"A=<redacted>\""));
	assert_non_null(strstr(text, "\"C=<redacted>\""));
	assert_non_null(strstr(text, "\"T=<redacted>\""));
	assert_non_null(strstr(text, "\"args\":[\"ls\"]"));
	free(text);
	json_decref(config);
	/* Documents of any other shape are left alone. */
	config = json_loads("[1,{\"env\":2}]", 0, NULL);
	collect_redact(config);
	assert_int_equal(json_array_size(config), 2);
	json_decref(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_statistics_have_runcs_members),
		cmocka_unit_test(numbers_are_whole_up_to_64_bits),
		cmocka_unit_test(full_statistics_are_valid_json),
		cmocka_unit_test(limits_become_linux_resources),
		cmocka_unit_test(bad_limits_name_their_flag),
		cmocka_unit_test(ps_lines_are_chosen_by_the_column_pid),
		cmocka_unit_test(values_of_the_environment_are_redacted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
