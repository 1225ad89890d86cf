/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/reader.c - text to tree: recursive descent over the grammar of RFC 8259, one function per
 * production. `p` never passes `end`; every look at a byte is guarded by peek() or room().
 */
#include "oci/doc.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "oci/spec.h"

struct reader {
	const struct oci_doc *doc;
	struct oci_arena *arena;
	struct err *err;
	const char *p, *end;
	unsigned int depth;
	size_t values;
};

/* ---- bytes ---------------------------------------------------------------------------------- */

/* The next byte, or -1 at the end. */
static int peek(const struct reader *r)
{
	return r->p < r->end ? (unsigned char)*r->p : -1;
}

static size_t room(const struct reader *r)
{
	return (size_t)(r->end - r->p);
}

static bool take(struct reader *r, char c)
{
	if (peek(r) != (unsigned char)c)
		return false;
	r->p++;
	return true;
}

static void skip_blank(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

/* "NAME:LINE:COLUMN: what" at the reader's place; columns count bytes from 1. */
static int refuse(const struct reader *r, const char *what)
{
	size_t line = 1, column = 1;

	for (const char *q = r->doc->text; q < r->p; q++) {
		column++;
		if (*q == '\n') {
			line++;
			column = 1;
		}
	}
	return err_set(r->err, -EINVAL, "%s:%zu:%zu: %s", r->doc->name, line, column,
		       r->p == r->end ? "unexpected end of the document" : what);
}

static int refuse_memory(const struct reader *r)
{
	return err_sys(r->err, -ENOMEM, "read %s", r->doc->name);
}

/* ---- strings -------------------------------------------------------------------------------- */

/* Unicode 15, table 3-7. */
size_t oci_utf8_len(const unsigned char *s, size_t len)
{
	size_t n;

	if (s[0] < 0x80)
		return 1;
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || len < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static char *put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* Four hexadecimal digits. */
static bool read_hex4(struct reader *r, uint32_t *ret)
{
	uint32_t v = 0;

	if (room(r) < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		const int c = r->p[i] | 0x20;

		if (is_digit(r->p[i]))
			v = v << 4 | (uint32_t)(r->p[i] - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint32_t)(c - 'a' + 10);
		else
			return false;
	}
	r->p += 4;
	*ret = v;
	return true;
}

/* After the 'u' of an escape: a code point, from two escapes when they are surrogates. */
static int read_unicode(struct reader *r, uint32_t *ret)
{
	uint32_t c, low;

	if (!read_hex4(r, &c))
		return refuse(r, "expected four hexadecimal digits");
	if (c == 0)
		return refuse(r, "\\u0000 is not allowed");
	if (c >= 0xd800 && c <= 0xdfff) {
		if (c > 0xdbff || !take(r, '\\') || !take(r, 'u') || !read_hex4(r, &low) ||
		    low < 0xdc00 || low > 0xdfff)
			return refuse(r, "a surrogate without its pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	*ret = c;
	return 0;
}

/* After the backslash. Writes at most as many bytes as the escape is long. */
static int read_escape(struct reader *r, char **to)
{
	static const char from[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const int c = peek(r);
	const char *found = c > 0 ? strchr(from, c) : NULL;
	uint32_t code = 0;
	int ret;

	if (c == 'u') {
		r->p++;
		ret = read_unicode(r, &code);
		if (ret < 0)
			return ret;
		*to = put_utf8(*to, code);
		return 0;
	}
	if (!found)
		return refuse(r, "unknown escape");
	r->p++;
	*(*to)++ = meant[found - from];
	return 0;
}

/*
 * The bytes up to the closing quote, or room(r) if there is none. *ret_plain: they need no decoding
 * and no judgement, as nearly all strings do not.
 */
static size_t string_span(const struct reader *r, bool *ret_plain)
{
	const unsigned char *s = (const unsigned char *)r->p;
	const size_t max = room(r);
	size_t len = 0;

	*ret_plain = true;
	while (len < max && s[len] != '"') {
		if (s[len] < 0x20 || s[len] >= 0x80 || s[len] == '\\') {
			*ret_plain = false;
			len += s[len] == '\\';
		}
		len++;
	}
	return len < max ? len : max;
}

/* Up to `quote` into `to`, which has room for as many bytes; *ret_end is where it ended. */
static int decode_string(struct reader *r, const char *quote, char *to, char **ret_end)
{
	size_t n;
	int err;

	while (r->p < quote) {
		if (take(r, '\\')) {
			err = read_escape(r, &to);
			if (err < 0)
				return err;
			continue;
		}
		if ((unsigned char)*r->p < 0x20)
			return refuse(r, "a control character in a string");
		n = oci_utf8_len((const unsigned char *)r->p, (size_t)(quote - r->p));
		if (n == 0)
			return refuse(r, "not UTF-8");
		memcpy(to, r->p, n);
		to += n;
		r->p += n;
	}
	*ret_end = to;
	return 0;
}

/* A string at its opening quote, into the arena. */
static int read_string(struct reader *r, const char **ret, size_t *ret_len)
{
	char *bytes, *end = NULL;
	size_t len;
	bool plain;
	int err;

	r->p++;
	len = string_span(r, &plain);
	if (len == room(r)) {
		r->p = r->end;
		return refuse(r, "unexpected end of the document");
	}
	bytes = oci_arena_bytes(r->arena, len + 1);
	if (!bytes)
		return refuse_memory(r);
	if (plain) {
		memcpy(bytes, r->p, len);
		r->p += len;
		end = bytes + len;
	} else {
		err = decode_string(r, r->p + len, bytes, &end);
		if (err < 0)
			return err;
	}
	r->p++; /* the closing quote */
	*end = '\0';
	*ret = bytes;
	*ret_len = (size_t)(end - bytes);
	return 0;
}

/* ---- numbers -------------------------------------------------------------------------------- */

static bool skip_digits(struct reader *r)
{
	const char *from = r->p;

	while (is_digit(peek(r)))
		r->p++;
	return r->p > from;
}

static int read_number(struct reader *r, struct oci_value *v)
{
	const bool negative = take(r, '-');
	const char *digits = r->p;
	uint64_t n = 0;
	bool too_big = false;

	if (take(r, '0') ? is_digit(peek(r)) : !skip_digits(r))
		return refuse(r, "not a number");
	for (; digits < r->p; digits++)
		too_big = too_big || __builtin_mul_overflow(n, 10, &n) ||
			  __builtin_add_overflow(n, (uint64_t)(*digits - '0'), &n);
	v->type = OCI_INTEGER;
	v->integer.negative = negative;
	v->integer.too_big = too_big;
	v->integer.magnitude = too_big ? UINT64_MAX : n;
	if (take(r, '.')) {
		v->type = OCI_REAL;
		if (!skip_digits(r))
			return refuse(r, "not a number");
	}
	if (take(r, 'e') || take(r, 'E')) {
		v->type = OCI_REAL;
		if (!take(r, '+'))
			(void)take(r, '-');
		if (!skip_digits(r))
			return refuse(r, "not a number");
	}
	return 0;
}

/* ---- values --------------------------------------------------------------------------------- */

static int read_value(struct reader *r, struct oci_value **ret);

static int by_key(const void *a, const void *b)
{
	const struct oci_value *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

/* A key that stands twice, or NULL. Small objects are compared pairwise, large ones sorted. */
static int find_duplicate(struct reader *r, const struct oci_value *object, const char **ret)
{
	const struct oci_value **sorted;
	size_t n = 0;

	*ret = NULL;
	if (object->list.len <= 24) {
		for (const struct oci_value *a = object->list.first; a; a = a->next) {
			for (const struct oci_value *b = a->next; b; b = b->next) {
				if (a->key[0] == b->key[0] && strcmp(a->key, b->key) == 0)
					*ret = a->key;
			}
		}
		return 0;
	}
	sorted = oci_arena_alloc(r->arena, object->list.len, sizeof(const struct oci_value *));
	if (!sorted)
		return refuse_memory(r);
	for (const struct oci_value *a = object->list.first; a; a = a->next)
		sorted[n++] = a;
	qsort(sorted, n, sizeof(const struct oci_value *), by_key);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
			*ret = sorted[i]->key;
	}
	return 0;
}

/* The key and colon before a member's value. */
static int read_key(struct reader *r, const char **ret)
{
	size_t len;
	int err;

	skip_blank(r);
	if (peek(r) != '"')
		return refuse(r, "expected a key in quotes");
	err = read_string(r, ret, &len);
	if (err < 0)
		return err;
	skip_blank(r);
	return take(r, ':') ? 0 : refuse(r, "expected a colon");
}

/* After the opening bracket of an array or object. */
static int read_list(struct reader *r, struct oci_value *v, char close)
{
	struct oci_value **tail = &v->list.first;
	const char *key = NULL;
	int err;

	skip_blank(r);
	if (take(r, close))
		return 0;
	do {
		if (close == '}') {
			err = read_key(r, &key);
			if (err < 0)
				return err;
		}
		err = read_value(r, tail);
		if (err < 0)
			return err;
		(*tail)->key = key;
		tail = &(*tail)->next;
		v->list.len++;
		skip_blank(r);
	} while (take(r, ','));
	if (!take(r, close))
		return refuse(r, close == '}' ? "expected a comma or }" : "expected a comma or ]");
	return 0;
}

static int read_container(struct reader *r, struct oci_value *v)
{
	const bool object = *r->p++ == '{';
	const char *twice = NULL;
	int err;

	if (++r->depth > OCI_DEPTH_MAX)
		return refuse(r, "nested too deep");
	v->type = object ? OCI_MEMBERS : OCI_ARRAY;
	err = read_list(r, v, object ? '}' : ']');
	r->depth--;
	if (err == 0 && object)
		err = find_duplicate(r, v, &twice);
	if (err == 0 && twice)
		return err_set(r->err, -EINVAL, "%s:%zu: duplicate key \"%.64s\"", r->doc->name,
			       oci_line_at(r->doc, v->at), twice);
	return err;
}

static int read_word(struct reader *r, struct oci_value *v)
{
	static const struct {
		const char *word;
		enum oci_type type;
		bool boolean;
	} words[] = { { "true", OCI_BOOLEAN, true },
		      { "false", OCI_BOOLEAN, false },
		      { "null", OCI_NULL, false } };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const size_t len = strlen(words[i].word);

		if (room(r) >= len && memcmp(r->p, words[i].word, len) == 0) {
			r->p += len;
			v->type = words[i].type;
			v->boolean = words[i].boolean;
			return 0;
		}
	}
	return refuse(r, "expected a value");
}

static int read_value(struct reader *r, struct oci_value **ret)
{
	struct oci_value *v;
	int c;

	skip_blank(r);
	if (++r->values > OCI_VALUES_MAX)
		return refuse(r, "too many values");
	v = oci_arena_alloc(r->arena, 1, sizeof(*v));
	if (!v)
		return refuse_memory(r);
	*ret = v;
	v->at = (uint32_t)(r->p - r->doc->text);
	c = peek(r);
	if (c == '"') {
		v->type = OCI_TEXT;
		return read_string(r, &v->text.bytes, &v->text.len);
	}
	if (c == '{' || c == '[')
		return read_container(r, v);
	if (c == '-' || is_digit(c))
		return read_number(r, v);
	return read_word(r, v);
}

int oci_doc_parse(struct oci_doc *doc, struct oci_arena *arena, struct err *err)
{
	struct reader r = {
		.doc = doc, .arena = arena, .err = err, .p = doc->text, .end = doc->text + doc->len
	};
	struct oci_value *root = NULL;
	int ret;

	if (doc->len > OCI_CONFIG_MAX)
		return err_set(err, -E2BIG, "%s: larger than %u bytes", doc->name, OCI_CONFIG_MAX);
	ret = read_value(&r, &root);
	if (ret < 0)
		return ret;
	skip_blank(&r);
	if (r.p < r.end)
		return refuse(&r, "text after the end of the document");
	doc->root = root;
	return 0;
}
