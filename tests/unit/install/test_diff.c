/* SPDX-License-Identifier: Apache-2.0 */
/* Unified diffs, judged by patch(1)'s rules of the format: what is printed is compared whole. */
#include "lib/unit.h"

#include "install/diff.h"

static void shows(const char *before, const char *after, const char *expected)
{
	AUTO_BUF struct buf a = { 0 }, b = { 0 }, out = { 0 };

	buf_puts(&a, before);
	buf_puts(&b, after);
	diff_append("a", &a, "b", &b, &out);
	assert_string_equal(out.data ? out.data : "", expected);
}

static void the_same_text_has_none(void **state)
{
	shows("", "", "");
	shows("x\ny", "x\ny", "");
}

static void a_missing_newline_is_a_difference(void **state)
{
	shows("x", "x\n", "--- a\n+++ b\n@@ -1,1 +1,1 @@\n-x\n\\ No newline at end of file\n+x\n");
}

static void new_and_removed_texts(void **state)
{
	shows("", "x\ny\n", "--- a\n+++ b\n@@ -0,0 +1,2 @@\n+x\n+y\n");
	shows("x\n", "", "--- a\n+++ b\n@@ -1,1 +0,0 @@\n-x\n");
}

static void three_lines_around_a_change(void **state)
{
	shows("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nX\nY\n6\n7\n8\n9\n",
	      "--- a\n+++ b\n@@ -2,7 +2,8 @@\n 2\n 3\n 4\n-5\n+X\n+Y\n 6\n 7\n 8\n");
	/* Repeated lines belong to one side only. */
	shows("a\na\n", "a\na\na\n", "--- a\n+++ b\n@@ -1,2 +1,3 @@\n a\n a\n+a\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_text_has_none),
		cmocka_unit_test(a_missing_newline_is_a_difference),
		cmocka_unit_test(new_and_removed_texts),
		cmocka_unit_test(three_lines_around_a_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
