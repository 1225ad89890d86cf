/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "lib/unit.h"
#include "runtime/sandbox/submounts.h"

static const char mountinfo[] = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
				"23 22 0:5 / /data rw shared:1 - tmpfs tmpfs rw\n"
				"25 24 0:7 / /data/b/c rw - tmpfs tmpfs rw\n"
				"24 23 0:6 / /data/b rw - tmpfs tmpfs rw\n"
				"26 23 0:8 / /data/with\\040blank rw - tmpfs tmpfs rw\n"
				"27 24 0:9 / /data/b rw - tmpfs tmpfs rw\n"
				"28 22 0:10 / /database rw - tmpfs tmpfs rw\n";

static void text_that_is_no_mountinfo_has_no_mounts(void **state)
{
	static const char *const texts[] = { "", "\n\n", "1 2 3\n", "1 2 3 4\n", "\\\\\\0\n", "x" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		AUTO_STRV char **list = NULL;

		assert_int_equal(submounts_parse(texts[i], "/", &list), 0);
		assert_int_equal(strv_len(list), 0);
	}
}

static void cut_escape_is_taken_as_it_stands(void **state)
{
	AUTO_STRV char **list = NULL;

	(void)state;
	assert_int_equal(submounts_parse("1 2 0:1 / /a/b\\04 rw\n", "/a", &list), 0);
	assert_int_equal(strv_len(list), 1);
	assert_string_equal(list[0], "b\\04");
}

static void places_below_come_once_and_parents_first(void **state)
{
	AUTO_STRV char **list = NULL;

	(void)state;
	assert_int_equal(submounts_parse(mountinfo, "/data", &list), 0);
	assert_int_equal(strv_len(list), 3);
	assert_string_equal(list[0], "b");
	assert_string_equal(list[1], "b/c");
	assert_string_equal(list[2], "with blank");
}

static void everything_but_itself_is_below_the_root(void **state)
{
	AUTO_STRV char **list = NULL;

	(void)state;
	assert_int_equal(submounts_parse(mountinfo, "/", &list), 0);
	assert_int_equal(strv_len(list), 5);
	assert_string_equal(list[0], "data");
}

static void nothing_lies_below_a_leaf(void **state)
{
	AUTO_STRV char **list = NULL;

	(void)state;
	assert_int_equal(submounts_parse(mountinfo, "/data/b/c", &list), 0);
	assert_null(list);
}

static void file_has_no_mounts_below(void **state)
{
	AUTO_BUF struct buf text = { 0 };
	AUTO_STRV char **list = NULL;

	(void)state;
	assert_int_equal(submounts_find(-1, "/dev/null", &text, &list), -ENOTDIR);
	assert_int_equal(submounts_find(-1, "/nowhere/at/all", &text, &list), -ENOENT);
	assert_null(text.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_that_is_no_mountinfo_has_no_mounts),
		cmocka_unit_test(cut_escape_is_taken_as_it_stands),
		cmocka_unit_test(places_below_come_once_and_parents_first),
		cmocka_unit_test(everything_but_itself_is_below_the_root),
		cmocka_unit_test(nothing_lies_below_a_leaf),
		cmocka_unit_test(file_has_no_mounts_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
