/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install/json_edit.c - edits of JSON text.
 *
 * The text has been parsed before, so the scanner here knows that it is well-formed; it stays
 * inside of the text all the same.
 */
#include "install/json_edit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/str.h"

#define UNIT "    " /* of indentation, where the document does not show its own */

struct member {
	const char *key, *value, *end; /* the key with its quotes */
};

/* An object: where its first and last member and the one asked for are. NULL keys: none. */
struct object {
	const char *open, *close; /* its braces */
	struct member first, last, found, before, after;
};

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++) {
		if (*p == '\\')
			p++;
	}
	return p < end ? p + 1 : end;
}

static const char *skip_value(const char *p, const char *end)
{
	unsigned int depth = 0;

	for (; p < end; p++) {
		if (*p == '"') {
			p = skip_string(p, end);
			if (depth == 0)
				return p;
			p--;
		} else if (*p == '{' || *p == '[') {
			depth++;
		} else if (*p == '}' || *p == ']') {
			if (depth == 0)
				return p;
			if (--depth == 0)
				return p + 1;
		} else if (depth == 0 && (*p == ',' || skip_space(p, end) != p)) {
			return p;
		}
	}
	return p;
}

/* The object that begins at `p`. `key` may be NULL. False: it is none. */
static bool read_object(const char *p, const char *end, const char *key, struct object *ret)
{
	const size_t key_len = key ? strlen(key) : 0;

	*ret = (struct object){ .open = p };
	if (p >= end || *p != '{')
		return false;
	p = skip_space(p + 1, end);
	while (p < end && *p == '"') {
		struct member m = { .key = p };
		const char *key_end = skip_string(p, end);

		p = skip_space(key_end, end);
		if (p >= end || *p != ':')
			return false;
		m.value = skip_space(p + 1, end);
		m.end = skip_value(m.value, end);
		if (!ret->first.key)
			ret->first = m;
		if (ret->found.key && !ret->after.key)
			ret->after = m;
		if (key && (size_t)(key_end - m.key) == key_len + 2 &&
		    memcmp(m.key + 1, key, key_len) == 0) {
			ret->found = m;
			ret->before = ret->last;
		}
		ret->last = m;
		p = skip_space(m.end, end);
		if (p < end && *p == ',')
			p = skip_space(p + 1, end);
	}
	ret->close = p;
	return p < end && *p == '}';
}

/* The blanks before the first member, or NULL where they say nothing. */
static char *separator(const struct object *o)
{
	const char *start = o->open + 1;

	return o->first.key && memchr(start, '\n', (size_t)(o->first.key - start))
		       ? strndup(start, (size_t)(o->first.key - start))
		       : NULL;
}

/* The text with [from, to) replaced. */
static int replace(struct buf *text, const char *from, const char *to, const char *by,
		   const char *name, struct err *err)
{
	struct buf out = { .max = JSON_EDIT_MAX };
	int r;

	buf_append(&out, text->data, (size_t)(from - text->data));
	buf_puts(&out, by);
	buf_append(&out, to, text->len - (size_t)(to - text->data));
	r = buf_error(&out);
	if (r < 0) {
		buf_done(&out);
		return err_sys(err, r, "%s", name);
	}
	buf_done(text);
	*text = out;
	return 0;
}

int json_edit_read(const struct buf *text, const char *name, json_t **ret, struct err *err)
{
	AUTO_JSON json_t *root = NULL;
	int r;

	if (text->len > JSON_EDIT_MAX)
		return err_set(err, -E2BIG, "%s: more than %u bytes", name, JSON_EDIT_MAX);
	r = json_parse(text->data ? text->data : "", text->len, name, &root, err);
	if (r < 0)
		return r;
	if (!json_is_object(root))
		return err_set(err, -EBADMSG, "%s: not a JSON object", name);
	*ret = TAKE_PTR(root);
	return 0;
}

static int not_known(const char *name, struct err *err)
{
	return err_set(err, -EBADMSG, "%s: written in a way that cannot be edited here", name);
}

static int judge(const struct buf *text, const char *name, const json_t *wanted, struct err *err)
{
	AUTO_JSON json_t *got = NULL;
	int r = json_edit_read(text, name, &got, err);

	if (r == 0 && !json_equal(got, wanted))
		r = not_known(name, err);
	return r;
}

/* Where a member goes and what is written around it. */
struct place {
	const char *from, *to;
	bool comma;
	char *blanks; /* owned; before the key */
	char *close;  /* owned; before the closing brace of an object that was empty */
};

static void place_done(struct place *p)
{
	free(p->blanks);
	free(p->close);
}

/* One step further in than `outer`, whose indentation is that of a first level. */
static char *deeper(const char *outer)
{
	const char *newline = strrchr(outer, '\n');
	const char *unit = newline && newline[1] ? newline + 1 : UNIT;
	char *text;

	return str_printf(&text, "%s%s", outer, unit) < 0 ? NULL : text;
}

/* Behind the last member of `o`; `outer` are the blanks of the object around it, or NULL. */
static int find_place(const struct object *o, const char *outer, struct place *ret)
{
	char *own = separator(o);

	*ret = (struct place){ .from = o->first.key ? o->last.end : o->open + 1,
			       .comma = o->first.key };
	ret->to = o->first.key ? ret->from : o->close;
	if (own)
		ret->blanks = own;
	else if (o->first.key)
		ret->blanks = strdup(" ");
	else
		ret->blanks = outer ? deeper(outer) : strdup("");
	ret->close = strdup(!o->first.key && outer ? outer : "");
	return ret->blanks && ret->close ? 0 : -ENOMEM;
}

static int put_member(struct buf *text, const struct object *o, const char *outer, const char *key,
		      const char *value, const char *name, struct err *err)
{
	AUTO(place_done) struct place place = { 0 };
	AUTO_FREE char *whole = NULL;

	if (find_place(o, outer, &place) < 0 ||
	    str_printf(&whole, "%s%s\"%s\": %s%s", place.comma ? "," : "", place.blanks, key, value,
		       place.close) < 0)
		return err_sys(err, -ENOMEM, "%s", name);
	return replace(text, place.from, place.to, whole, name, err);
}

/* The text is edited; `object` is there. */
static int put_inside(struct buf *text, const char *name, const char *object, const char *key,
		      const char *value, struct err *err)
{
	const char *end = text->data + text->len;
	struct object top, inner;
	AUTO_FREE char *outer = NULL;

	if (!read_object(skip_space(text->data, end), end, object, &top) || !top.found.key ||
	    !read_object(top.found.value, end, NULL, &inner))
		return not_known(name, err);
	outer = separator(&top);
	return put_member(text, &inner, outer, key, value, name, err);
}

static int put_object(struct buf *text, const char *name, const char *object, struct err *err)
{
	const char *end = text->data + text->len;
	struct object top;

	if (!read_object(skip_space(text->data, end), end, NULL, &top))
		return not_known(name, err);
	return put_member(text, &top, top.first.key ? NULL : "\n", object, "{}", name, err);
}

int json_edit_put(struct buf *text, const char *name, const char *object, const char *key,
		  const json_t *value, struct err *err)
{
	AUTO_JSON json_t *wanted = NULL;
	AUTO_FREE char *spelled = json_text(value, JSON_ENCODE_ANY);
	json_t *inner;
	int r = json_edit_read(text, name, &wanted, err);

	if (r < 0)
		return r;
	inner = json_object_get(wanted, object);
	if (inner && !json_is_object(inner))
		return err_set(err, -EBADMSG, "%s: \"%s\" is not an object", name, object);
	if (inner && json_object_get(inner, key))
		return err_set(err, -EEXIST, "%s: \"%s\" has \"%s\" already", name, object, key);
	if (!inner) {
		r = put_object(text, name, object, err);
		inner = json_object();
		if (r == 0 && json_object_set_new(wanted, object, inner) < 0)
			r = -ENOMEM;
	}
	if (r == 0 && (!spelled || json_object_set(inner, key, (json_t *)value) < 0))
		r = -ENOMEM;
	if (r == -ENOMEM)
		return err_sys(err, r, "%s", name);
	if (r == 0)
		r = put_inside(text, name, object, key, spelled, err);
	return r < 0 ? r : judge(text, name, wanted, err);
}

static int cut_member(struct buf *text, const struct object *o, const char *name, struct err *err)
{
	if (o->before.key)
		return replace(text, o->before.end, o->found.end, "", name, err);
	if (o->after.key)
		return replace(text, o->found.key, o->after.key, "", name, err);
	return replace(text, o->open + 1, o->close, "", name, err);
}

int json_edit_cut(struct buf *text, const char *name, const char *object, const char *key,
		  struct err *err)
{
	AUTO_JSON json_t *wanted = NULL;
	struct object top, inner;
	const char *end;
	int r = json_edit_read(text, name, &wanted, err);

	if (r < 0)
		return r;
	if (json_object_del(object ? json_object_get(wanted, object) : wanted, key) < 0)
		return err_set(err, -ENOENT, "%s: there is no \"%s\"", name, key);
	end = text->data + text->len;
	if (!read_object(skip_space(text->data, end), end, object ? object : key, &top) ||
	    !top.found.key ||
	    (object && (!read_object(top.found.value, end, key, &inner) || !inner.found.key)))
		return not_known(name, err);
	r = cut_member(text, object ? &inner : &top, name, err);
	return r < 0 ? r : judge(text, name, wanted, err);
}
