/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include "base/clock.h"

static void expect(time_t seconds, long nanoseconds, bool fraction, const char *text)
{
	const struct timespec when = { .tv_sec = seconds, .tv_nsec = nanoseconds };
	char got[CLOCK_TEXT_MAX];

	assert_string_equal(clock_rfc3339(&when, fraction, got), text);
}

static void times_outside_the_calendar_are_its_ends(void **state)
{
	(void)state;
	expect(INT64_MIN, 0, false, "0000-01-01T00:00:00Z");
	expect(INT64_MAX, 0, false, "9999-12-31T23:59:59Z");
}

static void fractions_lose_their_zeros(void **state)
{
	(void)state;
	expect(0, 500000000, true, "1970-01-01T00:00:00.5Z");
	expect(0, 0, true, "1970-01-01T00:00:00Z");
	expect(0, 1, true, "1970-01-01T00:00:00.000000001Z");
	expect(0, 999999999, false, "1970-01-01T00:00:00Z");
}

/* Goal: the same as the C library for every day of eight centuries, leap years included. */
static void every_day_is_that_of_gmtime(void **state)
{
	(void)state;
	for (int64_t day = -150000; day < 150000; day++) {
		const time_t seconds = day * 86400 + (day * 7919) % 86400;
		char text[CLOCK_TEXT_MAX];
		struct tm tm;

		assert_non_null(gmtime_r(&seconds, &tm));
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
		expect(seconds, 0, false, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_outside_the_calendar_are_its_ends),
		cmocka_unit_test(fractions_lose_their_zeros),
		cmocka_unit_test(every_day_is_that_of_gmtime),
	};

	return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
