/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"

static void bad_documents_are_named_with_line_and_column(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = { { "{\n  \"a\": }", "file:2:" },
		    { "", "file:1:" },
		    { "{\"a\":1,\"a\":2}", "duplicate" },
		    { "{} x", "file:1:" },
		    { "{\"a\\u0000\":1}", "file:1:" } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = { 0 };
		json_t *value = NULL;

		assert_int_equal(json_parse(bad[i].text, strlen(bad[i].text), "file", &value, &err),
				 -EINVAL);
		assert_null(value);
		assert_says(err, bad[i].says);
	}
}

static void nesting_has_an_end(void **state)
{
	char deep[20000];
	struct err err = { 0 };
	json_t *value = NULL;

	(void)state;
	memset(deep, '[', sizeof(deep));
	assert_int_equal(json_parse(deep, sizeof(deep), "deep", &value, &err), -EINVAL);
}

static void a_file_makes_the_round_trip(void **state)
{
	char path[] = "/tmp/test_json.XXXXXX";
	struct err err = { 0 };
	AUTO_JSON json_t *out = json_pack("{s:i}", "a", 1);
	AUTO_JSON json_t *in = NULL;
	int dir;

	(void)state;
	assert_non_null(mkdtemp(path));
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(json_read_file(dir, "f", 100, &in, &err), -ENOENT);
	assert_says(err, "open f: No such file");
	assert_int_equal(json_replace_file(dir, "f", out, JSON_COMPACT, &err), 0);
	assert_int_equal(json_read_file(dir, "f", 100, &in, &err), 0);
	assert_true(json_equal(in, out));
	assert_int_equal(json_read_file(dir, "f", 3, &in, &err), -E2BIG);
	assert_int_equal(unlinkat(dir, "f", 0), 0);
	(void)close(dir);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_documents_are_named_with_line_and_column),
		cmocka_unit_test(nesting_has_an_end),
		cmocka_unit_test(a_file_makes_the_round_trip),
	};

	return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
