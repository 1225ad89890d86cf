/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_json_edit.c - edits of Docker's daemon.json. Beyond "no crash": a refusal has a
 * sentence; a member that was put in is there, and taken out again it leaves the document that was
 * there (byte for byte, but for an object that was empty).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "install/json_edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf text = { 0 };
	AUTO_JSON json_t *before = NULL, *after = NULL;
	AUTO_JSON json_t *value = json_pack("{s:s}", "path", "/p");
	struct err err = { 0 };
	bool made, was_empty;

	buf_append(&text, data, size);
	if (json_edit_read(&text, "f", &before, &err) < 0) {
		require(err.code < 0 && err.msg[0]);
		return 0;
	}
	made = !json_object_get(before, "runtimes");
	was_empty = json_object_size(made ? before : json_object_get(before, "runtimes")) == 0;
	if (json_edit_put(&text, "f", "runtimes", "caisson", value, &err) < 0) {
		require(err.code < 0 && strncmp(err.msg, "f: ", 3) == 0);
		return 0;
	}
	require(json_edit_read(&text, "f", &after, &err) == 0);
	require(json_equal(json_object_get(json_object_get(after, "runtimes"), "caisson"), value));
	require(json_edit_cut(&text, "f", "runtimes", "caisson", &err) == 0);
	if (made)
		require(json_edit_cut(&text, "f", NULL, "runtimes", &err) == 0);
	require(was_empty || (text.len == size && memcmp(text.data, data, size) == 0));
	return 0;
}
