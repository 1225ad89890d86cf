/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static const char *const type_names[] = {
	[METRICS_COUNTER] = "counter",
	[METRICS_GAUGE] = "gauge",
	[METRICS_UNTYPED] = "untyped",
};

struct metrics *metrics_new(void)
{
	return calloc(1, sizeof(struct metrics));
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->len; i++) {
		buf_done(&m->families[i]->samples);
		free(m->families[i]);
	}
	free(m->families);
	free(m);
}

struct metrics_family *metrics_find(struct metrics *m, const char *name)
{
	if (m->last && str_eq(m->last->name, name))
		return m->last;
	for (size_t i = 0; i < m->len; i++) {
		if (str_eq(m->families[i]->name, name))
			return m->last = m->families[i];
	}
	return NULL;
}

struct metrics_family *metrics_family(struct metrics *m, const struct metrics_kind *kind)
{
	struct metrics_family *f = metrics_find(m, kind->name);

	if (f)
		return f;
	if (m->len == METRICS_FAMILIES_MAX) {
		m->error = m->error ? m->error : -E2BIG;
		return NULL;
	}
	if (!m->families)
		m->families = calloc(METRICS_FAMILIES_MAX, sizeof(*m->families));
	f = m->families ? calloc(1, sizeof(*f)) : NULL;
	if (!f) {
		m->error = m->error ? m->error : -ENOMEM;
		return NULL;
	}
	assert(strlen(kind->name) < METRICS_NAME_MAX);
	(void)snprintf(f->name, sizeof(f->name), "%s", kind->name);
	(void)snprintf(f->help, sizeof(f->help), "%s", kind->help);
	f->type = kind->type;
	f->samples.max = METRICS_TEXT_MAX;
	m->families[m->len++] = f;
	return m->last = f;
}

/* ---- Labels ---- */

size_t metrics_utf8(const char *s, size_t len)
{
	const unsigned char *b = (const unsigned char *)s;
	const size_t n = b[0] < 0x80   ? 1
			 : b[0] < 0xc2 ? 0
			 : b[0] < 0xe0 ? 2
			 : b[0] < 0xf0 ? 3
			 : b[0] < 0xf5 ? 4
				       : 0;

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Longer than it must be, halves of pairs, beyond the last: RFC 3629. */
	if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) ||
	    (b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] > 0x8f))
		return 0;
	return n;
}

void metrics_label(struct buf *labels, const char *name, const char *value)
{
	const size_t len = strnlen(value, METRICS_VALUE_MAX);
	const size_t whole = str_whole_utf8(value, len);

	buf_printf(labels, "%s%s=\"", labels->len ? "," : "", name);
	for (size_t i = 0; i < whole;) {
		const size_t n = metrics_utf8(value + i, whole - i);

		if (n == 0)
			buf_puts(labels, "?");
		else if (value[i] == '\n')
			buf_puts(labels, "\\n");
		else if (value[i] == '"' || value[i] == '\\')
			buf_printf(labels, "\\%c", value[i]);
		else
			buf_append(labels, value + i, n);
		i += n ? n : 1;
	}
	buf_puts(labels, "\"");
}

/* ---- Samples ---- */

static struct buf *begin_sample(struct metrics *m, const struct metrics_kind *kind,
				const char *labels)
{
	struct metrics_family *f = metrics_family(m, kind);

	if (!f)
		return NULL;
	if (*labels)
		buf_printf(&f->samples, "%s{%s} ", f->name, labels);
	else
		buf_printf(&f->samples, "%s ", f->name);
	return &f->samples;
}

void metrics_add(struct metrics *m, const struct metrics_kind *kind, const char *labels,
		 uint64_t value)
{
	struct buf *samples = begin_sample(m, kind, labels);

	if (samples)
		buf_printf(samples, "%" PRIu64 "\n", value);
}

void metrics_add_ns(struct metrics *m, const struct metrics_kind *kind, const char *labels,
		    uint64_t ns)
{
	struct buf *samples = begin_sample(m, kind, labels);

	if (samples)
		buf_printf(samples, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000,
			   ns % 1000000000);
}

int metrics_print(const struct metrics *m, struct buf *out)
{
	int r = m->error;

	for (size_t i = 0; r == 0 && i < m->len; i++) {
		const struct metrics_family *f = m->families[i];

		r = buf_error(&f->samples);
		if (r < 0 || f->samples.len == 0)
			continue;
		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name,
			   type_names[f->type]);
		buf_append(out, f->samples.data, f->samples.len);
	}
	return r < 0 ? r : buf_error(out);
}
