/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <errno.h>

#include "ns/stage.h"

static void expect_home(const char *passwd, uint32_t uid, const char *home)
{
	char *got = NULL;
	const int r = lookup_home(passwd, strlen(passwd), uid, &got);

	if (!home) {
		assert_int_equal(r, -ENOENT);
		return;
	}
	assert_int_equal(r, 0);
	assert_string_equal(got, home);
	free(got);
}

static void hostile_passwd_lines_give_no_home(void **state)
{
	(void)state;
	expect_home("", 0, NULL);
	expect_home("\n\n:::::\n", 0, NULL);
	expect_home("root:x:0", 0, NULL);
	expect_home("root:x:0:0:root:", 0, NULL);
	expect_home("root:x:0:0:root:relative:/bin/sh\n", 0, NULL);
	expect_home("root:x:00000000000000000000000:0::/x:\n", 0, NULL);
	expect_home("root:x:-0:0::/x:\n", 0, NULL);
	expect_home("root:x: 0:0::/x:\n", 0, NULL);
	expect_home("a:x:4294967296:0::/x:\n", 0, NULL);
}

static void the_first_line_of_the_uid_counts(void **state)
{
	static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
				     "app:x:1000:1000::/home/app:/bin/sh\n"
				     "alias:x:1000:1000::/other:/bin/sh\n"
				     "last:x:4294967295:1::/last";

	(void)state;
	expect_home(passwd, 0, "HOME=/root");
	expect_home(passwd, 1000, "HOME=/home/app");
	expect_home(passwd, 4294967295u, "HOME=/last");
	expect_home(passwd, 5, NULL);
}

static void programs_are_found_as_runc_finds_them(void **state)
{
	const char *args[] = { "", NULL }, *env[] = { "PATH=:relative:/nonexistent:/bin", NULL };
	const struct oci_process process = { .args = { args, 1 }, .env = { env, 1 } };
	struct err err = { 0 };
	char *path = NULL;

	(void)state;
	assert_int_equal(stage_find_program(&process, &path, &err), -ENOENT);
	args[0] = "no-such-program";
	assert_int_equal(stage_find_program(&process, &path, &err), -ENOENT);
	assert_says(err, "executable file not found in $PATH");
	args[0] = "/no/such";
	assert_int_equal(stage_find_program(&process, &path, &err), -ENOENT);
	assert_says(err, "exec: \"/no/such\": stat /no/such: no such file or directory");
	args[0] = "/etc/passwd";
	assert_int_equal(stage_find_program(&process, &path, &err), -EACCES);
	assert_says(err, "permission denied");
	args[0] = "/bin";
	assert_int_equal(stage_find_program(&process, &path, &err), -EACCES);
	args[0] = "sh";
	assert_int_equal(stage_find_program(&process, &path, &err), 0);
	assert_string_equal(path, "/bin/sh");
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_passwd_lines_give_no_home),
		cmocka_unit_test(the_first_line_of_the_uid_counts),
		cmocka_unit_test(programs_are_found_as_runc_finds_them),
	};

	return cmocka_run_group_tests_name("ns/lookup", tests, NULL, NULL);
}
