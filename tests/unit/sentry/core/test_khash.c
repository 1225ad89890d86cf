/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/khash.h"

#include "lib/unit.h"

#define MANY 20000u

struct item {
	struct list_head node;
	uint32_t hash;
};

static struct item items[MANY];

static uint32_t hash_of(const struct list_head *node)
{
	return list_entry(node, struct item, node)->hash;
}

static void add(struct khash *t, uint32_t i, uint32_t hash)
{
	items[i].hash = hash;
	list_init(&items[i].node);
	khash_add(t, &items[i].node);
}

static bool is_in(struct khash *t, const struct item *wanted)
{
	struct item *item;

	list_for_each(item, khash_bucket(t, wanted->hash), node) if (item == wanted) return true;
	return false;
}

static void a_table_that_was_never_used_is_empty(void **state)
{
	struct khash t = { .hash = hash_of };

	assert_true(list_empty(khash_bucket(&t, 0)));
	assert_true(list_empty(khash_bucket(&t, UINT32_MAX)));
	khash_done(&t);
}

static void what_is_in_no_list_is_not_counted_twice(void **state)
{
	struct khash t = { .hash = hash_of };

	add(&t, 0, 7);
	khash_del(&t, &items[0].node);
	khash_del(&t, &items[0].node);
	assert_int_equal(t.len, 0);
	assert_false(is_in(&t, &items[0]));
	khash_done(&t);
}

static void everything_is_found_when_the_table_has_grown(void **state)
{
	struct khash t = { .hash = hash_of };

	for (uint32_t i = 0; i < MANY; i++)
		add(&t, i, i * 0x9e3779b9u);
	assert_true(t.bits > KHASH_FIRST_BITS && t.bits <= KHASH_BITS_MAX);
	for (uint32_t i = 0; i < MANY; i += 2)
		khash_del(&t, &items[i].node);
	assert_int_equal(t.len, MANY / 2);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(is_in(&t, &items[i]), i % 2);
	khash_done(&t);
}

static void a_bucket_moves_to_itself_or_further(void **state)
{
	struct khash t = { .hash = hash_of };
	const uint32_t hash = 0x40000000;

	add(&t, 0, hash);
	for (uint32_t i = 1; i < MANY; i++) {
		const ptrdiff_t before = khash_bucket(&t, hash) - t.buckets;

		add(&t, i, i * 0x9e3779b9u);
		assert_true(khash_bucket(&t, hash) - t.buckets >= before);
	}
	khash_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_that_was_never_used_is_empty),
		cmocka_unit_test(what_is_in_no_list_is_not_counted_twice),
		cmocka_unit_test(everything_is_found_when_the_table_has_grown),
		cmocka_unit_test(a_bucket_moves_to_itself_or_further),
	};

	return cmocka_run_group_tests_name("sentry/core/khash", tests, NULL, NULL);
}
