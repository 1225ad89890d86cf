/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

bool str_ends(const char *s, const char *suffix)
{
	const size_t len = strlen(s), n = strlen(suffix);

	return len >= n && memcmp(s + len - n, suffix, n) == 0;
}

size_t str_whole_utf8(const char *s, size_t len)
{
	size_t start = len;
	unsigned char lead;
	size_t need;

	while (start > 0 && len - start < 3 && ((unsigned char)s[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0)
		return len;
	lead = (unsigned char)s[start - 1];
	need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	return len - (start - 1) < need ? start - 1 : len;
}

/* Digits up to the first other character; -EINVAL if there are none, -ERANGE if too large. */
static int digits(const char **s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!isdigit((unsigned char)**s))
		return -EINVAL;
	for (; isdigit((unsigned char)**s); (*s)++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(**s - '0'), &v))
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

int str_to_u64(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	int r = digits(&s, &v);

	if (r < 0)
		return r;
	if (*s != '\0')
		return -EINVAL;
	if (v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *ret)
{
	const bool negative = *s == '-';
	uint64_t v;
	int64_t n;
	int r = str_to_u64(negative ? s + 1 : s, (uint64_t)INT64_MAX + negative, &v);

	if (r < 0)
		return r;
	n = negative ? (int64_t)(0 - v) : (int64_t)v;
	if (n < min || n > max)
		return -ERANGE;
	*ret = n;
	return 0;
}

int str_to_size(const char *s, uint64_t *ret_bytes)
{
	static const char units[] = "kmgt";
	const char *unit;
	uint64_t v;
	int r = digits(&s, &v);

	if (r < 0)
		return r;
	unit = *s ? strchr(units, tolower((unsigned char)*s)) : NULL;
	if (unit) {
		const unsigned int shift = 10 * (unsigned int)(unit - units + 1);

		if (v > UINT64_MAX >> shift)
			return -ERANGE;
		v <<= shift;
		s++;
	}
	if (*s != '\0' && strcasecmp(s, "b") != 0 && !(unit && strcasecmp(s, "ib") == 0))
		return -EINVAL;
	*ret_bytes = v;
	return 0;
}

int str_printf(char **ret, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	*ret = text;
	return 0;
}

size_t strv_len(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

int strv_push(char ***list, char *s)
{
	const size_t n = strv_len(*list);
	char **grown;

	if (!s)
		return -ENOMEM;
	grown = reallocarray(*list, n + 2, sizeof(*grown));
	if (!grown) {
		free(s);
		return -ENOMEM;
	}
	grown[n] = s;
	grown[n + 1] = NULL;
	*list = grown;
	return 0;
}

int strv_add(char ***list, const char *s)
{
	return strv_push(list, strdup(s));
}

void strv_free(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

bool str_path_leaves(const char *path)
{
	while (*path) {
		const size_t len = strcspn(path, "/");

		if (len == 2 && path[0] == '.' && path[1] == '.')
			return true;
		path += len + (path[len] == '/');
	}
	return false;
}
