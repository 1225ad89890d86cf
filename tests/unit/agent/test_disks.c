/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <errno.h>
#include <string.h>

#include "agent/disks.h"

static const struct disk_numbers two[] = { { 7, 0, 254, 16 }, { 8, 16, 254, 32 } };

static void a_device_that_is_no_disk_is_refused_by_its_path(void **state)
{
	struct oci_device device = { .type = 'b', .path = "/dev/other", .major = 7, .minor = 1 };
	struct oci_spec spec = { .linux = { .devices = &device, .devices_len = 1 } };
	struct disks disks = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(disks_apply(two, 2, &spec, &disks, &err), -ENXIO);
	assert_non_null(strstr(err.msg, "/dev/other"));
	disks_done(&disks);
}

static void words_that_are_no_numbers_are_no_disk(void **state)
{
	static const char *const bad[] = { "", "7", "7:", "7:0 ", "7:0:1", "a:b" };
	struct agent_storage storage = { .source = "/dev/null", .type = AGENT_STORAGE_DEVICE };
	struct disk_numbers numbers;
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		storage.options = bad[i];
		assert_int_equal(disks_find(&storage, 1, &numbers, &err), -EINVAL);
	}
	storage.options = "7:0";
	assert_int_equal(disks_find(&storage, 1, &numbers, &err), -ENOTBLK);
}

static void rules_of_other_devices_of_the_host_are_left_out(void **state)
{
	/* 254:0 is the machine's first disk. */
	struct oci_device_rule rules[] = {
		{ .allow = false, .type = 'a', .major = -1, .minor = -1 },
		{ .allow = true, .type = 'b', .major = 254, .minor = 0 },
		{ .allow = true, .type = 'b', .major = 9, .minor = -1 },
		{ .allow = true, .type = 'c', .major = 254, .minor = 0 },
	};
	struct oci_spec spec = { .linux.resources = { .devices = rules, .devices_len = 4 } };
	struct disks disks = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(disks_apply(two, 2, &spec, &disks, &err), 0);
	assert_int_equal(spec.linux.resources.devices_len, 2);
	assert_int_equal(spec.linux.resources.devices[0].type, 'a');
	assert_int_equal(spec.linux.resources.devices[1].type, 'c');
	disks_done(&disks);
}

static void devices_and_rules_get_the_numbers_of_the_machine(void **state)
{
	struct oci_device device = { .type = 'b', .path = "/dev/x", .major = 8, .minor = 16 };
	struct oci_device_rule rules[] = {
		{ .allow = true, .type = 'b', .major = 8, .minor = 16, .access = "r" },
		{ .allow = true, .type = 'b', .major = 7, .minor = -1 },
		{ .allow = true, .type = 'b', .major = -1, .minor = -1 },
	};
	struct oci_spec spec = { .linux = { .devices = &device,
					    .devices_len = 1,
					    .resources = { .devices = rules, .devices_len = 3 } } };
	const struct oci_device_rule *got;
	struct disks disks = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(disks_apply(two, 2, &spec, &disks, &err), 0);
	assert_int_equal(spec.linux.devices[0].major, 254);
	assert_int_equal(spec.linux.devices[0].minor, 32);
	assert_int_equal(spec.linux.resources.devices_len, 3);
	got = spec.linux.resources.devices;
	assert_int_equal(got[0].minor, 32);
	assert_string_equal(got[0].access, "r");
	assert_int_equal(got[1].minor, 16);
	assert_int_equal(got[2].major, -1);
	disks_done(&disks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_that_is_no_disk_is_refused_by_its_path),
		cmocka_unit_test(words_that_are_no_numbers_are_no_disk),
		cmocka_unit_test(rules_of_other_devices_of_the_host_are_left_out),
		cmocka_unit_test(devices_and_rules_get_the_numbers_of_the_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
