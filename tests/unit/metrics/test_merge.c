/* SPDX-License-Identifier: Apache-2.0 */
/* Text of a sandbox, which may be anything, merged. */
#include "metrics/merge.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/unit.h"

static const struct merge_rule rules[] = {
	{ .from = "caisson_vm_", .to = "caisson_vm_" },
	{ .from = "guest_", .to = "caisson_vm_guest_" },
	{ 0 },
};
static const char *const reserved[] = { "id", NULL };
static const struct merge_options options = { .rules = rules,
					      .labels = "id=\"c1\"",
					      .reserved = reserved };

static size_t merge(struct metrics *m, const char *text)
{
	return metrics_merge(m, text, strlen(text), &options);
}

/* What is printed after the merge of `text`; the caller frees. */
static char *merged(const char *text, size_t refused)
{
	AUTO_METRICS struct metrics *m = metrics_new();
	struct buf out = { 0 };

	assert_int_equal(merge(m, text), refused);
	assert_int_equal(metrics_print(m, &out), 0);
	return out.data ? out.data : strdup("");
}

#define assert_merged(text, refused, wanted)       \
	do {                                       \
		char *got = merged(text, refused); \
		assert_string_equal(got, wanted);  \
		free(got);                         \
	} while (0)

static void malformed_lines_are_not_taken(void **state)
{
	static const char *const lines[] = {
		"caisson_vm_a",
		"caisson_vm_a ",
		"caisson_vm_a x",
		"caisson_vm_a -1",
		"caisson_vm_a 1e9",
		"caisson_vm_a NaN",
		"caisson_vm_a 1.",
		"caisson_vm_a .5",
		"caisson_vm_a 1 2",
		"caisson_vm_a  1",
		" caisson_vm_a 1",
		"caisson_vm_a{ 1",
		"caisson_vm_a{} 1",
		"caisson_vm_a{x} 1",
		"caisson_vm_a{x=} 1",
		"caisson_vm_a{x=\"} 1",
		"caisson_vm_a{x=\"\\\"} 1",
		"caisson_vm_a{x=\"\\t\"} 1",
		"caisson_vm_a{x=\"1\",} 1",
		"caisson_vm_a{x=\"\"} 1",
		"caisson_vm_a{x=\"\t\"} 1",
		"caisson_vm_a{x=\"\xff\"} 1",
		"caisson_vm_a{x=\"1\"x=\"2\"} 1",
		"caisson_vm_a{x=\"1\",x=\"2\"} 1",
		"caisson_vm_a{9=\"1\"} 1",
		"caisson_vm-a 1",
		"caisson_vm_a 1\r",
		"caisson_vm_a{x=\"1\"}1",
		"caisson_vm_a{x=\"\\",
		"caisson_vm_a{x=\"1\"",
		"caisson_vm_a 000000000000000000000000000000001",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		AUTO_BUF struct buf line = { 0 };
		char *got;

		buf_printf(&line, "%s\n", lines[i]);
		got = merged(line.data, 1);
		if (*got)
			fail_msg("\"%s\" was taken: %s", lines[i], got);
		free(got);
	}
}

static void names_of_others_are_not_taken(void **state)
{
	assert_merged("caisson_container_info 1\n", 1, "");
	assert_merged("caisson_v 1\nother 1\n", 2, "");
	/* Labels that say whose it is are ours to give. */
	assert_merged("caisson_vm_a{id=\"c2\"} 1\n", 1, "");
}

static void the_same_sample_is_taken_once(void **state)
{
	assert_merged("caisson_vm_a 1\ncaisson_vm_a 2\ncaisson_vm_a{x=\"1\"} 3\n"
		      "caisson_vm_a{x=\"1\"} 4\n",
		      2,
		      "# HELP caisson_vm_a \n# TYPE caisson_vm_a untyped\n"
		      "caisson_vm_a{id=\"c1\"} 1\ncaisson_vm_a{id=\"c1\",x=\"1\"} 3\n");
}

static void labels_in_another_order_make_no_other_sample(void **state)
{
	assert_merged("caisson_vm_a{z=\"1\",b=\"2\",m=\"3\"} 1\n"
		      "caisson_vm_a{m=\"3\",z=\"1\",b=\"2\"} 2\n"
		      "caisson_vm_a{z=\"1\",b=\"2\",z=\"1\"} 3\n",
		      2,
		      "# HELP caisson_vm_a \n# TYPE caisson_vm_a untyped\n"
		      "caisson_vm_a{id=\"c1\",b=\"2\",m=\"3\",z=\"1\"} 1\n");
}

/* What was cut off somewhere may end with half a number. */
static void a_last_line_without_its_end_is_not_taken(void **state)
{
	assert_merged("caisson_vm_a 1\ncaisson_vm_b 12", 1,
		      "# HELP caisson_vm_a \n# TYPE caisson_vm_a untyped\n"
		      "caisson_vm_a{id=\"c1\"} 1\n");
}

/* A value that looks like a line of the same name. */
static void a_sample_inside_of_a_value_is_none(void **state)
{
	assert_merged("caisson_vm_a{x=\"caisson_vm_b{id=\"} 1\ncaisson_vm_b 2\n", 0,
		      "# HELP caisson_vm_a \n# TYPE caisson_vm_a untyped\n"
		      "caisson_vm_a{id=\"c1\",x=\"caisson_vm_b{id=\"} 1\n"
		      "# HELP caisson_vm_b \n# TYPE caisson_vm_b untyped\n"
		      "caisson_vm_b{id=\"c1\"} 2\n");
}

static void a_help_cannot_escape(void **state)
{
	assert_merged("# HELP caisson_vm_a back\\slash \x01\xff\n# TYPE caisson_vm_a gauge\n"
		      "caisson_vm_a 1\n",
		      0,
		      "# HELP caisson_vm_a back/slash ??\n# TYPE caisson_vm_a gauge\n"
		      "caisson_vm_a{id=\"c1\"} 1\n");
}

static void too_much_is_cut(void **state)
{
	AUTO_METRICS struct metrics *m = metrics_new();
	AUTO_BUF struct buf text = { 0 };

	for (unsigned int i = 0; i < MERGE_LINES_MAX + 10; i++)
		buf_printf(&text, "caisson_vm_a{x=\"%u\"} 1\n", i);
	assert_int_equal(metrics_merge(m, text.data, text.len, &options), 10);
	text.len = 0;
	for (unsigned int i = 0; i < MERGE_FAMILIES_MAX + 10; i++)
		buf_printf(&text, "caisson_vm_b%u 1\n", i);
	assert_int_equal(metrics_merge(m, text.data, text.len, &options), 10);
	text.len = 0;
	/* And others have room still. */
	assert_int_equal(metrics_merge(m, "caisson_vm_c 1\n", 15, &options), 0);
	assert_int_equal(metrics_print(m, &text), 0);
	assert_non_null(strstr(text.data, "\ncaisson_vm_c{id=\"c1\"} 1\n"));
}

static const struct merge_rule our_rules[] = {
	{ .from = "caisson_shim_", .to = "caisson_shim_", .own = true }, { 0 }
};
static const struct merge_options ours = { .rules = our_rules, .labels = "" };

/* Ours in both ways; and whether the whole can be printed. */
static void assert_room_for_our_own(struct metrics *m)
{
	static const struct metrics_kind kind = { "caisson_shim_a", METRICS_GAUGE, "A." };
	static const char more[] = "caisson_shim_b 3\n";
	AUTO_BUF struct buf out = { 0 };

	metrics_add(m, &kind, "", 2);
	assert_int_equal(metrics_merge(m, more, strlen(more), &ours), 0);
	assert_int_equal(metrics_print(m, &out), 0);
	assert_non_null(strstr(out.data, "\ncaisson_shim_a 2\n"));
	assert_non_null(strstr(out.data, "\ncaisson_shim_b 3\n"));
}

static void many_names_of_many_texts_leave_room_for_our_own(void **state)
{
	AUTO_METRICS struct metrics *m = metrics_new();

	for (unsigned int n = 0; n < METRICS_FAMILIES_MAX / MERGE_FAMILIES_MAX + 1; n++) {
		AUTO_BUF struct buf text = { 0 };

		for (unsigned int i = 0; i < MERGE_FAMILIES_MAX; i++)
			buf_printf(&text, "caisson_vm_n%u_%u 1\n", n, i);
		(void)merge(m, text.data);
	}
	assert_room_for_our_own(m);
}

/* And take no time that grows with what is there: minutes before. */
static void many_samples_of_many_texts_leave_room_for_our_own(void **state)
{
	AUTO_METRICS struct metrics *m = metrics_new();
	size_t refused = 0;

	(void)alarm(60);
	for (unsigned int n = 0; n < 200; n++) {
		AUTO_BUF struct buf text = { 0 };
		AUTO_BUF struct buf labels = { 0 };
		struct merge_options options_n = options;

		buf_printf(&labels, "id=\"%0100u\"", n);
		options_n.labels = labels.data;
		options_n.apart = true;
		for (unsigned int i = 0; i < MERGE_LINES_MAX; i++)
			buf_printf(&text, "caisson_vm_a{x=\"%u\"} 1\n", i);
		refused += metrics_merge(m, text.data, text.len, &options_n);
	}
	(void)alarm(0);
	assert_true(refused > 0);
	assert_room_for_our_own(m);
}

/* Of texts that may say the same, each sample is there once; within a text in any case. */
static void a_sample_of_another_text_is_seen_unless_they_are_apart(void **state)
{
	static const char text[] = "caisson_vm_a 1\ncaisson_vm_a 2\n";
	AUTO_METRICS struct metrics *m = metrics_new();
	struct merge_options apart = options;

	apart.apart = true;
	assert_int_equal(metrics_merge(m, text, strlen(text), &apart), 1);
	assert_int_equal(metrics_merge(m, text, strlen(text), &apart), 1);
	assert_int_equal(metrics_merge(m, text, strlen(text), &options), 2);
}

static void names_of_the_guest_are_told_by_the_rule(void **state)
{
	assert_merged(
		"guest_tasks 7\n\n# what\n# TYPE caisson_vm_cpus gauge\ncaisson_vm_cpus 0.25\n", 0,
		"# HELP caisson_vm_guest_tasks \n# TYPE caisson_vm_guest_tasks untyped\n"
		"caisson_vm_guest_tasks{id=\"c1\"} 7\n"
		"# HELP caisson_vm_cpus \n# TYPE caisson_vm_cpus gauge\n"
		"caisson_vm_cpus{id=\"c1\"} 0.25\n");
}

static void two_texts_become_one_family(void **state)
{
	static const struct merge_options second = { .rules = rules,
						     .labels = "id=\"c2\"",
						     .reserved = reserved };
	static const char text[] = "# HELP caisson_vm_a A.\n# TYPE caisson_vm_a counter\n"
				   "caisson_vm_a{x=\"\\\"\\\\\\n\"} 1\n";
	AUTO_METRICS struct metrics *m = metrics_new();
	AUTO_BUF struct buf out = { 0 };

	assert_int_equal(merge(m, text), 0);
	assert_int_equal(metrics_merge(m, text, strlen(text), &second), 0);
	assert_int_equal(metrics_print(m, &out), 0);
	assert_string_equal(out.data, "# HELP caisson_vm_a A.\n# TYPE caisson_vm_a counter\n"
				      "caisson_vm_a{id=\"c1\",x=\"\\\"\\\\\\n\"} 1\n"
				      "caisson_vm_a{id=\"c2\",x=\"\\\"\\\\\\n\"} 1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_lines_are_not_taken),
		cmocka_unit_test(names_of_others_are_not_taken),
		cmocka_unit_test(the_same_sample_is_taken_once),
		cmocka_unit_test(labels_in_another_order_make_no_other_sample),
		cmocka_unit_test(a_last_line_without_its_end_is_not_taken),
		cmocka_unit_test(many_names_of_many_texts_leave_room_for_our_own),
		cmocka_unit_test(many_samples_of_many_texts_leave_room_for_our_own),
		cmocka_unit_test(a_sample_of_another_text_is_seen_unless_they_are_apart),
		cmocka_unit_test(a_sample_inside_of_a_value_is_none),
		cmocka_unit_test(a_help_cannot_escape),
		cmocka_unit_test(too_much_is_cut),
		cmocka_unit_test(names_of_the_guest_are_told_by_the_rule),
		cmocka_unit_test(two_texts_become_one_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
