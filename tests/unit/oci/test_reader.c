/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader: values, grammar, lines; and that it agrees with jansson about what is JSON. */
#include "lib/unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "document.h"
#include "oci/doc.h"
#include "oci/spec.h"

struct parsed {
	struct oci_arena *arena;
	struct oci_doc doc;
};

static int parse(const char *text, size_t len, struct parsed *p, struct err *err)
{
	*p = (struct parsed){ .arena = oci_arena_new(),
			      .doc = { .name = "f", .text = text, .len = len } };
	assert_non_null(p->arena);
	*err = (struct err){ 0 };
	return oci_doc_parse(&p->doc, p->arena, err);
}

static int parse_text(const char *text, struct parsed *p, struct err *err)
{
	return parse(text, strlen(text), p, err);
}

static void integers_of_64_bits_keep_every_digit(void **state)
{
	static const struct {
		const char *text;
		bool negative, too_big;
		uint64_t magnitude;
	} cases[] = {
		{ "0", false, false, 0 },
		{ "-0", true, false, 0 },
		{ "-7", true, false, 7 },
		{ "9223372036854775807", false, false, INT64_MAX },
		{ "-9223372036854775808", true, false, UINT64_C(1) << 63 },
		{ "9223372036854775808", false, false, UINT64_C(1) << 63 },
		{ "18446744073709551615", false, false, UINT64_MAX },
		{ "18446744073709551616", false, true, UINT64_MAX },
		{ "-9223372036854775809", true, false, (UINT64_C(1) << 63) + 1 },
		{ "99999999999999999999999999", false, true, UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct oci_value *v;
		struct parsed p;
		struct err err;

		assert_int_equal(parse_text(cases[i].text, &p, &err), 0);
		v = p.doc.root;
		assert_int_equal(v->type, OCI_INTEGER);
		assert_int_equal(v->integer.negative, cases[i].negative);
		assert_int_equal(v->integer.too_big, cases[i].too_big);
		assert_true(v->integer.magnitude == cases[i].magnitude);
		oci_arena_free(p.arena);
	}
}

static void strings_are_decoded(void **state)
{
	static const struct {
		const char *text, *bytes;
	} cases[] = {
		{ "\"\"", "" },
		{ "\"a b\"", "a b" },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
		{ "\"\\u0041\\u00e9\\u20AC\"", "A\u00e9\u20ac" },
		{ "\"\\uD83D\\uDE00\"", "\U0001F600" },
		{ "\"\u00e9\u20ac\U0001F600\x7f\"", "\u00e9\u20ac\U0001F600\x7f" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct parsed p;
		struct err err;

		assert_int_equal(parse_text(cases[i].text, &p, &err), 0);
		assert_int_equal(p.doc.root->type, OCI_TEXT);
		assert_string_equal(p.doc.root->text.bytes, cases[i].bytes);
		assert_int_equal(p.doc.root->text.len, strlen(cases[i].bytes));
		oci_arena_free(p.arena);
	}
}

static void lists_keep_their_order(void **state)
{
	const struct oci_value *v;
	struct parsed p;
	struct err err;

	(void)state;
	assert_int_equal(parse_text(" {\"b\": [true, null, 1.5, {}] , \"a\":false} ", &p, &err), 0);
	assert_int_equal(p.doc.root->type, OCI_MEMBERS);
	assert_int_equal(p.doc.root->list.len, 2);
	v = p.doc.root->list.first;
	assert_string_equal(v->key, "b");
	assert_string_equal(v->next->key, "a");
	assert_null(v->next->next);
	assert_int_equal(v->list.len, 4);
	v = v->list.first;
	assert_true(v->type == OCI_BOOLEAN && v->boolean);
	assert_int_equal(v->next->type, OCI_NULL);
	assert_int_equal(v->next->next->type, OCI_REAL);
	assert_int_equal(v->next->next->next->type, OCI_MEMBERS);
	oci_arena_free(p.arena);
}

static void refusals_name_line_and_column(void **state)
{
	static const struct {
		const char *text, *refusal;
	} cases[] = {
		{ "", "f:1:1: unexpected end of the document" },
		{ "{\n \"a\": 1,\n}", "f:3:1: expected a key in quotes" },
		{ "[1\n 2]", "f:2:2: expected a comma or ]" },
		{ "{\"a\" 1}", "f:1:6: expected a colon" },
		{ "{\"a\":1 \"b\":2}", "f:1:8: expected a comma or }" },
		{ "[1,]", "f:1:4: expected a value" },
		{ "[01]", "f:1:3: not a number" },
		{ "[-]", "f:1:3: not a number" },
		{ "[1.]", "f:1:4: not a number" },
		{ "[1e+]", "f:1:5: not a number" },
		{ "[+1]", "f:1:2: expected a value" },
		{ "[tru]", "f:1:2: expected a value" },
		{ "[1] 2", "f:1:5: text after the end" },
		{ "[\"a\nb\"]", "f:1:4: a control character" },
		{ "[\"\\x\"]", "f:1:4: unknown escape" },
		{ "[\"\\u12\"]", "f:1:5: expected four hexadecimal digits" },
		{ "[\"\\u0000\"]", "\\u0000 is not allowed" },
		{ "[\"\\ud800\"]", "a surrogate without its pair" },
		{ "[\"\\udc00\"]", "a surrogate without its pair" },
		{ "[\"\\ud800\\u0041\"]", "a surrogate without its pair" },
		{ "[\"\x80\"]", "f:1:3: not UTF-8" },
		{ "[\"\xc0\xaf\"]", "not UTF-8" },
		{ "[\"\xed\xa0\x80\"]", "not UTF-8" },
		{ "[\"\xf4\x90\x80\x80\"]", "not UTF-8" },
		{ "[\"\xe2\x82\"]", "not UTF-8" },
		{ "[\"\\", "unexpected end" },
		{ "\xef\xbb\xbf[]", "f:1:1: expected a value" },
		{ "{\n\"a\":1,\"b\":2,\"a\":3}", "f:1: duplicate key \"a\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct parsed p;
		struct err err;

		if (parse_text(cases[i].text, &p, &err) != -EINVAL)
			fail_msg("accepted: %s", cases[i].text);
		if (!strstr(err.msg, cases[i].refusal))
			fail_msg("%s: want \"%s\", got \"%s\"", cases[i].text, cases[i].refusal,
				 err.msg);
		assert_null(p.doc.root);
		oci_arena_free(p.arena);
	}
}

/* Goal: a NUL byte in the text is no end of it. */
static void nul_bytes_are_refused(void **state)
{
	static const char texts[][8] = { "[1]\0", "[\"\0\"]", "\0[]" };
	static const size_t lens[] = { 4, 5, 3 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct parsed p;
		struct err err;

		assert_int_equal(parse(texts[i], lens[i], &p, &err), -EINVAL);
		oci_arena_free(p.arena);
	}
}

static void duplicates_are_found_in_large_objects(void **state)
{
	char text[4096], *at;
	struct parsed p;
	struct err err;

	(void)state;
	for (int twice = 0; twice < 2; twice++) {
		at = text + sprintf(text, "{");
		for (int i = 0; i < 200; i++)
			at += sprintf(at, "\"k%d\":%d,", i * 7919 % 200, i);
		(void)sprintf(at, "\"%s\":0}", twice ? "k77" : "k200");
		assert_int_equal(parse_text(text, &p, &err), twice ? -EINVAL : 0);
		if (twice)
			assert_non_null(strstr(err.msg, "duplicate key \"k77\""));
		oci_arena_free(p.arena);
	}
}

static void limits_hold(void **state)
{
	const size_t deep = OCI_DEPTH_MAX, many = OCI_VALUES_MAX;
	char *text = malloc(2 * many + 16);
	struct parsed p;
	struct err err;

	(void)state;
	assert_non_null(text);
	memset(text, '[', deep + 1);
	memset(text + deep + 1, ']', deep + 1);
	assert_int_equal(parse(text, 2 * deep + 2, &p, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "nested too deep"));
	oci_arena_free(p.arena);
	assert_int_equal(parse(text + 1, 2 * deep, &p, &err), 0);
	oci_arena_free(p.arena);

	text[0] = '[';
	for (size_t i = 0; i < many; i++)
		memcpy(text + 1 + 2 * i, "0,", 2);
	text[2 * many] = ']';
	assert_int_equal(parse(text, 2 * many + 1, &p, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "too many values"));
	oci_arena_free(p.arena);

	assert_int_equal(parse("", OCI_CONFIG_MAX + 1, &p, &err), -E2BIG);
	oci_arena_free(p.arena);
	free(text);
}

static void lines_follow_the_path(void **state)
{
	static const char text[] = "\n{ \"a\":\n [ 1,\n {\"b\": \"x]}\\\"\",\n\"c\"\n:\n3} ],\n"
				   "\"\\u0064\": 1 }";
	const struct oci_path a = { .key = "a" }, first = { .up = &a, .index = 0 },
			      second = { .up = &a, .index = 1 }, third = { .up = &a, .index = 2 },
			      b = { .up = &second, .key = "b" }, c = { .up = &second, .key = "c" },
			      none = { .up = &second, .key = "none" }, escaped = { .key = "d" };
	struct parsed p;
	struct err err;

	(void)state;
	assert_int_equal(parse_text(text, &p, &err), 0);
	assert_int_equal(oci_doc_line(&p.doc, NULL), 2);
	assert_int_equal(oci_doc_line(&p.doc, &a), 3);
	assert_int_equal(oci_doc_line(&p.doc, &first), 3);
	assert_int_equal(oci_doc_line(&p.doc, &second), 4);
	assert_int_equal(oci_doc_line(&p.doc, &b), 4);
	assert_int_equal(oci_doc_line(&p.doc, &c), 7);
	assert_int_equal(oci_doc_line(&p.doc, &escaped), 8);
	/* What is not there has the line of its parent. */
	assert_int_equal(oci_doc_line(&p.doc, &third), 3);
	assert_int_equal(oci_doc_line(&p.doc, &none), 4);
	oci_arena_free(p.arena);
}

static void long_paths_are_cut_as_utf8(void **state)
{
	const struct oci_doc doc = { .name = "f", .text = "{}", .len = 2 };
	struct err err = { 0 };
	char key[600];
	const struct oci_path path = { .key = key };

	(void)state;
	for (size_t shift = 0; shift < 3; shift++) {
		json_t *text;

		memset(key, 'x', sizeof(key));
		for (size_t i = shift; i + 3 < sizeof(key); i += 3)
			(void)strcpy(key + i, "\u20ac");
		assert_int_equal(oci_doc_refuse(&doc, &path, &err, -EINVAL, "bad"), -EINVAL);
		text = json_string(err.msg);
		assert_non_null(text); /* jansson takes UTF-8 only */
		json_decref(text);
	}
}

/* xorshift64: the same documents on every machine. */
static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/*
 * Goal: jansson is the oracle. Mutated documents are accepted by both or by none, but for numbers
 * that jansson cannot hold.
 */
static void reader_and_jansson_agree(void **state)
{
	static const char small[] = "{\"a\": [1, -2.5e3, true, null, \"\\u20ac\\n\"], \"b\": {}}";
	static const char bytes[] = "{}[]\",:\\u0019eE+-. \n\ttfn\x80\xe2\x82\xac\xff\x01/d8c";
	const char *soak = getenv("CAISSON_SOAK");
	const unsigned long rounds = 100000ul * (soak && atol(soak) > 1 ? atol(soak) : 1);
	uint64_t seed = UINT64_C(0x2545f4914f6cdd1d);
	unsigned long accepted = 0;
	char text[sizeof(small)];

	(void)state;
	for (unsigned long i = 0; i < rounds; i++) {
		json_error_t problem;
		struct parsed p;
		struct err err;
		json_t *tree;
		size_t len = sizeof(small) - 1;
		int r;

		memcpy(text, small, sizeof(small));
		for (uint64_t n = next_random(&seed) % 3 + 1; n > 0; n--)
			text[next_random(&seed) % len] =
				bytes[next_random(&seed) % (sizeof(bytes) - 1)];
		if (next_random(&seed) % 8 == 0)
			len = next_random(&seed) % len;
		tree = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
		r = parse(text, len, &p, &err);
		if ((tree != NULL) != (r == 0) &&
		    !(!tree && json_error_code(&problem) == json_error_numeric_overflow))
			fail_msg("%.*s: jansson: %s, reader: %s", (int)len, text,
				 tree ? "good" : problem.text, r == 0 ? "good" : err.msg);
		accepted += r == 0;
		json_decref(tree);
		oci_arena_free(p.arena);
	}
	print_message("           %lu documents, %lu of them JSON\n", rounds, accepted);
	assert_true(accepted > rounds / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_of_64_bits_keep_every_digit),
		cmocka_unit_test(strings_are_decoded),
		cmocka_unit_test(lists_keep_their_order),
		cmocka_unit_test(refusals_name_line_and_column),
		cmocka_unit_test(nul_bytes_are_refused),
		cmocka_unit_test(duplicates_are_found_in_large_objects),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(lines_follow_the_path),
		cmocka_unit_test(long_paths_are_cut_as_utf8),
		cmocka_unit_test(reader_and_jansson_agree),
	};

	return cmocka_run_group_tests_name("oci/reader", tests, NULL, NULL);
}
