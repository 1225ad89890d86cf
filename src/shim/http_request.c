/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/http_request.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

struct line {
	const char *at;
	size_t len;
};

struct head {
	unsigned int headers, hosts;
	bool host_needed;
};

const char *http_reason(enum http_status status)
{
	static const struct {
		enum http_status status;
		const char *reason;
	} reasons[] = {
		{ HTTP_OK, "OK" },
		{ HTTP_BAD_REQUEST, "Bad Request" },
		{ HTTP_NOT_FOUND, "Not Found" },
		{ HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed" },
		{ HTTP_TIMEOUT, "Request Timeout" },
		{ HTTP_URI_TOO_LONG, "URI Too Long" },
		{ HTTP_HEADERS_TOO_LARGE, "Request Header Fields Too Large" },
		{ HTTP_UNAVAILABLE, "Service Unavailable" },
		{ HTTP_VERSION_NOT_SUPPORTED, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Unknown";
}

/* RFC 9110, "Tokens" */
static bool is_token(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const char c = s[i];
		const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!letter && !(c >= '0' && c <= '9') && (!c || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return len > 0;
}

/* Visible characters; with blanks and tabs, and what is no ASCII, in a field's value. */
static bool is_text(const char *s, size_t len, bool value)
{
	for (size_t i = 0; i < len; i++) {
		const unsigned char c = (unsigned char)s[i];
		const bool more = c == ' ' || c == '\t' || c >= 0x80;

		if ((c <= ' ' || c >= 0x7f) && !(value && more))
			return false;
	}
	return true;
}

static bool is_word(const struct line *part, const char *word)
{
	return part->len == strlen(word) && strncasecmp(part->at, word, part->len) == 0;
}

/* The part before the first blank; the rest stays in *line. */
static bool cut(struct line *line, struct line *ret)
{
	const char *blank = memchr(line->at, ' ', line->len);

	if (!blank)
		return false;
	*ret = (struct line){ line->at, (size_t)(blank - line->at) };
	line->len -= ret->len + 1;
	line->at = blank + 1;
	return true;
}

static enum http_status read_version(const struct line *v, struct head *h)
{
	if (v->len != 8 || memcmp(v->at, "HTTP/", 5) != 0 || v->at[5] < '0' || v->at[5] > '9' ||
	    v->at[6] != '.' || v->at[7] < '0' || v->at[7] > '9')
		return HTTP_BAD_REQUEST;
	if (v->at[5] != '1')
		return HTTP_VERSION_NOT_SUPPORTED;
	h->host_needed = v->at[7] != '0';
	return HTTP_OK;
}

static enum http_status read_first(struct line line, struct head *h, struct line *ret_path)
{
	struct line method, target;
	const char *query;
	enum http_status status;

	if (!cut(&line, &method) || !is_token(method.at, method.len) || !cut(&line, &target) ||
	    !is_text(target.at, target.len, false))
		return HTTP_BAD_REQUEST;
	status = read_version(&line, h);
	if (status != HTTP_OK)
		return status;
	if (method.len != 3 || memcmp(method.at, "GET", 3) != 0)
		return HTTP_METHOD_NOT_ALLOWED;
	if (target.len == 0 || target.at[0] != '/')
		return HTTP_BAD_REQUEST;
	query = memchr(target.at, '?', target.len);
	if (query)
		target.len = (size_t)(query - target.at);
	*ret_path = target;
	return HTTP_OK;
}

static bool is_zero(const struct line *value)
{
	for (size_t i = 0; i < value->len; i++) {
		if (value->at[i] != '0')
			return false;
	}
	return value->len > 0;
}

static enum http_status read_header(const struct line *line, struct head *h)
{
	const char *colon = memchr(line->at, ':', line->len);
	struct line name, value;

	if (++h->headers > HTTP_HEADERS_MAX)
		return HTTP_HEADERS_TOO_LARGE;
	if (!colon)
		return HTTP_BAD_REQUEST;
	name = (struct line){ line->at, (size_t)(colon - line->at) };
	value = (struct line){ colon + 1, line->len - name.len - 1 };
	if (!is_token(name.at, name.len) || !is_text(value.at, value.len, true))
		return HTTP_BAD_REQUEST;
	while (value.len && (value.at[0] == ' ' || value.at[0] == '\t')) {
		value.at++;
		value.len--;
	}
	while (value.len && (value.at[value.len - 1] == ' ' || value.at[value.len - 1] == '\t'))
		value.len--;
	/* A body is for nothing here, and where it ends is what readers disagree about. */
	if (is_word(&name, "transfer-encoding") ||
	    (is_word(&name, "content-length") && !is_zero(&value)))
		return HTTP_BAD_REQUEST;
	if (is_word(&name, "host") && ++h->hosts > 1)
		return HTTP_BAD_REQUEST;
	return HTTP_OK;
}

/* The next line. HTTP_UNFINISHED: it has no end; `first`: it is the first. */
static enum http_status next_line(const char *bytes, size_t len, bool first, struct line *ret)
{
	const enum http_status long_line = first ? HTTP_URI_TOO_LONG : HTTP_HEADERS_TOO_LARGE;
	const char *newline = memchr(bytes, '\n', len);
	const size_t before = newline ? (size_t)(newline - bytes) : len;

	/* First: the same is said whether the rest has come or not. */
	if (before > HTTP_LINE_MAX + 1)
		return long_line;
	if (!newline)
		return HTTP_UNFINISHED;
	if (before == 0 || newline[-1] != '\r')
		return HTTP_BAD_REQUEST;
	*ret = (struct line){ bytes, before - 1 };
	return HTTP_OK;
}

enum http_status http_read_head(const char *bytes, size_t len, char path[static HTTP_PATH_MAX])
{
	const size_t seen = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
	struct head head = { 0 };
	struct line line, asked = { 0 };
	size_t at = 0;

	for (;;) {
		enum http_status status = next_line(bytes + at, seen - at, at == 0, &line);

		if (status == HTTP_UNFINISHED && len >= HTTP_HEAD_MAX)
			return HTTP_HEADERS_TOO_LARGE;
		if (status != HTTP_OK)
			return status;
		if (at > 0 && line.len == 0)
			break;
		status = at == 0 ? read_first(line, &head, &asked) : read_header(&line, &head);
		if (status != HTTP_OK)
			return status;
		at += line.len + 2;
	}
	if (head.host_needed && head.hosts == 0)
		return HTTP_BAD_REQUEST;
	memcpy(path, asked.at, asked.len);
	path[asked.len] = '\0';
	return HTTP_OK;
}
