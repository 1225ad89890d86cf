/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_done(struct buf *b)
{
	if (!b)
		return;
	free(b->data);
	*b = (struct buf){ .max = b->max };
}

int buf_reserve(struct buf *b, size_t more)
{
	const size_t max = b->max ? b->max : BUF_MAX_DEFAULT;
	size_t cap;
	char *grown;

	if (b->error)
		return b->error;
	if (more > max || b->len > max - more)
		return b->error = -E2BIG;
	if (b->len + more + 1 <= b->cap)
		return 0;
	cap = b->cap ? b->cap * 2 : 256;
	if (cap < b->len + more + 1)
		cap = b->len + more + 1;
	grown = realloc(b->data, cap);
	if (!grown)
		return b->error = -ENOMEM;
	b->data = grown;
	b->cap = cap;
	b->data[b->len] = '\0';
	return 0;
}

int buf_append(struct buf *b, const void *bytes, size_t len)
{
	int r = buf_reserve(b, len);

	if (r < 0)
		return r;
	if (len)
		memcpy(b->data + b->len, bytes, len);
	b->len += len;
	b->data[b->len] = '\0';
	return 0;
}

int buf_puts(struct buf *b, const char *text)
{
	return buf_append(b, text, strlen(text));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return b->error = -EINVAL;
	r = buf_reserve(b, (size_t)n);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}
