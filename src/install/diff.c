/* SPDX-License-Identifier: Apache-2.0 */
#include "install/diff.h"

#include <stdbool.h>
#include <string.h>

#define AROUND 3 /* lines of context */

/* A text as lines; the newline is part of a line. */
struct lines {
	const char *text;
	size_t len;
	size_t count;
};

static size_t line_end(const struct lines *l, size_t at)
{
	const char *newline = memchr(l->text + at, '\n', l->len - at);

	return newline ? (size_t)(newline - l->text) + 1 : l->len;
}

static struct lines lines_of(const struct buf *b)
{
	struct lines l = { .text = b->data ? b->data : "", .len = b->len };

	for (size_t at = 0; at < l.len; at = line_end(&l, at))
		l.count++;
	return l;
}

/* Lines at the beginning that are the same in both. */
static size_t same_head(const struct lines *a, const struct lines *b)
{
	size_t n = 0;

	for (size_t at = 0; at < a->len && at < b->len; n++) {
		const size_t end = line_end(a, at);

		if (end != line_end(b, at) || memcmp(a->text + at, b->text + at, end - at) != 0)
			break;
		at = end;
	}
	return n;
}

static size_t line_start(const struct lines *l, size_t end)
{
	while (end > 0 && l->text[end - 1] != '\n')
		end--;
	return end;
}

/* Lines at the end that are the same, besides the first `head`. */
static size_t same_tail(const struct lines *a, const struct lines *b, size_t head)
{
	size_t x = a->len, y = b->len, n = 0;

	while (n + head < a->count && n + head < b->count) {
		const size_t from_a = line_start(a, x - 1), from_b = line_start(b, y - 1);

		if (x - from_a != y - from_b ||
		    memcmp(a->text + from_a, b->text + from_b, x - from_a) != 0)
			break;
		x = from_a;
		y = from_b;
		n++;
	}
	return n;
}

static void append_lines(const struct lines *l, size_t from, size_t to, char mark, struct buf *out)
{
	size_t at = 0;

	for (size_t n = 0; n < to; n++) {
		const size_t end = line_end(l, at);

		if (n >= from) {
			buf_append(out, &mark, 1);
			buf_append(out, l->text + at, end - at);
			if (l->text[end - 1] != '\n')
				buf_puts(out, "\n\\ No newline at end of file\n");
		}
		at = end;
	}
}

/* "12,5": the first line and how many; of none the line before. */
static void append_range(size_t from, size_t to, struct buf *out)
{
	buf_printf(out, "%zu,%zu", to > from ? from + 1 : from, to - from);
}

void diff_append(const char *old_name, const struct buf *old_text, const char *new_name,
		 const struct buf *new_text, struct buf *out)
{
	const struct lines a = lines_of(old_text), b = lines_of(new_text);
	const size_t head = same_head(&a, &b), tail = same_tail(&a, &b, head);
	const size_t from = head > AROUND ? head - AROUND : 0;
	const size_t after = tail > AROUND ? tail - AROUND : 0;

	if (head == a.count && head == b.count)
		return;
	buf_printf(out, "--- %s\n+++ %s\n@@ -", old_name, new_name);
	append_range(from, a.count - after, out);
	buf_puts(out, " +");
	append_range(from, b.count - after, out);
	buf_puts(out, " @@\n");
	append_lines(&a, from, head, ' ', out);
	append_lines(&a, head, a.count - tail, '-', out);
	append_lines(&b, head, b.count - tail, '+', out);
	append_lines(&b, b.count - tail, b.count - after, ' ', out);
}
