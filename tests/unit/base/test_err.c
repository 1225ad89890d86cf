/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <errno.h>

#include "base/err.h"

static void null_is_a_place_to_put_an_error(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, -EPERM, "x"), -EPERM);
	assert_int_equal(err_sys(NULL, -EPERM, "x"), -EPERM);
	assert_int_equal(err_prefix(NULL, -EPERM, "x"), -EPERM);
}

static void the_errno_is_spelled_out_and_prefixes_stack(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(err_sys(&err, -ENOENT, "open %s", "/x"), -ENOENT);
	assert_string_equal(err.msg, "open /x: No such file or directory");
	assert_int_equal(err_prefix(&err, -EINVAL, "mount"), -EINVAL);
	assert_string_equal(err.msg, "mount: open /x: No such file or directory");
	assert_int_equal(err.code, -EINVAL);
}

static void a_message_is_one_line(void **state)
{
	struct err err = { 0 };

	(void)state;
	(void)err_set(&err, -EINVAL, "a\nb\tc\x1b[31m");
	assert_string_equal(err.msg, "a b c [31m");
}

/* Goal: a cut never leaves half a UTF-8 sequence, which JSON would refuse. */
static void a_long_message_is_cut_between_characters(void **state)
{
	char text[2 * ERR_MSG_MAX];
	struct err err = { 0 };

	(void)state;
	for (size_t shift = 0; shift < 3; shift++) {
		memset(text, 'x', sizeof(text));
		for (size_t i = shift; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 3);
		text[sizeof(text) - 1] = '\0';
		(void)err_set(&err, -EINVAL, "%s", text);
		const size_t len = strlen(err.msg);

		assert_in_range(len, ERR_MSG_MAX - 4, ERR_MSG_MAX - 1);
		assert_memory_equal(err.msg + len - 3, "\xe2\x82\xac", 3);
		(void)err_prefix(&err, -EINVAL, "p");
		assert_true(strlen(err.msg) < ERR_MSG_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_is_a_place_to_put_an_error),
		cmocka_unit_test(the_errno_is_spelled_out_and_prefixes_stack),
		cmocka_unit_test(a_message_is_one_line),
		cmocka_unit_test(a_long_message_is_cut_between_characters),
	};

	return cmocka_run_group_tests_name("base/err", tests, NULL, NULL);
}
