/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <signal.h>

#include "host/signals.h"

static void what_is_no_signal_is_refused(void **state)
{
	static const char *const bad[] = {
		"",	     "SIG",	   "FOO",      "SIGFOO",   "65",
		"-1",	     " 15",	   "15 ",      "+9",	   "0x9",
		"TERM ",     "SIGSIGTERM", "RTMIN+31", "RTMAX-31", "RTMIN-1",
		"RTMAX+1",   "RTMIN+",	   "RTMIN+ 1", "RTMIN++1", "99999999999999999999",
		"SIGRTMIN+x"
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (signal_from_text(bad[i]) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	assert_int_equal(signal_from_text(NULL), -EINVAL);
	assert_null(signal_name(0));
	assert_null(signal_name(-1));
	assert_null(signal_name(32));
	assert_null(signal_name(33));
	assert_null(signal_name(65));
}

static void names_are_read_in_every_spelling_of_runc(void **state)
{
	assert_int_equal(signal_from_text("TERM"), SIGTERM);
	assert_int_equal(signal_from_text("SIGTERM"), SIGTERM);
	assert_int_equal(signal_from_text("sigterm"), SIGTERM);
	assert_int_equal(signal_from_text("term"), SIGTERM);
	assert_int_equal(signal_from_text("Kill"), SIGKILL);
	assert_int_equal(signal_from_text("15"), SIGTERM);
	assert_int_equal(signal_from_text("0"), 0);
	assert_int_equal(signal_from_text("64"), 64);
	assert_int_equal(signal_from_text("IOT"), SIGABRT);
	assert_int_equal(signal_from_text("SIGPOLL"), SIGIO);
}

static void real_time_signals_count_from_both_ends(void **state)
{
	assert_int_equal(signal_from_text("RTMIN"), SIGRTMIN);
	assert_int_equal(signal_from_text("SIGRTMIN+3"), SIGRTMIN + 3);
	assert_int_equal(signal_from_text("rtmax"), SIGRTMAX);
	assert_int_equal(signal_from_text("RTMAX-30"), SIGRTMIN);
	assert_int_equal(signal_from_text("RTMIN+30"), SIGRTMAX);
	assert_string_equal(signal_name(37), "SIGRTMIN+3");
}

/* Goal: the C library, an independent table, says the same for every number, both ways. */
static void every_name_leads_back_to_its_number(void **state)
{
	for (int number = 1; number <= SIGNAL_MAX; number++) {
		const char *name = signal_name(number);

		if (number == 32 || number == 33) /* the C library's own */
			continue;
		assert_non_null(name);
		assert_int_equal(signal_from_text(name), number);
		if (number < 32 && number != SIGIO)
			assert_string_equal(name + 3, sigabbrev_np(number));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_signal_is_refused),
		cmocka_unit_test(names_are_read_in_every_spelling_of_runc),
		cmocka_unit_test(real_time_signals_count_from_both_ends),
		cmocka_unit_test(every_name_leads_back_to_its_number),
	};

	return cmocka_run_group_tests_name("host/signals", tests, NULL, NULL);
}
