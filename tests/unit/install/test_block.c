/* SPDX-License-Identifier: Apache-2.0 */
/* Our lines in a file of somebody else. */
#include "lib/unit.h"

#include <errno.h>

#include "install/block.h"

#define BODY "one\ntwo\n"

static void set(struct buf *b, const char *text)
{
	buf_done(b);
	assert_int_equal(buf_puts(b, text), 0);
}

static void refuses(const char *text, const char *says)
{
	struct block block;
	struct err err = { 0 };

	assert_int_equal(block_find(text, strlen(text), "f", &block, &err), -EBADMSG);
	assert_says(err, says);
}

static void comments_that_do_not_belong_together_are_refused(void **state)
{
	refuses("a\n# BEGIN caisson (part, sum 0)\nb\n",
		"f:2: lines of caisson install begin that do");
	refuses("a\n# END caisson\n", "f:2: lines of caisson install end that did not");
	refuses("# BEGIN caisson\n# BEGIN caisson\n# END caisson\n",
		"f:2: lines of caisson install begin twice");
	refuses("# BEGIN caisson\n# END caisson\n# BEGIN caisson\n# END caisson\n", "begin twice");
	refuses("# BEGIN caisson\n# END caisson\n# END caisson\n", "f:3:");
}

static void other_comments_are_nobody_s(void **state)
{
	static const char text[] = "# BEGIN caissons\n# END caisson-x\n  # END caisson\n";
	struct block block;

	assert_int_equal(block_find(text, strlen(text), "f", &block, NULL), 0);
	assert_int_equal(block_find(NULL, 0, "f", &block, NULL), 0);
}

/* Put into `text` and cut out again it is `text`. */
static void comes_back(const char *text, bool new_file, enum block_kind kind)
{
	AUTO_BUF struct buf before = { 0 }, with = { 0 }, after = { 0 };
	struct block block;

	set(&before, text);
	assert_int_equal(block_put(&before, "f", BODY, new_file, &with, NULL), 0);
	assert_int_equal(block_find(with.data, with.len, "f", &block, NULL), 1);
	assert_true(block.intact);
	assert_int_equal(block.kind, kind);
	assert_non_null(strstr(with.data, "\n" BODY "# END caisson\n"));
	assert_int_equal(block_cut(&with, "f", &after, NULL), 1);
	assert_int_equal(after.len, strlen(text));
	assert_string_equal(after.data ? after.data : "", text);
}

static void what_was_put_in_is_cut_out_byte_for_byte(void **state)
{
	comes_back("", true, BLOCK_FILE);
	comes_back("", false, BLOCK_PART);
	comes_back("a\n", false, BLOCK_PART);
	comes_back("a\nb", false, BLOCK_JOINED);
	comes_back("a\r\n\n\n", false, BLOCK_PART);
}

static void a_second_time_it_stays_in_its_place(void **state)
{
	AUTO_BUF struct buf before = { 0 }, once = { 0 }, twice = { 0 }, moved = { 0 };

	set(&before, "a");
	assert_int_equal(block_put(&before, "f", BODY, false, &once, NULL), 0);
	buf_puts(&once, "behind\n");
	assert_int_equal(block_put(&once, "f", BODY, false, &twice, NULL), 0);
	assert_string_equal(once.data, twice.data);
	assert_int_equal(block_put(&once, "f", "three\n", false, &moved, NULL), 0);
	assert_non_null(strstr(moved.data, "three\n# END caisson\nbehind\n"));
	assert_null(strstr(moved.data, "two"));
}

/* How many directories were made for a new file is known to whoever takes it away. */
static void a_new_file_knows_its_directories(void **state)
{
	AUTO_BUF struct buf empty = { 0 }, with = { 0 }, again = { 0 };
	struct block block;

	assert_int_equal(block_put(&empty, "f", BODY, 1 + 2, &with, NULL), 0);
	assert_int_equal(block_put(&with, "f", "three\n", 0, &again, NULL), 0);
	assert_int_equal(block_find(again.data, again.len, "f", &block, NULL), 1);
	assert_true(block.intact);
	assert_int_equal(block.kind, BLOCK_FILE);
	assert_int_equal(block.dirs, 2);
}

/* The newline that was added before the block is theirs as soon as there are lines behind it. */
static void lines_written_behind_stay_lines_of_their_own(void **state)
{
	AUTO_BUF struct buf before = { 0 }, with = { 0 }, after = { 0 };

	set(&before, "version = 2");
	assert_int_equal(block_put(&before, "f", BODY, false, &with, NULL), 0);
	buf_puts(&with, "[debug]\n");
	assert_int_equal(block_cut(&with, "f", &after, NULL), 1);
	assert_string_equal(after.data, "version = 2\n[debug]\n");
}

/* A change anywhere between the comments, and in the first of them. */
static void an_edit_is_seen(void **state)
{
	AUTO_BUF struct buf empty = { 0 }, with = { 0 };
	struct block block;
	char *c;

	assert_int_equal(block_put(&empty, "f", BODY, true, &with, NULL), 0);
	c = strstr(with.data, "two");
	*c = 'T';
	assert_int_equal(block_find(with.data, with.len, "f", &block, NULL), 1);
	assert_false(block.intact);
	*c = 't';
	assert_int_equal(block_find(with.data, with.len, "f", &block, NULL), 1);
	assert_true(block.intact);
	c = strstr(with.data, "sum ");
	*c = 'S';
	assert_int_equal(block_find(with.data, with.len, "f", &block, NULL), 1);
	assert_false(block.intact);
	/* Of an unknown kind no file is removed. */
	assert_int_equal(block.kind, BLOCK_PART);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comments_that_do_not_belong_together_are_refused),
		cmocka_unit_test(other_comments_are_nobody_s),
		cmocka_unit_test(what_was_put_in_is_cut_out_byte_for_byte),
		cmocka_unit_test(a_second_time_it_stays_in_its_place),
		cmocka_unit_test(a_new_file_knows_its_directories),
		cmocka_unit_test(lines_written_behind_stay_lines_of_their_own),
		cmocka_unit_test(an_edit_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
