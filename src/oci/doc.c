/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/doc.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

#define LIFT_DIGITS    18	 /* a literal of at most this many bytes fits jansson's integer */
#define LIFT_MARK      "\\u0000" /* as JSON text; one NUL byte once parsed */
#define PATH_TEXT_MAX  256	 /* bytes of a path in a message */
#define PATH_STEPS_MAX 32	 /* the specification nests eight deep */

/* ---- lifting -------------------------------------------------------------------------------- */

static bool number_byte(char c)
{
	return isdigit((unsigned char)c) || c == '+' || c == '-' || c == '.' || c == 'e' ||
	       c == 'E';
}

static size_t number_len(const char *at, const char *end)
{
	size_t n = 0;

	while (at + n < end && number_byte(at[n]))
		n++;
	return n;
}

/* From the opening quote: the bytes up to and with the closing one (or up to the end). */
static size_t string_len(const char *at, const char *end)
{
	const char *p = at + 1;

	while (p < end && *p != '"')
		p += *p == '\\' && p + 1 < end ? 2 : 1;
	return (size_t)(p < end ? p + 1 - at : end - at);
}

/* JSON's own grammar for numbers, so that lifting never makes a bad document good. */
static bool number_is_json(const char *at, size_t len)
{
	const char *const end = at + len;
	const char *digits;

	at += at < end && *at == '-';
	digits = at;
	while (at < end && isdigit((unsigned char)*at))
		at++;
	if (at == digits || (*digits == '0' && at - digits > 1))
		return false;
	if (at < end && *at == '.') {
		for (digits = ++at; at < end && isdigit((unsigned char)*at);)
			at++;
		if (at == digits)
			return false;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		at++;
		at += at < end && (*at == '+' || *at == '-');
		for (digits = at; at < end && isdigit((unsigned char)*at);)
			at++;
		if (at == digits)
			return false;
	}
	return at == end;
}

/*
 * Copy doc->text to `out` with the numbers that jansson may refuse lifted. Returns how many; 0 also
 * when a string of the document contains the mark, in which case nothing may be lifted.
 */
static size_t lift_numbers(const struct oci_doc *doc, struct buf *out)
{
	const char *p = doc->text, *const end = doc->text + doc->len;
	size_t lifted = 0, n;

	for (; p < end; p += n) {
		if (*p == '"') {
			n = string_len(p, end);
			if (memmem(p, n, LIFT_MARK, strlen(LIFT_MARK)))
				return 0;
		} else if (number_byte(*p) && !isalpha((unsigned char)*p)) {
			n = number_len(p, end);
			if (n > LIFT_DIGITS ? number_is_json(p, n)
					    : memchr(p, 'e', n) || memchr(p, 'E', n)) {
				if (!number_is_json(p, n))
					return 0;
				(void)buf_printf(out, "\"" LIFT_MARK "%.*s\"", (int)n, p);
				lifted++;
				continue;
			}
		} else {
			n = 1;
		}
		(void)buf_append(out, p, n);
	}
	return lifted;
}

int oci_doc_parse(const struct oci_doc *doc, json_t **ret, struct err *err)
{
	AUTO_BUF struct buf lifted = { 0 };
	struct err first = { 0 };
	json_error_t problem;
	json_t *tree;
	int r = json_parse(doc->text, doc->len, doc->name, ret, &first);

	if (r == 0)
		return 0;
	if (r == -EINVAL && lift_numbers(doc, &lifted) > 0) {
		if (buf_error(&lifted))
			return err_sys(err, buf_error(&lifted), "read %s", doc->name);
		tree = json_loadb(lifted.data, lifted.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
				  &problem);
		if (tree) {
			*ret = tree;
			return 0;
		}
		/* The column is that of the copy, so it is left out; lines are the same. */
		r = json_error_code(&problem) == json_error_out_of_memory ? -ENOMEM : -EINVAL;
		return err_set(err, r, "%s:%d: %s", doc->name, problem.line, problem.text);
	}
	return err_set(err, r, "%s", first.msg);
}

/* ---- values --------------------------------------------------------------------------------- */

/* The digits of a lifted number, or NULL. */
static const char *lifted_text(const json_t *value)
{
	if (!json_is_string(value) || json_string_length(value) == 0 ||
	    json_string_value(value)[0] != '\0')
		return NULL;
	return json_string_value(value) + 1;
}

static bool text_is_integer(const char *text)
{
	return !strpbrk(text, ".eE");
}

const char *oci_json_type(const json_t *value)
{
	const char *lifted = lifted_text(value);

	if (lifted)
		return text_is_integer(lifted) ? "integer" : "real number";
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "object";
	case JSON_ARRAY:
		return "array";
	case JSON_STRING:
		return "string";
	case JSON_INTEGER:
		return "integer";
	case JSON_REAL:
		return "real number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "boolean";
	case JSON_NULL:
		break;
	}
	return "null";
}

const char *oci_json_string(const json_t *value)
{
	return lifted_text(value) ? NULL : json_string_value(value);
}

bool oci_json_integer(const json_t *value, bool *ret_negative, uint64_t *ret_magnitude,
		      bool *ret_too_big)
{
	const char *text = lifted_text(value);
	uint64_t magnitude = UINT64_MAX;

	if (json_is_integer(value)) {
		const json_int_t n = json_integer_value(value);

		*ret_negative = n < 0;
		*ret_magnitude = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
		*ret_too_big = false;
		return true;
	}
	if (!text || !text_is_integer(text))
		return false;
	*ret_negative = *text == '-';
	*ret_too_big = str_to_u64(text + (*text == '-'), UINT64_MAX, &magnitude) < 0;
	*ret_magnitude = magnitude;
	return true;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static const char *skip_blank(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

/* Past one value. The text has been parsed before, so brackets are known to match. */
static const char *skip_value(const char *p, const char *end)
{
	size_t depth = 0;

	do {
		p = skip_blank(p, end);
		if (p == end)
			break;
		if (*p == '"') {
			p += string_len(p, end);
		} else if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if (*p == '}' || *p == ']') {
			depth--;
			p++;
		} else if (*p == ',' || *p == ':') {
			p++;
		} else {
			while (p < end && !strchr(" \t\r\n,:]}", *p))
				p++;
		}
	} while (depth > 0 && p < end);
	return p;
}

/* From a value to the child that `step` names; NULL if it is not there. Keys are compared as
 * written. */
static const char *find_child(const char *p, const char *end, const struct oci_path *step)
{
	const size_t key_len = step->key ? strlen(step->key) : 0;
	bool found;

	p = skip_blank(p, end);
	if (p == end || *p != (step->key ? '{' : '['))
		return NULL;
	p = skip_blank(p + 1, end);
	for (size_t i = 0; p < end && *p != '}' && *p != ']'; i++) {
		found = i == step->index;
		if (step->key) {
			const size_t n = string_len(p, end);

			found = n == key_len + 2 && memcmp(p + 1, step->key, key_len) == 0;
			p = skip_blank(p + n, end);
			p = skip_blank(p < end ? p + 1 : p, end); /* the colon */
		}
		if (found)
			return p;
		p = skip_blank(skip_value(p, end), end);
		p = skip_blank(p < end && *p == ',' ? p + 1 : p, end);
	}
	return NULL;
}

size_t oci_doc_line(const struct oci_doc *doc, const struct oci_path *at)
{
	const char *const end = doc->text + doc->len;
	const char *p = skip_blank(doc->text, end), *child;
	const struct oci_path *steps[PATH_STEPS_MAX];
	size_t n = 0, line = 1;

	for (; at && n < PATH_STEPS_MAX; at = at->up)
		steps[n++] = at;
	while (n > 0) {
		child = find_child(p, end, steps[--n]);
		if (!child)
			break;
		p = child;
	}
	for (const char *q = doc->text; q < p; q++)
		line += *q == '\n';
	return line;
}

/* ---- messages ------------------------------------------------------------------------------- */

static bool plain_key(const char *key)
{
	const char *p = key;

	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	return p > key && *p == '\0';
}

/* "linux.devices[3].path", `annotations["a.b"]` */
static void path_text(const struct oci_path *at, char text[static PATH_TEXT_MAX])
{
	const struct oci_path *steps[PATH_STEPS_MAX];
	size_t n = 0, len = 0;

	text[0] = '\0';
	for (; at && n < PATH_STEPS_MAX; at = at->up)
		steps[n++] = at;
	while (n > 0 && len < PATH_TEXT_MAX - 1) {
		const struct oci_path *step = steps[--n];
		char *to = text + len;
		const size_t room = PATH_TEXT_MAX - len;

		if (!step->key)
			(void)snprintf(to, room, "[%zu]", step->index);
		else if (plain_key(step->key))
			(void)snprintf(to, room, "%s%s", len ? "." : "", step->key);
		else
			(void)snprintf(to, room, "[\"%s\"]", step->key);
		len += strlen(to);
	}
	/* A key that was cut must not end within a UTF-8 sequence. */
	if (len >= PATH_TEXT_MAX - 1) {
		while (len > 0 && ((unsigned char)text[len - 1] & 0xc0) == 0x80)
			len--;
		text[len > 0 ? len - 1 : 0] = '\0';
	}
}

int oci_doc_refuse(const struct oci_doc *doc, const struct oci_path *at, struct err *err, int code,
		   const char *fmt, ...)
{
	char path[PATH_TEXT_MAX], text[ERR_MSG_MAX];
	va_list ap;

	if (!err)
		return code;
	path_text(at, path);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(err, code, "%s:%zu: %s%s%s", doc->name, oci_doc_line(doc, at), path,
		       path[0] ? ": " : "", text);
}
