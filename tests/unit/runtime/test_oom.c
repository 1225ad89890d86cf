/* SPDX-License-Identifier: Apache-2.0 */
/* Who serves a guest is taken after the guest's processes, and still can be taken. */
#include "runtimetest.h"

#include "runtime/sandbox/oom.h"

static void a_server_has_a_lower_score_than_any_guest_that_can_be_taken(void **state)
{
	(void)state;
	for (int score = -998; score <= 1000; score++) {
		const int below = oom_score_below(score);

		assert_in_range(below + 1000, 1, 999);
		assert_true(below < score);
	}
}

static void who_is_hidden_from_the_killer_stays_so(void **state)
{
	(void)state;
	assert_int_equal(oom_score_below(-1000), -1000);
	assert_int_equal(oom_score_below(-999), -999);
}

/* With the capability and without. */
static void a_process_that_goes_last_is_never_taken_earlier_than_before(void **state)
{
	const int before = oom_score();

	(void)state;
	oom_go_last(before + 1);
	assert_true(oom_score() == before || oom_score() == oom_score_below(before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_has_a_lower_score_than_any_guest_that_can_be_taken),
		cmocka_unit_test(who_is_hidden_from_the_killer_stays_so),
		cmocka_unit_test(a_process_that_goes_last_is_never_taken_earlier_than_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
