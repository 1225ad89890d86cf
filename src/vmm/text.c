/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/text.h"

static char printable(char c)
{
	return c >= ' ' && c < 0x7f ? c : '?';
}

void text_printable(char *ret, size_t size, const void *text, size_t len)
{
	const char *c = text;
	size_t n = 0;

	while (n < len && n + 1 < size && c[n]) {
		ret[n] = printable(c[n]);
		n++;
	}
	ret[n] = '\0';
}

void text_printable_lines(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text[i] = text[i] == '\n' ? '\n' : text[i] == '\t' ? ' ' : printable(text[i]);
}
