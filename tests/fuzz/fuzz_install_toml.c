/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_install_toml.c - what `caisson install` reads of TOML files: statements, and our
 * lines in them. Beyond "no crash": a refusal has a sentence, statements lie inside of the text and
 * go forward, and what was put into a text is cut out of it byte for byte.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "install/block.h"
#include "install/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static void check_refusal(int r, const struct err *err)
{
	require(r == -EBADMSG && err->code == r && strncmp(err->msg, "f:", 2) == 0);
}

static void check_value(const struct toml_cursor *c, const struct toml_statement *s)
{
	AUTO_STRV char **list = NULL;
	struct err err = { 0 };
	unsigned int number = 0;
	int r;

	r = toml_number(c, s, &number, &err);
	if (r < 0)
		check_refusal(r, &err);
	require(number <= 1000);
	r = toml_strings(c, s, &list, &err);
	if (r < 0)
		check_refusal(r, &err);
	require(r == 0 || !list);
}

static void check_statements(const char *text, size_t size)
{
	struct toml_statement s;
	struct toml_cursor c;
	struct err err = { 0 };
	const char *before;
	unsigned int line = 0;
	int r;

	toml_begin(&c, text, size, "f");
	for (before = c.text; (r = toml_next(&c, &s, &err)) == 1; before = c.text) {
		require(c.text > before && c.text <= text + size);
		require(s.line >= line && s.line <= c.line);
		require(s.key.len > 0 && s.key.len <= TOML_PARTS_MAX);
		line = s.line;
		if (s.kind != TOML_VALUE)
			continue;
		require(s.value >= before && s.value_len > 0 && s.value + s.value_len <= c.text);
		check_value(&c, &s);
	}
	if (r < 0)
		check_refusal(r, &err);
}

static void check_block(const char *text, size_t size)
{
	AUTO_BUF struct buf given = { 0 }, bare = { 0 }, with = { 0 }, again = { 0 };
	struct block block;
	struct err err = { 0 };
	int r;

	buf_append(&given, text, size);
	r = block_cut(&given, "f", &bare, &err);
	if (r < 0) {
		check_refusal(r, &err);
		return;
	}
	require(r == 1 || (bare.len == size && (!size || memcmp(bare.data, text, size) == 0)));
	require(block_put(&bare, "f", "x\n", false, &with, &err) == 0);
	require(block_find(with.data, with.len, "f", &block, &err) == 1 && block.intact);
	require(block_cut(&with, "f", &again, &err) == 1);
	require(again.len == bare.len && (!bare.len || !memcmp(again.data, bare.data, bare.len)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	if (size > TOML_FILE_MAX)
		return 0;
	check_statements(text, size);
	/* Files with a NUL are refused before (files_read()). */
	if (!size || !memchr(text, '\0', size))
		check_block(text, size);
	return 0;
}
