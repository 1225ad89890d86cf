/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/merge.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "metrics/internal.h"

#define NUMBER_MAX 32u /* bytes */
#define LABEL_MAX  64u /* of a label's name, with its NUL */

/* What is left of a line. */
struct rest {
	const char *at, *end;
};

struct merge {
	struct metrics *metrics;
	const struct merge_options *options;
	unsigned int lines, families;
	/* Of the last TYPE and HELP: the name as it is here. */
	char name[METRICS_NAME_MAX], help[METRICS_HELP_MAX];
	enum metrics_type type;
};

struct label {
	char name[LABEL_MAX];
	const char *value; /* with its quotes, escaped */
	size_t len;
};

struct sample {
	char name[METRICS_NAME_MAX]; /* as it is here */
	struct label labels[MERGE_LABELS_MAX];
	size_t labels_len; /* in the order of their names */
	const char *value;
	size_t value_len;
	bool own;
};

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool take(struct rest *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

/* A name; false when there is none, or it has no room. */
static bool take_name(struct rest *r, char *ret, size_t size)
{
	const char *start = r->at;
	size_t len;

	if (r->at == r->end || !is_letter(*r->at))
		return false;
	while (r->at < r->end && (is_letter(*r->at) || is_digit(*r->at)))
		r->at++;
	len = (size_t)(r->at - start);
	if (len >= size)
		return false;
	memcpy(ret, start, len);
	ret[len] = '\0';
	return true;
}

/* The same of a sample, by the rules. */
static bool take_allowed(const struct merge *m, struct rest *r, char ret[static METRICS_NAME_MAX],
			 bool *ret_own)
{
	char name[METRICS_NAME_MAX];

	if (!take_name(r, name, sizeof(name)))
		return false;
	for (const struct merge_rule *rule = m->options->rules; rule->from; rule++) {
		const char *tail = str_after(name, rule->from);

		if (!tail)
			continue;
		*ret_own = rule->own;
		return snprintf(ret, METRICS_NAME_MAX, "%s%s", rule->to, tail) <
		       (int)METRICS_NAME_MAX;
	}
	return false;
}

/* ---- HELP and TYPE ---- */

static void remember(struct merge *m, const char *name)
{
	if (str_eq(m->name, name))
		return;
	(void)snprintf(m->name, sizeof(m->name), "%s", name);
	m->help[0] = '\0';
	m->type = METRICS_UNTYPED;
}

static void take_help(struct merge *m, const struct rest *r)
{
	size_t len = 0;

	for (const char *c = r->at; c < r->end && len + 1 < sizeof(m->help); c++)
		m->help[len++] = *c == '\\' ? '/' : *c < ' ' || *c > '~' ? '?' : *c;
	m->help[len] = '\0';
}

/* Behind "# ". Whatever else a comment says is its own affair. */
static void take_comment(struct merge *m, struct rest r)
{
	char word[8], name[METRICS_NAME_MAX];
	bool own;
	const bool known = take_name(&r, word, sizeof(word)) && take(&r, ' ') &&
			   take_allowed(m, &r, name, &own) && take(&r, ' ');
	const size_t len = (size_t)(r.end - r.at);

	if (!known)
		return;
	if (str_eq(word, "HELP")) {
		remember(m, name);
		take_help(m, &r);
	} else if (str_eq(word, "TYPE")) {
		remember(m, name);
		if (len == strlen("counter") && memcmp(r.at, "counter", len) == 0)
			m->type = METRICS_COUNTER;
		else if (len == strlen("gauge") && memcmp(r.at, "gauge", len) == 0)
			m->type = METRICS_GAUGE;
	}
}

/* ---- Samples ---- */

static bool is_reserved(const struct merge *m, const char *name)
{
	for (const char *const *one = m->options->reserved; one && *one; one++) {
		if (str_eq(*one, name))
			return true;
	}
	return false;
}

/* Quoted, not empty, of UTF-8 without control characters, with the escapes that there are. */
static bool take_value(struct rest *r, struct label *ret)
{
	const char *start = r->at;

	if (!take(r, '"'))
		return false;
	while (r->at < r->end && *r->at != '"') {
		size_t n = metrics_utf8(r->at, (size_t)(r->end - r->at));

		if (*r->at == '\\')
			n = r->end - r->at > 1 && strchr("\\\"n", r->at[1]) && r->at[1] ? 2 : 0;
		else if ((unsigned char)*r->at < ' ' || *r->at == 0x7f)
			n = 0;
		if (n == 0)
			return false;
		r->at += n;
	}
	if (!take(r, '"') || r->at - start > (int)METRICS_VALUE_MAX)
		return false;
	ret->value = start;
	ret->len = (size_t)(r->at - start);
	return ret->len > strlen("\"\"");
}

/* The order that they came in makes no other sample. */
static bool take_label(const struct merge *m, struct rest *r, struct sample *s)
{
	struct label l;
	size_t at = s->labels_len;

	if (s->labels_len == MERGE_LABELS_MAX || !take_name(r, l.name, sizeof(l.name)) ||
	    is_reserved(m, l.name) || !take(r, '=') || !take_value(r, &l))
		return false;
	while (at > 0 && strcmp(s->labels[at - 1].name, l.name) > 0)
		at--;
	if (at > 0 && str_eq(s->labels[at - 1].name, l.name))
		return false;
	memmove(&s->labels[at + 1], &s->labels[at], (s->labels_len - at) * sizeof(l));
	s->labels[at] = l;
	s->labels_len++;
	return true;
}

static bool take_labels(const struct merge *m, struct rest *r, struct sample *s)
{
	if (!take(r, '{'))
		return true;
	do {
		if (!take_label(m, r, s))
			return false;
	} while (take(r, ','));
	return take(r, '}');
}

/* The rest of the line: digits, and a fraction perhaps. No exponent, no sign, no NaN. */
static bool take_number(struct rest *r, struct sample *s)
{
	s->value = r->at;
	s->value_len = (size_t)(r->end - r->at);
	if (s->value_len > NUMBER_MAX || r->at == r->end || !is_digit(*r->at))
		return false;
	while (r->at < r->end && is_digit(*r->at))
		r->at++;
	if (!take(r, '.'))
		return r->at == r->end;
	if (r->at == r->end)
		return false;
	while (r->at < r->end && is_digit(*r->at))
		r->at++;
	return r->at == r->end;
}

static void write_key(const struct merge *m, const struct sample *s, struct buf *key)
{
	const char *comma = *m->options->labels ? "," : "";
	const bool any = *m->options->labels || s->labels_len;

	buf_printf(key, "%s%s%s", s->name, any ? "{" : "", m->options->labels);
	for (size_t i = 0; i < s->labels_len; i++) {
		buf_printf(key, "%s%s=", comma, s->labels[i].name);
		buf_append(key, s->labels[i].value, s->labels[i].len);
		comma = ",";
	}
	buf_puts(key, any ? "} " : " ");
}

/* Whether a line behind the first `skip` bytes, which are whole lines, begins with it. */
static bool is_there(const struct buf *samples, size_t skip, const struct buf *key)
{
	const char *at = samples->data, *end = at;

	if (!at)
		return false;
	end += samples->len;
	at += skip;
	while (at < end) {
		const char *found = memmem(at, (size_t)(end - at), key->data, key->len);

		if (!found || found == samples->data || found[-1] == '\n')
			return found;
		at = found + 1;
	}
	return false;
}

static struct metrics_family *family_of(struct merge *m, const struct sample *s)
{
	struct metrics_kind kind = { s->name, METRICS_UNTYPED, "" };
	struct metrics_family *f = metrics_find(m->metrics, s->name);
	const size_t kept = s->own ? 0 : METRICS_FAMILIES_OWN;

	if (f)
		return f;
	if (m->metrics->len >= METRICS_FAMILIES_MAX - kept ||
	    (!s->own && m->families == MERGE_FAMILIES_MAX))
		return NULL;
	if (str_eq(m->name, s->name)) {
		kind.type = m->type;
		kind.help = m->help;
	}
	m->families += !s->own;
	return metrics_family(m->metrics, &kind);
}

/* Others' words have so much room in all, so that the whole is never too much to be printed. */
static bool take_room(struct metrics *m, const struct sample *s, size_t len)
{
	if (s->own)
		return true;
	if (len > MERGE_BYTES_MAX - m->merged_bytes)
		return false;
	m->merged_bytes += len;
	return true;
}

static bool take_sample(struct merge *m, struct rest r)
{
	struct sample s = { .labels_len = 0 };
	AUTO_BUF struct buf key = { 0 };
	struct metrics_family *f;

	if (!take_allowed(m, &r, s.name, &s.own) || !take_labels(m, &r, &s) || !take(&r, ' ') ||
	    !take_number(&r, &s))
		return false;
	write_key(m, &s, &key);
	if (buf_error(&key)) {
		m->metrics->error = m->metrics->error ? m->metrics->error : buf_error(&key);
		return false;
	}
	/* Before it is looked for: who has no room costs nothing more. */
	if (!take_room(m->metrics, &s, key.len + s.value_len + 1))
		return false;
	f = family_of(m, &s);
	if (f && f->text != m->metrics->texts) {
		f->text = m->metrics->texts;
		f->text_at = f->samples.len;
	}
	if (!f || is_there(&f->samples, m->options->apart ? f->text_at : 0, &key))
		return false;
	buf_append(&f->samples, key.data, key.len);
	buf_append(&f->samples, s.value, s.value_len);
	buf_puts(&f->samples, "\n");
	return true;
}

size_t metrics_merge(struct metrics *metrics, const char *text, size_t len,
		     const struct merge_options *options)
{
	struct merge m = { .metrics = metrics, .options = options, .type = METRICS_UNTYPED };
	const char *const end = text + len;
	size_t refused = 0;

	metrics->texts++;
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		struct rest line = { text, newline ? newline : end };

		text = newline ? newline + 1 : end;
		if (line.at == line.end)
			continue;
		/* Without its end it may say less than was meant: 12 of 123. */
		if (!newline || m.lines == MERGE_LINES_MAX) {
			refused++;
			continue;
		}
		m.lines++;
		if (take(&line, '#')) {
			if (take(&line, ' '))
				take_comment(&m, line);
		} else if (!take_sample(&m, line))
			refused++;
	}
	return refused;
}
