/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "oci/doc.h"

static void put_escaped(struct buf *out, const char *s)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const size_t len = strlen(s);
	const char *found;
	size_t n;

	(void)buf_append(out, "\"", 1);
	for (size_t i = 0; i < len; i += n) {
		n = oci_utf8_len((const unsigned char *)s + i, len - i);
		found = strchr(from, s[i]);
		if (n == 0) {
			(void)buf_puts(out, "\xef\xbf\xbd");
			n = 1;
		} else if (found) {
			(void)buf_printf(out, "\\%c", to[found - from]);
		} else if ((unsigned char)s[i] < 0x20) {
			(void)buf_printf(out, "\\u%04x", s[i]);
		} else {
			(void)buf_append(out, s + i, n);
		}
	}
	(void)buf_append(out, "\"", 1);
}

static void new_line(struct oci_writer *w)
{
	if (w->compact)
		return;
	(void)buf_append(w->out, "\n", 1);
	for (unsigned int i = 0; i < w->depth * w->indent; i++)
		(void)buf_append(w->out, " ", 1);
}

/* What stands before every value. */
static void begin_value(struct oci_writer *w, const char *key)
{
	if (w->filled)
		(void)buf_append(w->out, ",", 1);
	if (w->depth > 0)
		new_line(w);
	w->filled = true;
	if (key) {
		put_escaped(w->out, key);
		(void)buf_puts(w->out, w->compact ? ":" : ": ");
	}
}

void oci_write_begin(struct oci_writer *w, const char *key, char bracket)
{
	begin_value(w, key);
	(void)buf_append(w->out, &bracket, 1);
	w->depth++;
	w->filled = false;
}

void oci_write_end(struct oci_writer *w, char bracket)
{
	w->depth--;
	if (w->filled)
		new_line(w);
	(void)buf_append(w->out, &bracket, 1);
	w->filled = true;
}

void oci_write_string(struct oci_writer *w, const char *key, const char *value)
{
	begin_value(w, key);
	put_escaped(w->out, value);
}

void oci_write_int(struct oci_writer *w, const char *key, int64_t value)
{
	begin_value(w, key);
	(void)buf_printf(w->out, "%" PRId64, value);
}

void oci_write_uint(struct oci_writer *w, const char *key, uint64_t value)
{
	begin_value(w, key);
	(void)buf_printf(w->out, "%" PRIu64, value);
}

void oci_write_bool(struct oci_writer *w, const char *key, bool value)
{
	begin_value(w, key);
	(void)buf_puts(w->out, value ? "true" : "false");
}

void oci_write_words(struct oci_writer *w, const char *key, const char *const *list)
{
	if (!list)
		return;
	oci_write_begin(w, key, '[');
	for (; *list; list++)
		oci_write_string(w, NULL, *list);
	oci_write_end(w, ']');
}

static int by_key(const void *a, const void *b)
{
	const struct oci_kv *x = a, *y = b;

	return strcmp(x->key, y->key);
}

void oci_write_pairs(struct oci_writer *w, const char *key, const struct oci_kvs *pairs)
{
	AUTO_FREE struct oci_kv *sorted = calloc(pairs->len ? pairs->len : 1, sizeof(*sorted));

	if (!sorted) {
		if (!w->out->error)
			w->out->error = -ENOMEM;
		return;
	}
	if (pairs->len)
		memcpy(sorted, pairs->items, pairs->len * sizeof(*sorted));
	qsort(sorted, pairs->len, sizeof(*sorted), by_key);
	oci_write_begin(w, key, '{');
	for (size_t i = 0; i < pairs->len; i++)
		oci_write_string(w, sorted[i].key, sorted[i].value);
	oci_write_end(w, '}');
}
