/* SPDX-License-Identifier: Apache-2.0 */
/* Families of samples, and labels that others have written. */
#include "metrics/families.h"

#include <errno.h>
#include <stdio.h>

#include "lib/unit.h"

static const struct metrics_kind calls = { "c_calls_total", METRICS_COUNTER, "Calls." };
static const struct metrics_kind size = { "c_bytes", METRICS_GAUGE, "Bytes." };

static void labels_are_escaped(void **state)
{
	AUTO_BUF struct buf labels = { 0 };

	metrics_label(&labels, "a", "q\" b\\ n\n");
	metrics_label(&labels, "b", "gr\xc3\xbc\xc3\x9f");
	assert_string_equal(labels.data, "a=\"q\\\" b\\\\ n\\n\",b=\"gr\xc3\xbc\xc3\x9f\"");
}

static void what_is_no_utf8_becomes_question_marks(void **state)
{
	static const char *const wrong[] = { "\xff",	     "\xc3",	     "\xc0\xaf",
					     "\xed\xa0\x80", "\xe0\x80\xaf", "\xf4\x90\x80\x80",
					     "\x80" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		AUTO_BUF struct buf labels = { 0 };
		char value[16];

		(void)snprintf(value, sizeof(value), "%s.", wrong[i]);
		metrics_label(&labels, "a", value);
		for (const char *c = labels.data; *c; c++)
			assert_true(*c >= ' ' && *c <= '~');
	}
}

static void a_long_value_is_cut_between_characters(void **state)
{
	AUTO_BUF struct buf labels = { 0 };
	char value[METRICS_VALUE_MAX + 8];

	memset(value, 'x', sizeof(value));
	memcpy(value + METRICS_VALUE_MAX - 1, "\xc3\xbc", 2);
	value[sizeof(value) - 1] = '\0';
	metrics_label(&labels, "a", value);
	assert_int_equal(labels.len, strlen("a=\"\"") + METRICS_VALUE_MAX - 1);
}

static void samples_of_a_name_stand_together(void **state)
{
	AUTO_METRICS struct metrics *m = metrics_new();
	AUTO_BUF struct buf out = { 0 };

	metrics_add(m, &calls, "id=\"a\"", 1);
	metrics_add(m, &size, "", UINT64_MAX);
	metrics_add_ns(m, &calls, "id=\"b\"", 1500000001);
	assert_int_equal(metrics_print(m, &out), 0);
	assert_string_equal(out.data, "# HELP c_calls_total Calls.\n# TYPE c_calls_total counter\n"
				      "c_calls_total{id=\"a\"} 1\n"
				      "c_calls_total{id=\"b\"} 1.500000001\n"
				      "# HELP c_bytes Bytes.\n# TYPE c_bytes gauge\n"
				      "c_bytes 18446744073709551615\n");
}

static void too_many_names_are_an_error(void **state)
{
	AUTO_METRICS struct metrics *m = metrics_new();
	AUTO_BUF struct buf out = { 0 };

	for (unsigned int i = 0; i <= METRICS_FAMILIES_MAX; i++) {
		char name[32];
		const struct metrics_kind kind = { name, METRICS_GAUGE, "" };

		(void)snprintf(name, sizeof(name), "n%u", i);
		metrics_add(m, &kind, "", i);
	}
	assert_int_equal(metrics_print(m, &out), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_utf8_becomes_question_marks),
		cmocka_unit_test(too_many_names_are_an_error),
		cmocka_unit_test(labels_are_escaped),
		cmocka_unit_test(a_long_value_is_cut_between_characters),
		cmocka_unit_test(samples_of_a_name_stand_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
