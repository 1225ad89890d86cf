/* SPDX-License-Identifier: Apache-2.0 */
/* Both directions and the text go by one table, made from wire/events.def. */
#include "wire/event_codec.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum kind { KIND_i64, KIND_u64, KIND_hex, KIND_text, KIND_list };

struct field {
	const char *name;
	enum kind kind;
	size_t offset; /* in struct event_NAME */
};

#define EVENT(number, name, what)      static const struct field fields_##name[] = {
#define FIELD(event, kind, name, what) { #name, KIND_##kind, offsetof(struct event_##event, name) },
#define END(event) \
	{          \
		0  \
	}          \
	}          \
	;
#include "wire/events.def"
#undef EVENT
#undef FIELD
#undef END

static const struct {
	const char *name;
	const struct field *fields;
} events[EVENT_TYPES] = {
#define EVENT(number, name, what) [number] = { #name, fields_##name },
#define FIELD(event, kind, name, what)
#define END(event)
#include "wire/events.def"
#undef EVENT
#undef FIELD
#undef END
};

_Static_assert(EVENT_TYPES <= 32, "a mask has 32 bits");

const char *event_name(uint32_t type)
{
	return type > 0 && type < EVENT_TYPES ? events[type].name : NULL;
}

/* The bits that a word means; 0: none. */
static uint32_t bits_of(const char *word, size_t len)
{
	if (len == 3 && !memcmp(word, "all", 3))
		return ~1u;
	for (uint32_t type = 1; type < EVENT_TYPES; type++) {
		if (strlen(events[type].name) == len && !memcmp(events[type].name, word, len))
			return 1u << type;
	}
	return 0;
}

int event_mask_parse(const char *list, uint32_t *ret, struct err *err)
{
	uint32_t mask = 0;

	while (*list) {
		const size_t len = strcspn(list, ",");
		const uint32_t bits = bits_of(list, len);

		if (!bits)
			return err_set(err, -EINVAL, "events: \"%.*s\" is no event", (int)len,
				       list);
		mask |= bits;
		list += len;
		list += *list == ',';
	}
	*ret = mask;
	return 0;
}

struct event_text event_text(const char *text)
{
	struct event_text t = { .bytes = text ? text : "" };

	t.len = (uint32_t)strnlen(t.bytes, EVENT_TEXT_MAX + 1);
	t.cut = t.len > EVENT_TEXT_MAX;
	if (t.cut)
		t.len = EVENT_TEXT_MAX;
	return t;
}

void event_list_add(struct event_list *list, const char *text)
{
	const struct event_text t = event_text(text);
	size_t bytes = t.len;

	for (uint32_t i = 0; i < list->len; i++)
		bytes += list->items[i].len;
	if (list->cut || list->len == EVENT_LIST_MAX || bytes > EVENT_LIST_BYTES)
		list->cut = true;
	else
		list->items[list->len++] = t;
}

/* ---- Writing: the limits of texts and lists keep every record below EVENT_RECORD_MAX. ---- */

static char *put_text(char *at, const struct event_text *text)
{
	const uint32_t len = text->len < EVENT_TEXT_MAX ? text->len : EVENT_TEXT_MAX;
	const uint32_t word = len | (text->cut || len < text->len ? EVENT_CUT : 0);

	memcpy(at, &word, sizeof(word));
	if (len)
		memcpy(at + sizeof(word), text->bytes, len);
	return at + sizeof(word) + len;
}

static char *put_fields(char *at, const struct field *f, const void *from)
{
	for (; f->name; f++) {
		const void *value = (const char *)from + f->offset;
		const struct event_list *list = value;
		uint32_t word;

		switch (f->kind) {
		case KIND_i64:
		case KIND_u64:
		case KIND_hex:
			memcpy(at, value, 8);
			at += 8;
			break;
		case KIND_text:
			at = put_text(at, value);
			break;
		case KIND_list:
			word = list->len | (list->cut ? EVENT_CUT : 0);
			memcpy(at, &word, sizeof(word));
			at += sizeof(word);
			for (uint32_t i = 0; i < list->len; i++)
				at = put_text(at, &list->items[i]);
			break;
		}
	}
	return at;
}

size_t event_encode(const struct event_head *head, const struct event_common *common,
		    const void *fields, void *bytes)
{
	struct event_head h = *head;
	char *at = (char *)bytes + sizeof(h);

	at = put_fields(at, fields_common, common);
	at = put_fields(at, events[h.type].fields, fields);
	h.version = EVENT_VERSION;
	h.size = (uint32_t)(at - (char *)bytes);
	memcpy(bytes, &h, sizeof(h));
	return h.size;
}

void event_set_sequence(void *bytes, uint64_t sequence)
{
	memcpy((char *)bytes + offsetof(struct event_head, sequence), &sequence, sizeof(sequence));
}

/* ---- Reading ---- */

struct reader {
	const char *at;
	size_t left;
	bool bad, ended; /* ended: a field begins where the record has nothing left */
};

static const char *take(struct reader *r, size_t len)
{
	const char *at = r->at;

	if (r->bad || r->left < len) {
		r->bad = true;
		return NULL;
	}
	r->at += len;
	r->left -= len;
	return at;
}

static uint32_t take_word(struct reader *r)
{
	const char *at = take(r, sizeof(uint32_t));
	uint32_t word = 0;

	if (at)
		memcpy(&word, at, sizeof(word));
	return word;
}

static void take_text(struct reader *r, struct event_text *ret)
{
	const uint32_t word = take_word(r);

	ret->cut = word & EVENT_CUT;
	ret->len = word & ~EVENT_CUT;
	if (ret->len > EVENT_TEXT_MAX)
		r->bad = true;
	ret->bytes = take(r, ret->len);
	if (!ret->bytes)
		ret->len = 0;
}

static void take_list(struct reader *r, struct event_list *ret)
{
	const uint32_t word = take_word(r);
	const uint32_t len = word & ~EVENT_CUT;
	size_t bytes = 0;

	ret->cut = word & EVENT_CUT;
	ret->len = 0;
	if (len > EVENT_LIST_MAX)
		r->bad = true;
	while (!r->bad && ret->len < len) {
		take_text(r, &ret->items[ret->len]);
		bytes += ret->items[ret->len++].len;
		r->bad = r->bad || bytes > EVENT_LIST_BYTES;
	}
}

static void take_fields(struct reader *r, const struct field *f, void *to)
{
	for (; f->name && !r->bad; f++) {
		void *value = (char *)to + f->offset;
		const char *at;

		/* Of an older writer: fields that it did not have. */
		if (r->left == 0) {
			r->ended = true;
			return;
		}
		switch (f->kind) {
		case KIND_i64:
		case KIND_u64:
		case KIND_hex:
			at = take(r, 8);
			if (at)
				memcpy(value, at, 8);
			break;
		case KIND_text:
			take_text(r, value);
			break;
		case KIND_list:
			take_list(r, value);
			break;
		}
	}
}

int event_decode(const void *bytes, size_t len, struct event_record *ret, size_t *ret_size)
{
	struct event_head head;
	struct reader r = { 0 };

	if (len < sizeof(head))
		return -EAGAIN;
	memcpy(&head, bytes, sizeof(head));
	if (head.size < sizeof(head) || head.size > EVENT_RECORD_MAX || head.type == 0)
		return -EBADMSG;
	if (head.version != EVENT_VERSION)
		return -EPROTO;
	if (len < head.size)
		return -EAGAIN;
	memset(ret, 0, sizeof(*ret));
	ret->head = head;
	*ret_size = head.size;
	r.at = (const char *)bytes + sizeof(head);
	r.left = head.size - sizeof(head);
	take_fields(&r, fields_common, &ret->common);
	if (r.bad || r.ended)
		return -EBADMSG;
	if (head.type >= EVENT_TYPES)
		return 0;
	take_fields(&r, events[head.type].fields, &ret->u);
	return r.bad ? -EBADMSG : 1;
}

/* ---- JSON ---- */

static void json_text(struct buf *b, const struct event_text *text)
{
	(void)buf_puts(b, "\"");
	for (uint32_t i = 0; i < text->len; i++) {
		const unsigned char c = (unsigned char)text->bytes[i];
		const char plain = (char)c;

		if (c == '"' || c == '\\')
			(void)buf_printf(b, "\\%c", c);
		else if (c >= ' ' && c < 0x7f)
			(void)buf_append(b, &plain, 1);
		else
			(void)buf_printf(b, "\\u%04x", c);
	}
	(void)buf_puts(b, "\"");
}

static bool is_cut(const struct field *f, const void *from)
{
	const void *value = (const char *)from + f->offset;
	const struct event_text *text = value;
	const struct event_list *list = value;

	if (f->kind == KIND_text)
		return text->cut;
	if (f->kind != KIND_list)
		return false;
	for (uint32_t i = 0; i < list->len; i++) {
		if (list->items[i].cut)
			return true;
	}
	return list->cut;
}

static void json_field(struct buf *b, const struct field *f, const void *from)
{
	const void *value = (const char *)from + f->offset;
	const struct event_list *list = value;
	uint64_t number;

	(void)buf_printf(b, ",\"%s\":", f->name);
	switch (f->kind) {
	case KIND_i64:
		memcpy(&number, value, 8);
		(void)buf_printf(b, "%" PRId64, (int64_t)number);
		break;
	case KIND_u64:
		memcpy(&number, value, 8);
		(void)buf_printf(b, "%" PRIu64, number);
		break;
	case KIND_hex:
		memcpy(&number, value, 8);
		(void)buf_printf(b, "\"0x%" PRIx64 "\"", number);
		break;
	case KIND_text:
		json_text(b, value);
		break;
	case KIND_list:
		(void)buf_puts(b, "[");
		for (uint32_t i = 0; i < list->len; i++) {
			(void)buf_puts(b, i ? "," : "");
			json_text(b, &list->items[i]);
		}
		(void)buf_puts(b, "]");
		break;
	}
}

static void json_cut(struct buf *b, const struct field *f, const void *from, bool *any)
{
	for (; f->name; f++) {
		if (!is_cut(f, from))
			continue;
		(void)buf_printf(b, "%s\"%s\"", *any ? "," : ",\"cut\":[", f->name);
		*any = true;
	}
}

void event_to_json(const struct event_record *record, struct buf *b)
{
	const struct field *own = events[record->head.type].fields;
	bool cut = false;

	(void)buf_printf(b, "{\"event\":\"%s\",\"sequence\":%" PRIu64 ",\"time_ns\":%" PRIu64,
			 events[record->head.type].name, record->head.sequence,
			 record->head.time_ns);
	for (const struct field *f = fields_common; f->name; f++)
		json_field(b, f, &record->common);
	for (const struct field *f = own; f->name; f++)
		json_field(b, f, &record->u);
	json_cut(b, fields_common, &record->common, &cut);
	json_cut(b, own, &record->u, &cut);
	(void)buf_puts(b, cut ? "]}" : "}");
}
