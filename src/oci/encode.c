/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/encode.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "oci/schema.h"

int oci_encode_refuse(struct oci_encoder *e, const char *key, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(e->err, -EINVAL, "config.json: %s: %s", key ? key : "item", text);
}

static int encode_fields(struct oci_encoder *e, const struct oci_object *object, const void *from);

static bool is_utf8(const char *s)
{
	const size_t len = strlen(s);
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = oci_utf8_len((const unsigned char *)s + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}

int oci_encode_string(struct oci_encoder *e, const char *key, const char *value)
{
	if (!is_utf8(value))
		return oci_encode_refuse(e, key, "is not UTF-8");
	oci_write_string(&e->json, key, value);
	return 0;
}

int oci_encode_word(struct oci_encoder *e, const char *key, const struct oci_word *words,
		    uint32_t value)
{
	const char *word = oci_word_name(words, value);

	if (!word)
		return oci_encode_refuse(e, key, "no word for the value %u", value);
	oci_write_string(&e->json, key, word);
	return 0;
}

static int encode_text(struct oci_encoder *e, const struct oci_field *f, const char *value)
{
	if (value)
		return oci_encode_string(e, f->key, value);
	return f->required ? oci_encode_refuse(e, f->key, "missing") : 0;
}

static int encode_strings(struct oci_encoder *e, const struct oci_field *f,
			  const struct oci_strs *list)
{
	int r = 0;

	if (!list->items && !f->required)
		return 0;
	oci_write_begin(&e->json, f->key, '[');
	for (size_t i = 0; r == 0 && i < list->len; i++)
		r = oci_encode_string(e, NULL, list->items[i]);
	oci_write_end(&e->json, ']');
	return r;
}

static int encode_stringmap(struct oci_encoder *e, const struct oci_field *f,
			    const struct oci_kvs *map)
{
	int r = 0;

	if (map->len == 0 && !f->required)
		return 0;
	oci_write_begin(&e->json, f->key, '{');
	for (size_t i = 0; r == 0 && i < map->len; i++) {
		r = is_utf8(map->items[i].key)
			    ? oci_encode_string(e, map->items[i].key, map->items[i].value)
			    : oci_encode_refuse(e, f->key, "a key is not UTF-8");
	}
	oci_write_end(&e->json, '}');
	return r;
}

static void encode_int(struct oci_encoder *e, const struct oci_field *f, int64_t value)
{
	if (value != 0 || f->required)
		oci_write_int(&e->json, f->key, value);
}

static void encode_uint(struct oci_encoder *e, const struct oci_field *f, uint64_t value)
{
	if (value != 0 || f->required)
		oci_write_uint(&e->json, f->key, value);
}

/* One of the kinds that cannot fail. */
static void encode_scalar(struct oci_encoder *e, const struct oci_field *f, const void *from)
{
	const struct oci_opt_bool *b = from;
	const struct oci_opt_i64 *i = from;
	const struct oci_opt_u64 *u = from;

	switch (f->kind) {
	case OCI_BOOL:
		if (*(const bool *)from || f->required)
			oci_write_bool(&e->json, f->key, *(const bool *)from);
		break;
	case OCI_OPT_BOOL:
		if (b->set)
			oci_write_bool(&e->json, f->key, b->v);
		break;
	case OCI_INT32:
		encode_int(e, f, *(const int32_t *)from);
		break;
	case OCI_UINT32:
		encode_uint(e, f, *(const uint32_t *)from);
		break;
	case OCI_INT64:
		encode_int(e, f, *(const int64_t *)from);
		break;
	case OCI_UINT64:
		encode_uint(e, f, *(const uint64_t *)from);
		break;
	case OCI_OPT_INT64:
		if (i->set)
			oci_write_int(&e->json, f->key, i->v);
		break;
	default:
		if (u->set)
			oci_write_uint(&e->json, f->key, u->v);
		break;
	}
}

static int encode_flags(struct oci_encoder *e, const struct oci_field *f, uint64_t flags)
{
	if (flags == 0 && !f->required)
		return 0;
	oci_write_begin(&e->json, f->key, '[');
	for (const struct oci_word *w = f->words; w->word; w++) {
		if (!(flags & w->value))
			continue;
		oci_write_string(&e->json, NULL, w->word);
		flags &= ~(uint64_t)w->value;
	}
	oci_write_end(&e->json, ']');
	return flags ? oci_encode_refuse(e, f->key, "no word for the flags %#llx",
					 (unsigned long long)flags)
		     : 0;
}

static int encode_list(struct oci_encoder *e, const struct oci_field *f, const char *items,
		       size_t len)
{
	int r = 0;

	if (len == 0 && !f->required)
		return 0;
	oci_write_begin(&e->json, f->key, '[');
	for (size_t i = 0; r == 0 && i < len; i++)
		r = oci_encode_object(e, NULL, f->object, items + i * f->object->size);
	oci_write_end(&e->json, ']');
	return r;
}

/* An object that says whether it is there, or one that is there when it has members. */
static int encode_member(struct oci_encoder *e, const struct oci_field *f, const void *from)
{
	const struct oci_writer before = e->json;
	const size_t len = before.out->len;
	size_t begin;
	int r;

	if (f->object->sets_flag && !*(const bool *)from)
		return f->required ? oci_encode_refuse(e, f->key, "missing") : 0;
	oci_write_begin(&e->json, f->key, '{');
	begin = before.out->len;
	r = encode_fields(e, f->object, from);
	if (before.out->len == begin && !f->object->sets_flag && !f->required) {
		if (before.out->data)
			before.out->data[len] = '\0';
		before.out->len = len;
		e->json = before;
		return r;
	}
	oci_write_end(&e->json, '}');
	return r;
}

/* base is the parent's struct. */
static int encode_field(struct oci_encoder *e, const struct oci_field *f, const char *base)
{
	const void *from = base + f->offset;

	switch (f->kind) {
	case OCI_STRING:
		return encode_text(e, f, *(const char *const *)from);
	case OCI_STRINGS:
		return encode_strings(e, f, from);
	case OCI_STRINGMAP:
		return encode_stringmap(e, f, from);
	case OCI_WORD:
		if (*(const uint32_t *)from == 0 && !f->required)
			return 0;
		return oci_encode_word(e, f->key, f->words, *(const uint32_t *)from);
	case OCI_FLAGS:
		return encode_flags(e, f, *(const uint64_t *)from);
	case OCI_OBJECT:
		return encode_member(e, f, from);
	case OCI_LIST:
		return encode_list(e, f, *(const char *const *)from,
				   *(const size_t *)(const void *)(base + f->len_offset));
	case OCI_CUSTOM:
		return f->write(e, f->key, from);
	default:
		encode_scalar(e, f, from);
		return 0;
	}
}

static int encode_fields(struct oci_encoder *e, const struct oci_object *object, const void *from)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < object->fields_len; i++)
		r = encode_field(e, &object->fields[i], from);
	return r;
}

int oci_encode_object(struct oci_encoder *e, const char *key, const struct oci_object *object,
		      const void *from)
{
	int r;

	oci_write_begin(&e->json, key, '{');
	r = encode_fields(e, object, from);
	oci_write_end(&e->json, '}');
	return r;
}

int oci_spec_write(const struct oci_spec *spec, struct buf *out, struct err *err)
{
	struct oci_encoder e = { .json = { .out = out, .compact = true }, .err = err };
	int r = oci_encode_object(&e, NULL, &oci_schema_spec, spec);

	if (r == 0 && buf_error(out) < 0)
		return err_sys(err, buf_error(out), "write config.json");
	return r;
}
