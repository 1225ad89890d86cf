/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bad documents, made from data/full.json without knowing its fields: cut at every byte, each value
 * replaced by each other type, each removed, then deterministic mutations.
 */
#include "lib/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "document.h"
#include "oci/spec.h"

#define MUTATIONS 10000u /* documents; times CAISSON_SOAK */

static struct document *doc;

static int load(void **state)
{
	(void)state;
	doc = document_load("full.json");
	return 0;
}

static int unload(void **state)
{
	(void)state;
	document_free(doc);
	return 0;
}

/* 0 or the refusal; an accepted document is freed again. */
static int try_parse(const char *text, size_t len, struct err *err)
{
	struct oci_spec *spec = NULL;
	/* An exact heap copy, so that a sanitizer sees one byte too far. */
	char *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, text, len);
	*err = (struct err){ 0 };
	r = oci_spec_parse(copy, len, "full.json", &spec, err);
	free(copy);
	if (r < 0) {
		assert_int_equal(err->code, r);
		assert_true(err->msg[0] != '\0');
		assert_null(spec);
		return r;
	}
	assert_non_null(spec->version);
	assert_true(!spec->process.set || spec->process.cwd[0] == '/');
	oci_spec_free(spec);
	return 0;
}

static void every_truncation_is_refused(void **state)
{
	size_t end = doc->len;
	struct err err;

	(void)state;
	while (doc->text[end - 1] == '\n')
		end--;
	assert_int_equal(try_parse(doc->text, end, &err), 0);
	for (size_t len = 0; len < end; len++) {
		assert_int_equal(try_parse(doc->text, len, &err), -EINVAL);
		/* A syntax error: the file and a line. */
		assert_non_null(str_after(err.msg, "full.json:"));
	}
}

/* What stands below these is for other platforms and not read. */
static bool is_unread(const char *path)
{
	return str_after(path, "vm.") || str_after(path, "windows.") ||
	       str_after(path, "solaris.") || str_after(path, "zos.");
}

static void every_wrong_type_is_refused_with_path_and_line(void **state)
{
	static const struct {
		char kind;
		const char *text, *type;
	} values[] = {
		{ 't', "true", "boolean" },
		{ '0', "7", "integer" },
		{ '0', "18446744073709551615", "integer" },
		{ 'r', "1.5", "real number" },
		{ '"', "\"word\"", "string" },
		{ '[', "[ ]", "array" },
		{ '{', "{ }", "object" },
	};
	char want[512], type[64];
	unsigned int tried = 0;
	struct err err;

	(void)state;
	for (size_t i = 0; i < doc->nodes_len; i++) {
		const struct node *node = &doc->nodes[i];

		for (size_t j = 0; j < ARRAY_LEN(values); j++) {
			char *text;

			if (values[j].kind == node->kind || is_unread(node->path))
				continue;
			text = document_replace(doc, node, values[j].text);
			assert_int_equal(try_parse(text, strlen(text), &err), -EINVAL);
			(void)snprintf(want, sizeof(want), "full.json:%zu: %s%sexpected ",
				       node->line, node->path, node->path[0] ? ": " : "");
			(void)snprintf(type, sizeof(type), ", got %s", values[j].type);
			if (!str_after(err.msg, want) || !str_ends(err.msg, type))
				fail_msg("%s = %s: want \"%s...%s\", got \"%s\"", node->path,
					 values[j].text, want, type, err.msg);
			free(text);
			tried++;
		}
	}
	print_message("           %u replacements\n", tried);
	assert_true(tried > 1000);
}

/* null means absent: accepted, or refused as missing, or because another field needs it. */
static void null_reads_as_absent(void **state)
{
	struct err err;

	(void)state;
	for (size_t i = 1; i < doc->nodes_len; i++) {
		const struct node *node = &doc->nodes[i];
		/* Lists and maps of objects have no absent members. */
		const bool is_item =
			str_ends(node->path, "]") || strstr(node->path, "timeOffsets.") ||
			strstr(node->path, "netDevices.") || strstr(node->path, "rdma.");
		char *text = document_replace(doc, node, "null");
		const int r = try_parse(text, strlen(text), &err);

		free(text);
		if (r == 0)
			continue;
		if (!strstr(err.msg, "missing") && !strstr(err.msg, "needs") &&
		    !strstr(err.msg, "expected") && !strstr(err.msg, "must") &&
		    !strstr(err.msg, "only for") && !strstr(err.msg, "namespace"))
			fail_msg("%s = null: %s", node->path, err.msg);
		if (strstr(err.msg, "expected"))
			assert_true(is_item);
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

static size_t mutate(char *text, size_t len, size_t room, uint64_t *seed)
{
	static const char *const pieces[] = { "\"",
					      "\\u0000",
					      "\\ud800",
					      "[",
					      "]",
					      "{",
					      "}",
					      ",",
					      ":",
					      "null",
					      "-",
					      "1e999",
					      "18446744073709551616",
					      "-9223372036854775809",
					      "\xff",
					      "\xc3\xa9",
					      "\n",
					      "\"linux\":{}",
					      "0.0",
					      "00" };
	const size_t at = next_random(seed) % len;
	const size_t n = next_random(seed) % 9;
	const char *piece = pieces[next_random(seed) % ARRAY_LEN(pieces)];
	const size_t from = next_random(seed) % len;

	switch (next_random(seed) % 5) {
	case 0: /* one bit */
		text[at] ^= (char)(1u << (next_random(seed) % 8));
		return len;
	case 1: /* cut some bytes out */
		if (at + n >= len)
			return len;
		memmove(text + at, text + at + n, len - at - n);
		return len - n;
	case 2: /* a piece of JSON somewhere */
		if (len + strlen(piece) > room)
			return len;
		memmove(text + at + strlen(piece), text + at, len - at);
		memcpy(text + at, piece, strlen(piece));
		return len + strlen(piece);
	case 3: /* bytes copied from elsewhere */
		if (at + n < len && from + n < len)
			memmove(text + at, text + from, n);
		return len;
	default: /* a digit changed */
		for (size_t i = at; i < len; i++) {
			if (text[i] >= '0' && text[i] <= '9') {
				text[i] = (char)('0' + next_random(seed) % 10);
				break;
			}
		}
		return len;
	}
}

static void mutated_documents_are_judged_without_harm(void **state)
{
	const char *soak = getenv("CAISSON_SOAK");
	const unsigned long rounds = MUTATIONS * (soak && atol(soak) > 1 ? atol(soak) : 1);
	uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
	unsigned long accepted = 0;
	static char text[32768];
	struct err err;

	(void)state;
	assert_true(doc->len < sizeof(text));
	for (unsigned long i = 0; i < rounds; i++) {
		size_t len = doc->len;

		memcpy(text, doc->text, len);
		for (uint64_t n = next_random(&seed) % 4 + 1; n > 0; n--)
			len = mutate(text, len, sizeof(text), &seed);
		accepted += try_parse(text, len, &err) == 0;
	}
	print_message("           %lu documents, %lu still valid\n", rounds, accepted);
	assert_true(accepted > 0 && accepted < rounds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(every_wrong_type_is_refused_with_path_and_line),
		cmocka_unit_test(null_reads_as_absent),
		cmocka_unit_test(mutated_documents_are_judged_without_harm),
	};

	return cmocka_run_group_tests_name("oci/spec types", tests, load, unload);
}
