/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

/* The state of one parse. */
struct parser {
	const struct option *table;
	char *const *argv;
	int argc;
	int next; /* index of the next word */
	void *store;
	struct err *err;
};

static const struct option *find_long(const struct option *table, const char *name, size_t len)
{
	for (; table->name; table++) {
		if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
			return table;
	}
	return NULL;
}

static const struct option *find_short(const struct option *table, char name)
{
	for (; table->name; table++) {
		if (name && table->short_name == name)
			return table;
	}
	return NULL;
}

/* strconv.ParseBool. */
static int parse_bool(const char *text, bool *ret)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (str_eq(text, yes[i])) {
			*ret = true;
			return 0;
		}
		if (str_eq(text, no[i])) {
			*ret = false;
			return 0;
		}
	}
	return -EINVAL;
}

/* One "12.5ms" of a duration; *text moves behind it. */
static int duration_part(const char **text, double *ret_ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "ns", 1e-6 }, { "us", 1e-3 }, { "ms", 1 },
		      { "s", 1e3 },   { "m", 60e3 },  { "h", 3600e3 } };
	const char *s = *text;
	double value = 0;
	double scale = 1;
	bool digits = false;

	for (; *s >= '0' && *s <= '9'; s++, digits = true)
		value = value * 10 + (*s - '0');
	if (*s == '.') {
		for (s++; *s >= '0' && *s <= '9'; s++, digits = true) {
			scale /= 10;
			value += (*s - '0') * scale;
		}
	}
	if (!digits)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		const char *rest = str_after(s, units[i].unit);

		if (rest && (*rest == '\0' || *rest == '.' || (*rest >= '0' && *rest <= '9'))) {
			*ret_ms = value * units[i].ms;
			*text = rest;
			return 0;
		}
	}
	return -EINVAL;
}

int duration_parse(const char *text, unsigned long long *ret_ms)
{
	double total = 0;

	if (str_eq(text, "0")) {
		*ret_ms = 0;
		return 0;
	}
	if (*text == '+')
		text++;
	do {
		double part;
		const int r = duration_part(&text, &part);

		if (r < 0)
			return r;
		total += part;
	} while (*text);
	if (total > 1e15)
		return -EINVAL;
	*ret_ms = (unsigned long long)total;
	if (total > 0 && *ret_ms == 0)
		*ret_ms = 1;
	return 0;
}

static int list_add(struct option_list *list, const char *value)
{
	const char **items = reallocarray(list->items, list->len + 2, sizeof(*items));

	if (!items)
		return -ENOMEM;
	items[list->len++] = value;
	items[list->len] = NULL;
	list->items = items;
	return 0;
}

static int store_uint(void *where, const char *value)
{
	uint64_t number;
	const int r = str_to_u64(value, UINT_MAX, &number);

	if (r == 0)
		*(unsigned int *)where = (unsigned int)number;
	return r;
}

static int store_duration(void *where, const char *value)
{
	unsigned long long ms;
	const int r = duration_parse(value, &ms);

	if (r == 0 && ms == 0)
		return -EDOM;
	if (r == 0)
		*(uint64_t *)where = ms;
	return r;
}

/* Put one value where the table says. */
static int set_value(const struct parser *p, const struct option *opt, const char *value)
{
	void *where = (char *)p->store + opt->offset;
	bool flag;
	int r = 0;

	switch (opt->kind) {
	case OPTION_FLAG:
	case OPTION_IGNORED_FLAG:
		if (parse_bool(value, &flag) < 0)
			return err_set(p->err, -EINVAL,
				       "invalid boolean value \"%s\" for -%s: parse error", value,
				       opt->name);
		if (opt->kind == OPTION_FLAG)
			*(bool *)where = flag;
		return 0;
	case OPTION_STRING:
	case OPTION_OPTIONAL:
		*(const char **)where = value;
		return 0;
	case OPTION_LIST:
		r = list_add(where, value);
		return r < 0 ? err_sys(p->err, r, "--%s", opt->name) : 0;
	case OPTION_UINT:
		r = store_uint(where, value);
		break;
	case OPTION_DURATION:
		r = store_duration(where, value);
		break;
	case OPTION_IGNORED_VALUE:
		return 0;
	}
	if (r == -EDOM)
		return err_set(p->err, -EINVAL, "duration %s must be greater than 0", opt->name);
	if (r < 0)
		return err_set(p->err, -EINVAL, "invalid value \"%s\" for flag -%s: %s", value,
			       opt->name, r == -ERANGE ? "value out of range" : "parse error");
	return 0;
}

/* An option without "=value": flags are on, the others take the next word, whatever it looks like.
 */
static int take_option(struct parser *p, const struct option *opt, const char *spelled)
{
	switch (opt->kind) {
	case OPTION_FLAG:
	case OPTION_IGNORED_FLAG:
		return set_value(p, opt, "true");
	case OPTION_OPTIONAL:
		return set_value(p, opt, "");
	default:
		if (p->next >= p->argc)
			return err_set(p->err, -EINVAL, "flag needs an argument: -%s", spelled);
		return set_value(p, opt, p->argv[p->next++]);
	}
}

static bool is_flag(const struct option *opt)
{
	return opt->kind == OPTION_FLAG || opt->kind == OPTION_IGNORED_FLAG;
}

/* "-itfoo"? No: a cluster is made of flags, only its last letter may take a value (the next word).
 */
static int take_cluster(struct parser *p, const char *letters)
{
	for (const char *c = letters; *c; c++) {
		const struct option *opt = find_short(p->table, *c);
		const char spelled[2] = { *c, '\0' };
		int r;

		if (!opt || (c[1] && !is_flag(opt)))
			return err_set(p->err, -EINVAL, "flag provided but not defined: -%s",
				       letters);
		r = take_option(p, opt, spelled);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One word that begins with a dash. `name` is the word without its dashes. */
static int take_word(struct parser *p, const char *word, const char *name)
{
	const char *equals = strchr(name, '=');
	const size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option *opt = find_long(p->table, name, len);
	const char spelled[2] = { *name, '\0' };

	if (len == 0 || *name == '-')
		return err_set(p->err, -EINVAL, "bad flag syntax: %s", word);
	if (!opt && len == 1)
		opt = find_short(p->table, *name);
	if (opt)
		return equals ? set_value(p, opt, equals + 1)
			      : take_option(p, opt, len == 1 ? spelled : opt->name);
	if (!equals && word[1] != '-')
		return take_cluster(p, name);
	return err_set(p->err, -EINVAL, "flag provided but not defined: -%.*s", (int)len, name);
}

static bool is_help(const char *word)
{
	return str_eq(word, "--help") || str_eq(word, "-h") || str_eq(word, "-help");
}

static int parse_words(struct parser *p, bool interspersed, struct option_args *args)
{
	while (p->next < p->argc) {
		const char *word = p->argv[p->next++];
		int r;

		if (str_eq(word, "--"))
			break;
		if (word[0] != '-' || word[1] == '\0') {
			if (!interspersed) {
				p->next--;
				break;
			}
			args->items[args->len++] = word;
			continue;
		}
		if (is_help(word)) {
			args->help = true;
			return 0;
		}
		r = take_word(p, word, word + (word[1] == '-' ? 2 : 1));
		if (r < 0)
			return r;
	}
	while (p->next < p->argc)
		args->items[args->len++] = p->argv[p->next++];
	return 0;
}

int options_parse(const struct option *table, int argc, char *const *argv, bool interspersed,
		  void *store, struct option_args *ret, struct err *err)
{
	struct parser p = {
		.table = table, .argv = argv, .argc = argc, .store = store, .err = err
	};
	AUTO(option_args_done) struct option_args args = { 0 };
	int r;

	args.items = calloc((size_t)(argc < 0 ? 0 : argc) + 1, sizeof(*args.items));
	if (!args.items)
		return err_sys(err, -ENOMEM, "command line");
	r = parse_words(&p, interspersed, &args);
	if (r < 0)
		return r;
	*ret = args;
	args.items = NULL;
	return 0;
}

void options_done(const struct option *table, void *store)
{
	for (; table->name; table++) {
		struct option_list *list = (void *)((char *)store + table->offset);

		if (table->kind != OPTION_LIST)
			continue;
		free(list->items);
		*list = (struct option_list){ 0 };
	}
}

void option_args_done(struct option_args *args)
{
	free(args->items);
	*args = (struct option_args){ 0 };
}
