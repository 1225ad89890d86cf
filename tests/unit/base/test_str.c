/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <errno.h>

#include "base/str.h"

static void numbers_are_strict(void **state)
{
	static const char *const bad[] = { "", " 1", "1 ", "+1", "0x1", "1.0", "--1", "-", "1e3" };
	uint64_t u;
	int64_t i;

	(void)state;
	for (size_t n = 0; n < ARRAY_LEN(bad); n++) {
		assert_int_equal(str_to_u64(bad[n], UINT64_MAX, &u), -EINVAL);
		assert_int_equal(str_to_i64(bad[n], INT64_MIN, INT64_MAX, &i), -EINVAL);
	}
	assert_int_equal(str_to_u64("-1", UINT64_MAX, &u), -EINVAL);
}

static void numbers_at_their_limits(void **state)
{
	uint64_t u;
	int64_t i;

	(void)state;
	assert_int_equal(str_to_u64("18446744073709551615", UINT64_MAX, &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(str_to_u64("18446744073709551616", UINT64_MAX, &u), -ERANGE);
	assert_int_equal(str_to_u64("256", 255, &u), -ERANGE);
	assert_int_equal(str_to_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(str_to_i64("9223372036854775808", INT64_MIN, INT64_MAX, &i), -ERANGE);
	assert_int_equal(str_to_i64("-5", -4, 4, &i), -ERANGE);
}

static void sizes_take_units(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(str_to_size("12", &v), 0);
	assert_true(v == 12);
	assert_int_equal(str_to_size("3k", &v), 0);
	assert_true(v == 3072);
	assert_int_equal(str_to_size("2MiB", &v), 0);
	assert_true(v == 2u << 20);
	assert_int_equal(str_to_size("1GB", &v), 0);
	assert_true(v == 1u << 30);
	assert_int_equal(str_to_size("1x", &v), -EINVAL);
	assert_int_equal(str_to_size("1kk", &v), -EINVAL);
	assert_int_equal(str_to_size("k", &v), -EINVAL);
	assert_int_equal(str_to_size("18014398509481984k", &v), -ERANGE);
}

static void lists_grow_and_free(void **state)
{
	AUTO_STRV char **list = NULL;

	(void)state;
	assert_int_equal(strv_len(list), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(strv_add(&list, "entry"), 0);
	assert_int_equal(strv_len(list), 100);
	assert_null(list[100]);
	assert_int_equal(strv_push(&list, NULL), -ENOMEM);
	assert_int_equal(strv_len(list), 100);
}

static void a_cut_sequence_is_left_out(void **state)
{
	static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
	static const size_t whole[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10 };

	(void)state;
	for (size_t len = 0; len < ARRAY_LEN(whole); len++)
		assert_int_equal(str_whole_utf8(text, len), whole[len]);
	assert_int_equal(str_whole_utf8("\x80\x80\x80\x80\x80", 5), 5); /* none, ever */
}

static void prefixes_and_suffixes(void **state)
{
	(void)state;
	assert_string_equal(str_after("PATH=/bin", "PATH="), "/bin");
	assert_null(str_after("PAT", "PATH="));
	assert_true(str_ends("a.json", ".json"));
	assert_false(str_ends("n", ".json"));
	assert_true(str_eq(NULL, NULL));
	assert_false(str_eq(NULL, ""));
}

static void a_path_leaves_by_a_component_of_two_dots_alone(void **state)
{
	static const char *const leave[] = { "..", "a/..", "../a", "a/../b", "a//.." };
	static const char *const stay[] = { "", "/", "a", "a..", "..a", "a/...", "./a", "a/.b" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(leave); i++)
		assert_true(str_path_leaves(leave[i]));
	for (size_t i = 0; i < ARRAY_LEN(stay); i++)
		assert_false(str_path_leaves(stay[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_strict),
		cmocka_unit_test(numbers_at_their_limits),
		cmocka_unit_test(sizes_take_units),
		cmocka_unit_test(lists_grow_and_free),
		cmocka_unit_test(prefixes_and_suffixes),
		cmocka_unit_test(a_cut_sequence_is_left_out),
		cmocka_unit_test(a_path_leaves_by_a_component_of_two_dots_alone),
	};

	return cmocka_run_group_tests_name("base/str", tests, NULL, NULL);
}
