/* SPDX-License-Identifier: Apache-2.0 */
/* Values that FNV's authors give for these texts. */
#include "base/hash.h"

#include "lib/unit.h"

static void the_hash_is_the_one_that_is_known(void **state)
{
	(void)state;
	assert_true(hash64(HASH64_BEGIN, "", 0) == 0xcbf29ce484222325ull);
	assert_true(hash64(HASH64_BEGIN, "a", 1) == 0xaf63dc4c8601ec8cull);
	assert_true(hash64(HASH64_BEGIN, "foobar", 6) == 0x85944171f73967e8ull);
	assert_true(hash32(HASH32_BEGIN, "a", 1) == 0xe40c292cu);
	assert_true(hash32(HASH32_BEGIN, "foobar", 6) == 0xbf9cf968u);
}

static void parts_are_hashed_one_after_the_other(void **state)
{
	(void)state;
	assert_true(hash64(hash64(HASH64_BEGIN, "foo", 3), "bar", 3) ==
		    hash64(HASH64_BEGIN, "foobar", 6));
	assert_true(hash64(HASH64_BEGIN, "\xff", 1) != hash64(HASH64_BEGIN, "\x7f", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hash_is_the_one_that_is_known),
		cmocka_unit_test(parts_are_hashed_one_after_the_other),
	};

	return cmocka_run_group_tests_name("base/hash", tests, NULL, NULL);
}
