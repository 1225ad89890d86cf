/* SPDX-License-Identifier: Apache-2.0 */
#include "install/toml.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/str.h"

#define NUMBER_MAX 1000

static int bad(const struct toml_cursor *c, unsigned int line, const char *what, struct err *err)
{
	return err_set(err, -EBADMSG, "%s:%u: %s", c->name, line, what);
}

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t';
}

static bool is_bare(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
	       ch == '_' || ch == '-';
}

static void skip_blanks(struct toml_cursor *c)
{
	while (c->text < c->end && is_blank(*c->text))
		c->text++;
}

static void skip_comment(struct toml_cursor *c)
{
	if (c->text < c->end && *c->text == '#') {
		while (c->text < c->end && *c->text != '\n')
			c->text++;
	}
}

/* Over a line's end; false: something else stands there. */
static bool skip_newline(struct toml_cursor *c)
{
	if (c->text + 1 < c->end && c->text[0] == '\r' && c->text[1] == '\n')
		c->text++;
	if (c->text >= c->end || *c->text != '\n')
		return c->text >= c->end;
	c->text++;
	c->line++;
	return true;
}

/* Nothing but a comment until the end of the line. */
static int end_of_line(struct toml_cursor *c, struct err *err)
{
	skip_blanks(c);
	skip_comment(c);
	return skip_newline(c) ? 0 : bad(c, c->line, "more than one statement on a line", err);
}

/* Over a string of one line; c->text is behind it. *ret_escaped: it has a backslash that counts. */
static int skip_string(struct toml_cursor *c, bool *ret_escaped, struct err *err)
{
	const char quote = *c->text;

	*ret_escaped = false;
	if (c->end - c->text >= 3 && c->text[1] == quote && c->text[2] == quote)
		return bad(c, c->line, "a string over several lines, which is not read here", err);
	for (c->text++; c->text < c->end && *c->text != '\n'; c->text++) {
		if (*c->text == quote) {
			c->text++;
			return 0;
		}
		if (quote == '"' && *c->text == '\\') {
			*ret_escaped = true;
			if (++c->text >= c->end || *c->text == '\n')
				break;
		}
	}
	return bad(c, c->line, "a string does not end", err);
}

/* One part of a dotted key. */
static int read_part(struct toml_cursor *c, char part[static TOML_PART_MAX], struct err *err)
{
	const char *start = c->text;
	bool escaped = false;
	size_t len;

	if (c->text < c->end && (*c->text == '"' || *c->text == '\'')) {
		const int r = skip_string(c, &escaped, err);

		if (r < 0)
			return r;
		start++;
		len = (size_t)(c->text - 1 - start);
	} else {
		while (c->text < c->end && is_bare(*c->text))
			c->text++;
		len = (size_t)(c->text - start);
		if (len == 0)
			return bad(c, c->line, "no key and no table where one should be", err);
	}
	if (escaped || memchr(start, '\0', len))
		return bad(c, c->line, "a key with escaped characters, which is not read here",
			   err);
	if (len >= TOML_PART_MAX)
		return bad(c, c->line, "a key is too long", err);
	memcpy(part, start, len);
	part[len] = '\0';
	return 0;
}

static int read_key(struct toml_cursor *c, struct toml_key *ret, struct err *err)
{
	ret->len = 0;
	for (;;) {
		int r;

		if (ret->len == TOML_PARTS_MAX)
			return bad(c, c->line, "a key has too many parts", err);
		skip_blanks(c);
		r = read_part(c, ret->part[ret->len], err);
		if (r < 0)
			return r;
		ret->len++;
		skip_blanks(c);
		if (c->text >= c->end || *c->text != '.')
			return 0;
		c->text++;
	}
}

static int read_header(struct toml_cursor *c, struct toml_statement *ret, struct err *err)
{
	const bool array = c->text + 1 < c->end && c->text[1] == '[';
	int r;

	ret->kind = array ? TOML_ARRAY : TOML_TABLE;
	c->text += array ? 2 : 1;
	r = read_key(c, &ret->key, err);
	if (r < 0)
		return r;
	for (int i = 0; i <= array; i++, c->text++) {
		if (c->text >= c->end || *c->text != ']')
			return bad(c, c->line, "the name of a table does not end", err);
	}
	return end_of_line(c, err);
}

/* One character or string inside a value; *depth counts open brackets. */
static int value_step(struct toml_cursor *c, unsigned int *depth, struct err *err)
{
	bool escaped;

	switch (*c->text) {
	case '"':
	case '\'':
		return skip_string(c, &escaped, err);
	case '[':
	case '{':
		if (++*depth > TOML_DEPTH_MAX)
			return bad(c, c->line, "a value is nested too deep", err);
		break;
	case ']':
	case '}':
		if (*depth == 0)
			return bad(c, c->line, "a bracket closes that was not open", err);
		--*depth;
		break;
	case '\n':
		c->line++;
		break;
	default:
		break;
	}
	c->text++;
	return 0;
}

static int read_value(struct toml_cursor *c, struct toml_statement *ret, struct err *err)
{
	const unsigned int line = c->line;
	unsigned int depth = 0;
	const char *last;

	ret->kind = TOML_VALUE;
	if (c->text >= c->end || *c->text != '=')
		return bad(c, c->line, "a key without a value", err);
	c->text++;
	skip_blanks(c);
	ret->value = last = c->text;
	while (c->text < c->end) {
		int r;

		if (*c->text == '#') {
			skip_comment(c);
			continue;
		}
		if (depth == 0 && (*c->text == '\n' || *c->text == '\r'))
			break;
		r = value_step(c, &depth, err);
		if (r < 0)
			return r;
		if (!is_blank(c->text[-1]))
			last = c->text;
	}
	ret->value_len = (size_t)(last - ret->value);
	if (depth > 0)
		return bad(c, line, "a value does not end", err);
	if (ret->value_len == 0)
		return bad(c, line, "a key without a value", err);
	return end_of_line(c, err);
}

void toml_begin(struct toml_cursor *cursor, const char *text, size_t len, const char *name)
{
	*cursor = (struct toml_cursor){ .text = text, .end = text + len, .name = name, .line = 1 };
}

int toml_next(struct toml_cursor *c, struct toml_statement *ret, struct err *err)
{
	int r;

	for (;;) {
		skip_blanks(c);
		skip_comment(c);
		if (c->text >= c->end)
			return 0;
		if (*c->text != '\n' && *c->text != '\r')
			break;
		if (!skip_newline(c))
			return bad(c, c->line, "a carriage return inside a line", err);
	}
	ret->line = c->line;
	ret->value = NULL;
	ret->value_len = 0;
	if (*c->text == '[') {
		r = read_header(c, ret, err);
	} else {
		r = read_key(c, &ret->key, err);
		if (r == 0)
			r = read_value(c, ret, err);
	}
	return r < 0 ? r : 1;
}

int toml_number(const struct toml_cursor *c, const struct toml_statement *s, unsigned int *ret,
		struct err *err)
{
	char text[8];
	uint64_t value;

	if (s->value_len < sizeof(text)) {
		memcpy(text, s->value, s->value_len);
		text[s->value_len] = '\0';
		if (str_to_u64(text, NUMBER_MAX, &value) == 0) {
			*ret = (unsigned int)value;
			return 0;
		}
	}
	return bad(c, s->line, "not a number that is known here", err);
}

/* Blanks, newlines and comments between the items of an array. */
static void skip_space(struct toml_cursor *c)
{
	while (c->text < c->end &&
	       (is_blank(*c->text) || *c->text == '\n' || *c->text == '\r' || *c->text == '#')) {
		if (*c->text == '#')
			skip_comment(c);
		else
			c->text++;
	}
}

static int read_item(struct toml_cursor *in, char ***list, struct err *err)
{
	const char *start = in->text + 1;
	AUTO_FREE char *text = NULL;
	bool escaped;
	int r;

	if (in->text >= in->end || (*in->text != '"' && *in->text != '\''))
		return bad(in, in->line, "not an array of strings", err);
	r = skip_string(in, &escaped, err);
	if (r < 0)
		return r;
	if (escaped || memchr(start, '\0', (size_t)(in->text - 1 - start)))
		return bad(in, in->line, "a string with escaped characters, which is not read here",
			   err);
	if (str_printf(&text, "%.*s", (int)(in->text - 1 - start), start) < 0 ||
	    strv_add(list, text) < 0)
		return err_sys(err, -ENOMEM, "%s", in->name);
	return 0;
}

int toml_strings(const struct toml_cursor *c, const struct toml_statement *s, char ***ret,
		 struct err *err)
{
	struct toml_cursor in;
	AUTO_STRV char **list = NULL;

	toml_begin(&in, s->value, s->value_len, c->name);
	in.line = s->line;
	if (*in.text != '[')
		return bad(c, s->line, "not an array of strings", err);
	in.text++;
	for (skip_space(&in); in.text < in.end && *in.text != ']'; skip_space(&in)) {
		int r = read_item(&in, &list, err);

		if (r < 0)
			return r;
		skip_space(&in);
		if (in.text < in.end && *in.text == ',')
			in.text++;
		else if (in.text < in.end && *in.text != ']')
			return bad(c, s->line, "not an array of strings", err);
	}
	if (in.text + 1 != in.end)
		return bad(c, s->line, "not an array of strings", err);
	*ret = TAKE_PTR(list);
	return 0;
}
