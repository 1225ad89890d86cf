/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <stdlib.h>

#include "host/ids.h"

static size_t ranges(const char *text, const char *user, struct ids_range *ret, size_t max)
{
	return ids_subid_parse(text, strlen(text), user, ret, max);
}

static void damaged_lines_of_subuid_are_skipped(void **state)
{
	static const char *const bad[] = {
		"a",
		"a:",
		"a:1",
		"a:1:",
		"a::1",
		"a:1:0",
		"a:-1:5",
		"a:1:5x",
		"a: 1:5",
		"a:1:5:6",
		"a:4294967295:1",
		"a:4294967290:10",
		"a:1:4294967296",
		"b:1:5",
		"aa:1:5",
		":1:5",
		"#a:1:5",
		"a:99999999999999999999999999:1",
		"",
	};
	struct ids_range r[2];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (ranges(bad[i], "a", r, 2) != 0)
			fail_msg("taken: %s", bad[i]);
	}
	assert_int_equal(ranges(":1:5\n", "", r, 2), 0);
	assert_int_equal(ids_subid_parse("a:1:5\0", 6, "a", r, 2), 0); /* a NUL is no end */
}

static void ranges_of_one_user_are_found_in_order(void **state)
{
	struct ids_range r[4] = { 0 };
	const char *text = "root:1:1\nann:100000:65536\nbad\nann:4294967294:1\r\nann:300000:10";

	assert_int_equal(ranges(text, "ann", r, 4), 2);
	assert_int_equal(r[0].first, 100000);
	assert_int_equal(r[0].count, 65536);
	assert_int_equal(r[1].first, 300000);
	assert_int_equal(ranges(text, "ann", r, 1), 1);
	assert_int_equal(ranges(text, "ann", r, 0), 0);
}

static void a_file_is_read_by_name_and_by_number(void **state)
{
	char path[] = "/tmp/test_ids_XXXXXX";
	const int fd = mkstemp(path);
	struct ids_range r[4];
	struct err err = { 0 };
	const char *text = "root:1000:10\n0:5000:20\n";

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(ids_subid_ranges(path, 0, r, 4, &err), 2);
	assert_int_equal(r[0].first, 1000);
	assert_int_equal(r[1].first, 5000);
	assert_int_equal(ids_subid_ranges(path, 4000000, r, 4, &err), 0);
	assert_int_equal(ftruncate(fd, 4 * IDS_SUBID_FILE_MAX), 0);
	assert_int_equal(ids_subid_ranges(path, 0, r, 4, &err), -E2BIG);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ids_subid_ranges(path, 0, r, 4, &err), 0);
	close(fd);
	unlink(path);
	assert_int_equal(ids_subid_ranges(path, 0, r, 4, &err), 0);
	assert_int_equal(ids_subid_ranges("/etc", 0, r, 4, &err), -EISDIR);
}

static void bad_mappings_of_idmap_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"uids=",
		"uids=0-0-1",
		"gids=0-0-1",
		"uids=0-0-1;gids=",
		"uids=0-0-0;gids=0-0-1",
		"uids=0-0;gids=0-0-1",
		"uids=0-0-1-1;gids=0-0-1",
		"uids=0-0-1#;gids=0-0-1",
		"uids=0-0-1;uids=0-0-1;gids=0-0-1",
		"uids=-1-0-1;gids=0-0-1",
		"uids=0-0-1,gids=0-0-1",
		"uids=@@0-0-1;gids=0-0-1",
		"uids=4294967295-0-1;gids=0-0-1",
		"uids=0-4294967295-2;gids=0-0-1",
		"uids=0-0-99999999999;gids=0-0-1",
		"uids=0--1;gids=0-0-1",
	};
	struct ids_mount_maps m = { .uids_len = 9 };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = { 0 };

		if (ids_parse_mount_maps(bad[i], &m, &err) != -EINVAL || err.code != -EINVAL)
			fail_msg("taken: %s", bad[i]);
	}
	assert_int_equal(m.uids_len, 9);
}

static void too_many_mappings_are_refused(void **state)
{
	char text[512] = "gids=0-0-1;uids=0-0-1";
	struct ids_mount_maps m;
	struct err err = { 0 };

	for (int i = 0; i < 15; i++)
		strcat(text, "#1-1-1");
	assert_int_equal(ids_parse_mount_maps(text, &m, &err), 0);
	assert_int_equal(m.uids_len, 16);
	strcat(text, "#1-1-1");
	assert_int_equal(ids_parse_mount_maps(text, &m, &err), -E2BIG);
}

static void mappings_of_idmap_are_read(void **state)
{
	struct ids_mount_maps m;
	struct err err = { 0 };

	assert_int_equal(ids_parse_mount_maps("uids=0-1000-10#@20-30-1;gids=1-2-3;", &m, &err), 0);
	assert_int_equal(m.uids_len, 2);
	assert_int_equal(m.gids_len, 1);
	assert_int_equal(m.uids[0].container_id, 0);
	assert_int_equal(m.uids[0].host_id, 1000);
	assert_int_equal(m.uids[0].size, 10);
	assert_false(m.uids_relative[0]);
	assert_int_equal(m.uids[1].host_id, 30);
	assert_true(m.uids_relative[1]);
	assert_int_equal(m.gids[0].size, 3);
}

static void an_id_that_is_not_mapped_is_nobody_outside(void **state)
{
	static const char text[] = "         0     100000         10\n"
				   "        20 4294967295          1\n"
				   "        30 4294967290         10\n"
				   "      4000       4000 4294963295\n";
	uint32_t id = 7;

	assert_false(ids_outside("", 0, &id));
	assert_false(ids_outside("x\n\n0 1\n", 0, &id));
	assert_false(ids_outside(text, 10, &id));
	assert_false(ids_outside(text, 20, &id));
	assert_false(ids_outside(text, 35, &id));
	assert_false(ids_outside(text, UINT32_MAX, &id));
	assert_int_equal(id, 7);
	assert_true(ids_outside(text, 9, &id));
	assert_int_equal(id, 100009);
	assert_true(ids_outside(text, 34, &id));
	assert_int_equal(id, 4294967294u);
	assert_true(ids_outside(text, 4001, &id));
	assert_int_equal(id, 4001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_that_is_not_mapped_is_nobody_outside),
		cmocka_unit_test(damaged_lines_of_subuid_are_skipped),
		cmocka_unit_test(ranges_of_one_user_are_found_in_order),
		cmocka_unit_test(a_file_is_read_by_name_and_by_number),
		cmocka_unit_test(bad_mappings_of_idmap_are_refused),
		cmocka_unit_test(too_many_mappings_are_refused),
		cmocka_unit_test(mappings_of_idmap_are_read),
	};

	return cmocka_run_group_tests_name("host/ids_maps", tests, NULL, NULL);
}
