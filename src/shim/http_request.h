/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/http_request.h - the head of an HTTP/1.1 request, of what the management socket takes: GET
 * of a path, without a body (RFC 9112). Strict: lines end with CRLF, and what a lenient reader
 * might understand in another way is refused.
 */
#pragma once

#include <stddef.h>

#define HTTP_HEAD_MAX	 4096u /* bytes of a head with its empty line */
#define HTTP_LINE_MAX	 1024u /* of one line, without its end */
#define HTTP_HEADERS_MAX 32u
#define HTTP_PATH_MAX	 1100u /* with the NUL: more than a line has */

enum http_status {
	HTTP_UNFINISHED = 0, /* the head is not whole */
	HTTP_OK = 200,
	HTTP_BAD_REQUEST = 400,
	HTTP_NOT_FOUND = 404,
	HTTP_METHOD_NOT_ALLOWED = 405,
	HTTP_TIMEOUT = 408,
	HTTP_URI_TOO_LONG = 414,
	HTTP_HEADERS_TOO_LARGE = 431,
	HTTP_UNAVAILABLE = 503,
	HTTP_VERSION_NOT_SUPPORTED = 505,
};

/*
 * Judge what has come: HTTP_UNFINISHED, HTTP_OK, or what to answer. What comes behind a whole head,
 * or one that is refused, does not matter. `path` is what was asked for, without a query, as it was
 * written: nothing is decoded. It is written with HTTP_OK only.
 */
enum http_status http_read_head(const char *bytes, size_t len, char path[static HTTP_PATH_MAX]);

/* "Not Found" */
const char *http_reason(enum http_status status);
