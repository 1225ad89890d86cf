/* SPDX-License-Identifier: Apache-2.0 */
/* The statements of a TOML file. */
#include "lib/unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "install/toml.h"

/* All statements as "KIND:LINE:part|part=VALUE ", or the error. */
static int walk(const char *text, char *out, size_t size, struct err *err)
{
	struct toml_statement s;
	struct toml_cursor c;
	size_t len = 0;
	int r;

	*out = '\0';
	toml_begin(&c, text, strlen(text), "f");
	while ((r = toml_next(&c, &s, err)) == 1) {
		len += (size_t)snprintf(out + len, size - len, "%c:%u:", "tav"[s.kind], s.line);
		for (size_t i = 0; i < s.key.len; i++)
			len += (size_t)snprintf(out + len, size - len, "%s%s", i ? "|" : "",
						s.key.part[i]);
		if (s.kind == TOML_VALUE)
			len += (size_t)snprintf(out + len, size - len, "=%.*s", (int)s.value_len,
						s.value);
		len += (size_t)snprintf(out + len, size - len, ";");
	}
	return r;
}

static void refuses(const char *text, const char *says)
{
	struct err err = { 0 };
	char out[512];

	if (walk(text, out, sizeof(out), &err) != -EBADMSG)
		fail_msg("not refused: %s", text);
	assert_says(err, says);
}

static void reads(const char *text, const char *expected)
{
	struct err err = { 0 };
	char out[512];

	if (walk(text, out, sizeof(out), &err) != 0)
		fail_msg("%s: %s", text, err.msg);
	assert_string_equal(out, expected);
}

static void what_is_not_known_for_certain_is_refused_with_its_line(void **state)
{
	refuses("a = 1\nb = \"\"\"x\n\"\"\"\n", "f:2: a string over several lines");
	refuses("b = '''x'''", "f:1: a string over several lines");
	refuses("b = \"x\ny\"", "f:1: a string does not end");
	refuses("b = \"x\\", "f:1: a string does not end");
	refuses("b = [1,\n 2", "f:1: a value does not end");
	refuses("b = 1]", "f:1: a bracket closes");
	refuses("\n\nb =\n", "f:3: a key without a value");
	refuses("b", "f:1: a key without a value");
	refuses("= 3", "f:1: no key");
	refuses("[a", "f:1: the name of a table does not end");
	refuses("[[a]", "f:1: the name of a table does not end");
	refuses("[]", "f:1: no key");
	refuses("[a] b = 1", "f:1: more than one statement");
	refuses("\"a\\u0062\" = 1", "f:1: a key with escaped");
	refuses("{{ template \"base\" . }}", "f:1: no key");
	refuses("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q = 1", "f:1: a key has too many parts");
	refuses("a = 1\rb = 2", "f:1:");
}

static void limits_hold(void **state)
{
	char text[512];

	memset(text, 'k', TOML_PART_MAX);
	strcpy(text + TOML_PART_MAX, " = 1");
	refuses(text, "a key is too long");
	strcpy(text, "a = ");
	memset(text + 4, '[', TOML_DEPTH_MAX + 1);
	text[4 + TOML_DEPTH_MAX + 1] = '\0';
	refuses(text, "nested too deep");
}

static void statements_are_told_apart(void **state)
{
	reads("", "");
	reads("# only\n\n   # comments", "");
	reads("a = 1 # x\r\n[t.\"a.b\".'c\"d'] # y\n  e . f = \"#]\" \n[[l]]",
	      "v:1:a=1;t:2:t|a.b|c\"d;v:3:e|f=\"#]\";a:4:l;");
	reads("a = [\n  'x', # ]\n  \"y\\\"]\",\n]\nb = {c = [1], d = \"}\"}\n",
	      "v:1:a=[\n  'x', # ]\n  \"y\\\"]\",\n];v:5:b={c = [1], d = \"}\"};");
	reads("\"\" = 1", "v:1:=1;");
}

static int first(const char *text, struct toml_cursor *c, struct toml_statement *s)
{
	toml_begin(c, text, strlen(text), "f");
	return toml_next(c, s, NULL);
}

static void numbers_are_read_strictly(void **state)
{
	static const char *const wrong[] = { "v = \"2\"", "v = 2.0",	 "v = +2",
					     "v = 0x2",	  "v = 9999999", "v = [2]" };
	struct toml_statement s;
	struct toml_cursor c;
	unsigned int n = 7;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(first(wrong[i], &c, &s), 1);
		assert_int_equal(toml_number(&c, &s, &n, NULL), -EBADMSG);
	}
	assert_int_equal(n, 7);
	assert_int_equal(first("v = 2 # two", &c, &s), 1);
	assert_int_equal(toml_number(&c, &s, &n, NULL), 0);
	assert_int_equal(n, 2);
}

static void arrays_of_strings_are_read_strictly(void **state)
{
	static const char *const wrong[] = { "v = \"a\"",      "v = [1]",     "v = [\"a\" \"b\"]",
					     "v = [\"a\\n\"]", "v = [['a']]", "v = ['a'] x" };
	struct toml_statement s;
	struct toml_cursor c;
	AUTO_STRV char **list = NULL;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(first(wrong[i], &c, &s), 1);
		assert_int_equal(toml_strings(&c, &s, &list, NULL), -EBADMSG);
		assert_null(list);
	}
	assert_int_equal(first("v = []", &c, &s), 1);
	assert_int_equal(toml_strings(&c, &s, &list, NULL), 0);
	assert_int_equal(strv_len(list), 0);
	assert_int_equal(first("v = [ \"a\", # no\n 'b\\c',\n]", &c, &s), 1);
	assert_int_equal(toml_strings(&c, &s, &list, NULL), 0);
	assert_int_equal(strv_len(list), 2);
	assert_string_equal(list[0], "a");
	assert_string_equal(list[1], "b\\c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_known_for_certain_is_refused_with_its_line),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(statements_are_told_apart),
		cmocka_unit_test(numbers_are_read_strictly),
		cmocka_unit_test(arrays_of_strings_are_read_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
