/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/decode.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "oci/spec.h"

int oci_refuse_memory(struct oci_decoder *d)
{
	return err_sys(d->err, -ENOMEM, "read %s", d->doc->name);
}

int oci_refuse_type(struct oci_decoder *d, const struct oci_path *at, const char *want,
		    const struct oci_value *value)
{
	return oci_refuse(d, at, "expected %s, got %s", want, oci_type_name(value->type));
}

int oci_warn(struct oci_decoder *d, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	const char **grown, *kept;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	kept = oci_arena_printf(d->arena, "%s", text);
	if (!kept)
		return oci_refuse_memory(d);
	if (d->warnings_len + 1 >= d->warnings_cap) {
		const size_t cap = d->warnings_cap ? d->warnings_cap * 2 : 4;

		grown = oci_arena_alloc(d->arena, cap, sizeof(*grown));
		if (!grown)
			return oci_refuse_memory(d);
		if (d->warnings_len)
			memcpy(grown, d->warnings, d->warnings_len * sizeof(*grown));
		d->warnings = grown;
		d->warnings_cap = cap;
	}
	d->warnings[d->warnings_len++] = kept;
	return 0;
}

bool oci_word_find(const struct oci_word *words, const char *word, uint32_t *ret)
{
	for (; words->word; words++) {
		if (strcmp(words->word, word) == 0) {
			*ret = words->value;
			return true;
		}
	}
	return false;
}

const char *oci_word_name(const struct oci_word *words, uint32_t value)
{
	while (words->word && words->value != value)
		words++;
	return words->word;
}

int oci_decode_size(struct oci_decoder *d, const struct oci_path *at, size_t len)
{
	return len <= OCI_LIST_MAX ? 0 : oci_refuse(d, at, "more than %u items", OCI_LIST_MAX);
}

int oci_decode_string(struct oci_decoder *d, const struct oci_path *at,
		      const struct oci_value *value, const char **ret)
{
	if (value->type != OCI_TEXT)
		return oci_refuse_type(d, at, "string", value);
	if (value->text.len > OCI_STRING_MAX)
		return oci_refuse(d, at, "longer than %u bytes", OCI_STRING_MAX);
	*ret = value->text.bytes;
	return 0;
}

/* An empty string is an absent one, as Go's `omitempty` has it. */
static int decode_text(struct oci_decoder *d, const struct oci_path *at,
		       const struct oci_value *value, const struct oci_field *f, const char **ret)
{
	const char *s;
	int r = oci_decode_string(d, at, value, &s);

	if (r < 0)
		return r;
	if (f->required && s[0] == '\0')
		return oci_refuse(d, at, "must not be empty");
	*ret = s[0] ? s : NULL;
	return 0;
}

static int decode_strings(struct oci_decoder *d, const struct oci_path *at,
			  const struct oci_value *value, struct oci_strs *ret)
{
	const char **items;
	size_t len = 0;
	int r;

	if (value->type != OCI_ARRAY)
		return oci_refuse_type(d, at, "array of strings", value);
	r = oci_decode_size(d, at, value->list.len);
	if (r < 0)
		return r;
	items = oci_arena_alloc(d->arena, value->list.len + 1, sizeof(*items));
	if (!items)
		return oci_refuse_memory(d);
	for (const struct oci_value *v = value->list.first; v; v = v->next) {
		const struct oci_path here = { .up = at, .index = len };

		r = oci_decode_string(d, &here, v, &items[len++]);
		if (r < 0)
			return r;
	}
	*ret = (struct oci_strs){ .items = items, .len = len };
	return 0;
}

static int decode_stringmap(struct oci_decoder *d, const struct oci_path *at,
			    const struct oci_value *value, struct oci_kvs *ret)
{
	struct oci_kv *items;
	size_t len = 0;
	int r;

	if (value->type != OCI_MEMBERS)
		return oci_refuse_type(d, at, "object of strings", value);
	r = oci_decode_size(d, at, value->list.len);
	if (r < 0)
		return r;
	items = oci_arena_alloc(d->arena, value->list.len, sizeof(*items));
	if (!items)
		return oci_refuse_memory(d);
	for (const struct oci_value *member = value->list.first; member; member = member->next) {
		const struct oci_path here = { .up = at, .key = member->key };

		if (member->key[0] == '\0')
			return oci_refuse(d, &here, "the key is empty");
		items[len] = (struct oci_kv){ .key = member->key, .value = "" };
		/* Go reads null into a string as the empty one. */
		r = member->type == OCI_NULL
			    ? 0
			    : oci_decode_string(d, &here, member, &items[len].value);
		if (r < 0)
			return r;
		len++;
	}
	*ret = (struct oci_kvs){ .items = items, .len = len };
	return 0;
}

/* The least and greatest value of an integer kind, narrowed by the field's own range. */
static void integer_range(const struct oci_field *f, __int128 *min, __int128 *max)
{
	const bool given = f->min != 0 || f->max != 0;

	switch (f->kind) {
	case OCI_INT32:
		*min = INT32_MIN;
		*max = INT32_MAX;
		break;
	case OCI_UINT32:
		*min = 0;
		*max = UINT32_MAX;
		break;
	case OCI_UINT64:
	case OCI_OPT_UINT64:
		*min = 0;
		*max = UINT64_MAX;
		break;
	default:
		*min = INT64_MIN;
		*max = INT64_MAX;
		break;
	}
	if (given) {
		*min = f->min;
		*max = f->max;
	}
}

static int refuse_range(struct oci_decoder *d, const struct oci_path *at, __int128 min,
			__int128 max)
{
	if (min < 0)
		return oci_refuse(d, at, "out of range: must be %lld to %lld", (long long)min,
				  (long long)max);
	return oci_refuse(d, at, "out of range: must be %llu to %llu", (unsigned long long)min,
			  (unsigned long long)max);
}

int oci_decode_integer(struct oci_decoder *d, const struct oci_path *at,
		       const struct oci_value *value, const struct oci_field *f, void *to)
{
	__int128 min, max, n;

	if (value->type != OCI_INTEGER)
		return oci_refuse_type(d, at, "integer", value);
	n = value->integer.magnitude;
	n = value->integer.negative ? -n : n;
	integer_range(f, &min, &max);
	if (value->integer.too_big || n < min || n > max)
		return refuse_range(d, at, min, max);
	switch (f->kind) {
	case OCI_INT32:
		*(int32_t *)to = (int32_t)n;
		break;
	case OCI_UINT32:
		*(uint32_t *)to = (uint32_t)n;
		break;
	case OCI_INT64:
		*(int64_t *)to = (int64_t)n;
		break;
	case OCI_UINT64:
		*(uint64_t *)to = (uint64_t)n;
		break;
	case OCI_OPT_UINT64:
		*(struct oci_opt_u64 *)to = (struct oci_opt_u64){ .v = (uint64_t)n, .set = true };
		break;
	default:
		*(struct oci_opt_i64 *)to = (struct oci_opt_i64){ .v = (int64_t)n, .set = true };
		break;
	}
	return 0;
}

static int decode_word(struct oci_decoder *d, const struct oci_path *at,
		       const struct oci_value *value, const struct oci_word *words, uint32_t *ret)
{
	const char *s;
	int r = oci_decode_string(d, at, value, &s);

	if (r < 0)
		return r;
	if (!oci_word_find(words, s, ret))
		return oci_refuse(d, at, "unknown value \"%s\"", s);
	return 0;
}

static int decode_flags(struct oci_decoder *d, const struct oci_path *at,
			const struct oci_value *value, const struct oci_word *words, uint64_t *ret)
{
	uint64_t flags = 0;
	uint32_t flag = 0;
	size_t i = 0;
	int r;

	if (value->type != OCI_ARRAY)
		return oci_refuse_type(d, at, "array of strings", value);
	for (const struct oci_value *v = value->list.first; v; v = v->next) {
		const struct oci_path here = { .up = at, .index = i++ };

		r = decode_word(d, &here, v, words, &flag);
		if (r < 0)
			return r;
		flags |= flag;
	}
	*ret = flags;
	return 0;
}

static int decode_bool(struct oci_decoder *d, const struct oci_path *at,
		       const struct oci_value *value, const struct oci_field *f, void *to)
{
	if (value->type != OCI_BOOLEAN)
		return oci_refuse_type(d, at, "boolean", value);
	if (f->kind == OCI_BOOL)
		*(bool *)to = value->boolean;
	else
		*(struct oci_opt_bool *)to =
			(struct oci_opt_bool){ .v = value->boolean, .set = true };
	return 0;
}

int oci_decode_list(struct oci_decoder *d, const struct oci_path *at, const struct oci_value *value,
		    const struct oci_object *object, void *items, size_t *len)
{
	const size_t n = value->list.len;
	char *list;
	size_t i = 0;
	int r;

	if (value->type != OCI_ARRAY)
		return oci_refuse_type(d, at, "array", value);
	r = oci_decode_size(d, at, n);
	if (r < 0 || n == 0)
		return r;
	list = oci_arena_alloc(d->arena, n, object->size);
	if (!list)
		return oci_refuse_memory(d);
	for (const struct oci_value *v = value->list.first; v; v = v->next) {
		const struct oci_path here = { .up = at, .index = i };

		r = oci_decode_object(d, &here, v, object, list + i++ * object->size);
		if (r < 0)
			return r;
	}
	*(void **)items = list;
	*len = n;
	return 0;
}

/* base is the parent's struct. */
static int decode_field(struct oci_decoder *d, const struct oci_path *at,
			const struct oci_value *value, const struct oci_field *f, char *base)
{
	void *to = base + f->offset;

	switch (f->kind) {
	case OCI_BOOL:
	case OCI_OPT_BOOL:
		return decode_bool(d, at, value, f, to);
	case OCI_STRING:
		return decode_text(d, at, value, f, to);
	case OCI_STRINGS:
		return decode_strings(d, at, value, to);
	case OCI_STRINGMAP:
		return decode_stringmap(d, at, value, to);
	case OCI_INT32:
	case OCI_UINT32:
	case OCI_INT64:
	case OCI_UINT64:
	case OCI_OPT_INT64:
	case OCI_OPT_UINT64:
		return oci_decode_integer(d, at, value, f, to);
	case OCI_WORD:
		return decode_word(d, at, value, f->words, to);
	case OCI_FLAGS:
		return decode_flags(d, at, value, f->words, to);
	case OCI_OBJECT:
		return oci_decode_object(d, at, value, f->object, to);
	case OCI_LIST:
		return oci_decode_list(d, at, value, f->object, to,
				       (size_t *)(void *)(base + f->len_offset));
	case OCI_CUSTOM:
		break;
	}
	return f->read(d, at, value, to);
}

static const struct oci_field *find_field(const struct oci_object *object, const char *key)
{
	for (size_t i = 0; i < object->fields_len; i++) {
		const struct oci_field *f = &object->fields[i];

		if (f->key[0] == key[0] && strcmp(f->key, key) == 0)
			return f;
	}
	return NULL;
}

int oci_decode_object(struct oci_decoder *d, const struct oci_path *at,
		      const struct oci_value *value, const struct oci_object *object, void *to)
{
	const struct oci_field *f;
	uint64_t seen = 0;
	int r;

	if (value->type != OCI_MEMBERS)
		return oci_refuse_type(d, at, "object", value);
	for (const struct oci_value *member = value->list.first; member; member = member->next) {
		const struct oci_path here = { .up = at, .key = member->key };

		f = find_field(object, member->key);
		if (!f || member->type == OCI_NULL)
			continue;
		seen |= UINT64_C(1) << (f - object->fields);
		r = decode_field(d, &here, member, f, to);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < object->fields_len; i++) {
		f = &object->fields[i];
		if (f->required && !(seen >> i & 1))
			return oci_refuse_key(d, at, f->key, "missing");
	}
	if (object->sets_flag)
		*(bool *)to = true;
	return object->check ? object->check(d, at, to) : 0;
}
