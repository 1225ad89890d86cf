/* SPDX-License-Identifier: Apache-2.0 */
/* Members put into JSON text and taken out of it. */
#include "lib/unit.h"

#include <errno.h>

#include "install/json_edit.h"

static void set(struct buf *b, const char *text)
{
	buf_done(b);
	assert_int_equal(buf_puts(b, text), 0);
}

static int put(struct buf *text, const char *key, struct err *err)
{
	AUTO_JSON json_t *value = json_pack("{s:s}", "path", "/p");

	return json_edit_put(text, "f", "runtimes", key, value, err);
}

static void refuses(const char *text, int code, const char *says)
{
	AUTO_BUF struct buf b = { 0 };
	struct err err = { 0 };

	set(&b, text);
	assert_int_equal(put(&b, "k", &err), code);
	assert_says(err, says);
}

static void what_does_not_parse_is_not_edited(void **state)
{
	refuses("", -EINVAL, "f:");
	refuses("{\"a\": 1,}", -EINVAL, "f:");
	refuses("{\"a\": 1, \"a\": 2}", -EINVAL, "f:");
	refuses("[]", -EBADMSG, "not a JSON object");
	refuses("{\"runtimes\": []}", -EBADMSG, "\"runtimes\" is not an object");
	refuses("{\"runtimes\": {\"k\": 1}}", -EEXIST, "has \"k\" already");
	/* The same key in other letters: the text has it, its spelling is not known here. */
	refuses("{\"run\\u0074imes\": {}}", -EBADMSG, "cannot be edited here");
}

static void a_key_that_is_not_there_cannot_be_taken_out(void **state)
{
	AUTO_BUF struct buf b = { 0 };

	set(&b, "{\"runtimes\": {\"a\": 1}}");
	assert_int_equal(json_edit_cut(&b, "f", "runtimes", "k", NULL), -ENOENT);
	assert_int_equal(json_edit_cut(&b, "f", "others", "a", NULL), -ENOENT);
	assert_int_equal(json_edit_cut(&b, "f", NULL, "a", NULL), -ENOENT);
	assert_string_equal(b.data, "{\"runtimes\": {\"a\": 1}}");
}

static void new_members_look_like_their_neighbours(void **state)
{
	static const struct {
		const char *before, *after;
	} cases[] = {
		{ "{}", "{\n    \"runtimes\": {\n        \"k\": {\"path\": \"/p\"}\n    }\n}" },
		{ "{\"a\":[1,\"}\"]}\n",
		  "{\"a\":[1,\"}\"], \"runtimes\": {\"k\": {\"path\": \"/p\"}}}\n" },
		{ "{\n\t\"a\": \"\\\"\"\n}\n", "{\n\t\"a\": \"\\\"\",\n\t\"runtimes\": "
					       "{\n\t\t\"k\": {\"path\": \"/p\"}\n\t}\n}\n" },
		{ "{\n  \"runtimes\": {\n    \"x\": {}\n  },\n  \"z\": 1\n}",
		  "{\n  \"runtimes\": {\n    \"x\": {},\n    \"k\": {\"path\": \"/p\"}\n  },\n  "
		  "\"z\": 1\n}" },
		{ "{ \"runtimes\" : { } }", "{ \"runtimes\" : {\"k\": {\"path\": \"/p\"}} }" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_BUF struct buf b = { 0 };
		struct err err = { 0 };

		set(&b, cases[i].before);
		if (put(&b, "k", &err) < 0)
			fail_msg("%s: %s", cases[i].before, err.msg);
		assert_string_equal(b.data, cases[i].after);
	}
}

static void what_was_put_in_is_taken_out_byte_for_byte(void **state)
{
	static const char *const texts[] = {
		"{\"a\": 1}",
		"  {\n \"a\" : 1 ,\n \"b\":\t[ ]\n }\n\n",
		"{\r\n  \"x\": {\"runtimes\": {\"k\": 2}}\r\n}\r\n",
		"{\"runtimes\": {\"other\": {\"path\": \"/o\"}}, \"z\": null}",
		"{\"b\": true, \"runtimes\": {\n\"other\": 1\n}\n}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		AUTO_BUF struct buf b = { 0 };
		AUTO_JSON json_t *root = NULL;

		set(&b, texts[i]);
		assert_int_equal(put(&b, "k", NULL), 0);
		assert_int_equal(put(&b, "l", NULL), 0);
		assert_int_equal(json_edit_cut(&b, "f", "runtimes", "l", NULL), 0);
		assert_int_equal(json_edit_cut(&b, "f", "runtimes", "k", NULL), 0);
		assert_int_equal(json_edit_read(&b, "f", &root, NULL), 0);
		if (json_object_size(json_object_get(root, "runtimes")) == 0)
			assert_int_equal(json_edit_cut(&b, "f", NULL, "runtimes", NULL), 0);
		assert_string_equal(b.data, texts[i]);
	}
}

static void a_first_member_leaves_those_behind_it(void **state)
{
	AUTO_BUF struct buf b = { 0 };

	set(&b, "{\n  \"runtimes\": {\n    \"k\": {},\n    \"x\": 1\n  }\n}\n");
	assert_int_equal(json_edit_cut(&b, "f", "runtimes", "k", NULL), 0);
	assert_string_equal(b.data, "{\n  \"runtimes\": {\n    \"x\": 1\n  }\n}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_parse_is_not_edited),
		cmocka_unit_test(a_key_that_is_not_there_cannot_be_taken_out),
		cmocka_unit_test(new_members_look_like_their_neighbours),
		cmocka_unit_test(what_was_put_in_is_taken_out_byte_for_byte),
		cmocka_unit_test(a_first_member_leaves_those_behind_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
