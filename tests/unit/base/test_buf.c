/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include "base/buf.h"

static void a_full_buffer_refuses_and_keeps_what_it_has(void **state)
{
	struct buf b = { .max = 8 };

	(void)state;
	assert_int_equal(buf_puts(&b, "12345678"), 0);
	assert_int_equal(buf_puts(&b, "9"), -E2BIG);
	assert_string_equal(b.data, "12345678");
	buf_done(&b);
}

static void the_first_error_stays(void **state)
{
	struct buf b = { .max = 2 };

	(void)state;
	assert_int_equal(buf_puts(&b, "123"), -E2BIG);
	assert_int_equal(buf_puts(&b, "1"), -E2BIG);
	assert_int_equal(buf_error(&b), -E2BIG);
	buf_done(&b);
	assert_int_equal(buf_error(&b), 0);
}

static void sizes_that_overflow_are_refused(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(buf_puts(&b, "x"), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -E2BIG);
	buf_done(&b);
}

static void printf_grows_and_terminates(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_printf(&b, "%03d", i % 1000), 0);
	assert_int_equal(b.len, 3000);
	assert_int_equal(strlen(b.data), 3000);
	assert_memory_equal(b.data + 2997, "999", 4);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_buffer_refuses_and_keeps_what_it_has),
		cmocka_unit_test(the_first_error_stays),
		cmocka_unit_test(sizes_that_overflow_are_refused),
		cmocka_unit_test(printf_grows_and_terminates),
	};

	return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
