/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads of HTTP requests. The same is said of a head that comes byte by byte, and a path is never
 * longer than what came, nor has it anything but visible characters.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "shim/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	char path[HTTP_PATH_MAX], other[HTTP_PATH_MAX];
	/* As much as a server reads. */
	const size_t len = size < HTTP_HEAD_MAX ? size : HTTP_HEAD_MAX;
	const enum http_status all = http_read_head(bytes, len, path);
	enum http_status status = HTTP_UNFINISHED;

	for (size_t n = 0; n <= len && status == HTTP_UNFINISHED; n++)
		status = http_read_head(bytes, n, other);
	assert(status == all);
	assert(len < HTTP_HEAD_MAX || all != HTTP_UNFINISHED);
	if (all != HTTP_OK)
		return 0;
	assert(strcmp(path, other) == 0 && path[0] == '/' && strlen(path) < len);
	for (const char *c = path; *c; c++)
		assert(*c > ' ' && *c <= '~' && *c != '?');
	return 0;
}
