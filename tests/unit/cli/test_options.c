/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines as engines write them, and as nobody should. */
#include "lib/unit.h"

#include "base/err.h"
#include "base/str.h"
#include "cli/options.h"

struct store {
	const char *text;
	struct option_list list;
	uint64_t duration_ms;
	unsigned int number;
	bool flag, other;
};

#define FIELD(member) offsetof(struct store, member)

static const struct option table[] = {
	{ "text", "a text", "TEXT", FIELD(text), OPTION_STRING, 't' },
	{ "list", "a list", "ITEM", FIELD(list), OPTION_LIST, 'l' },
	{ "interval", "a duration", "DURATION", FIELD(duration_ms), OPTION_DURATION, 0 },
	{ "number", "a number", "N", FIELD(number), OPTION_UINT, 'n' },
	{ "flag", "a flag", NULL, FIELD(flag), OPTION_FLAG, 'f' },
	{ "other", "a flag", NULL, FIELD(other), OPTION_FLAG, 'o' },
	{ "old", "ignored", NULL, 0, OPTION_IGNORED_FLAG, 0 },
	{ "old-value", "ignored", "X", 0, OPTION_IGNORED_VALUE, 0 },
	{ 0 },
};

struct fixture {
	struct store store;
	struct option_args args;
	struct err err;
};

/* Parse the words up to NULL. */
static int parse(struct fixture *f, bool interspersed, const char *const *words)
{
	int argc = 0;

	memset(f, 0, sizeof(*f));
	while (words[argc])
		argc++;
	return options_parse(table, argc, (char *const *)words, interspersed, &f->store, &f->args,
			     &f->err);
}
#define PARSE(f, ...)	       parse(f, true, (const char *const[]){ __VA_ARGS__, NULL })
#define PARSE_IN_ORDER(f, ...) parse(f, false, (const char *const[]){ __VA_ARGS__, NULL })

static void done(struct fixture *f)
{
	options_done(table, &f->store);
	option_args_done(&f->args);
}

static void every_spelling_of_a_value_is_taken(void **state)
{
	static const char *const spellings[][3] = {
		{ "--text", "v" }, { "--text=v" }, { "-text", "v" },
		{ "-text=v" },	   { "-t", "v" },  { "-t=v" },
	};
	struct fixture f;

	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		assert_int_equal(parse(&f, true, spellings[i]), 0);
		assert_string_equal(f.store.text, "v");
		assert_int_equal(f.args.len, 0);
		done(&f);
	}
}

static void a_value_may_look_like_an_option(void **state)
{
	struct fixture f;

	assert_int_equal(PARSE(&f, "--text", "--flag", "--list=-1", "--text", "-"), 0);
	assert_string_equal(f.store.text, "-");
	assert_false(f.store.flag);
	assert_string_equal(f.store.list.items[0], "-1");
	done(&f);
}

static void an_empty_value_is_a_value(void **state)
{
	struct fixture f;

	assert_int_equal(PARSE(&f, "--text=", "--list", ""), 0);
	assert_string_equal(f.store.text, "");
	assert_string_equal(f.store.list.items[0], "");
	done(&f);
}

static void flags_take_values_only_behind_an_equals_sign(void **state)
{
	struct fixture f;

	assert_int_equal(PARSE(&f, "--flag", "false", "--other=false"), 0);
	assert_true(f.store.flag);
	assert_false(f.store.other);
	assert_int_equal(f.args.len, 1);
	assert_string_equal(f.args.items[0], "false");
	done(&f);
	assert_int_equal(PARSE(&f, "--flag=maybe"), -EINVAL);
	assert_string_equal(f.err.msg, "invalid boolean value \"maybe\" for -flag: parse error");
	done(&f);
}

static void short_flags_form_clusters_and_the_last_may_take_a_value(void **state)
{
	struct fixture f;

	assert_int_equal(PARSE(&f, "-fot", "v"), 0);
	assert_true(f.store.flag);
	assert_true(f.store.other);
	assert_string_equal(f.store.text, "v");
	done(&f);
	assert_int_equal(PARSE(&f, "-tf", "v"), -EINVAL);
	assert_string_equal(f.err.msg, "flag provided but not defined: -tf");
	done(&f);
}

static void unknown_options_are_named_without_their_value(void **state)
{
	struct fixture f;

	assert_int_equal(PARSE(&f, "--nosuch=secret"), -EINVAL);
	assert_string_equal(f.err.msg, "flag provided but not defined: -nosuch");
	done(&f);
	/* Prefixes are not abbreviations, longer names are not prefixes, case counts. */
	assert_int_equal(PARSE(&f, "--tex", "v"), -EINVAL);
	done(&f);
	assert_int_equal(PARSE(&f, "--texts", "v"), -EINVAL);
	done(&f);
	assert_int_equal(PARSE(&f, "--Text", "v"), -EINVAL);
	done(&f);
}

static void malformed_words_are_refused(void **state)
{
	static const char *const words[] = { "---text", "--=v", "-=v", "--=", "-\xff", "--\n" };
	struct fixture f;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		assert_int_equal(PARSE(&f, words[i]), -EINVAL);
		done(&f);
	}
}

static void a_missing_value_is_an_error(void **state)
{
	struct fixture f;

	assert_int_equal(PARSE(&f, "--text"), -EINVAL);
	assert_string_equal(f.err.msg, "flag needs an argument: -text");
	done(&f);
	assert_int_equal(PARSE(&f, "-ft"), -EINVAL);
	assert_string_equal(f.err.msg, "flag needs an argument: -t");
	done(&f);
	assert_int_equal(PARSE(&f, "-t"), -EINVAL);
	assert_string_equal(f.err.msg, "flag needs an argument: -t");
	done(&f);
	assert_int_equal(PARSE(&f, "--old-value"), -EINVAL);
	done(&f);
}

static void numbers_are_strict(void **state)
{
	static const char *const bad[] = { "",	  "-1",		"+1",
					   " 1",  "1 ",		"0x10",
					   "1.0", "4294967296", "99999999999999999999999" };
	struct fixture f;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(PARSE(&f, "--number", bad[i]), -EINVAL);
		assert_says(f.err, "for flag -number");
		done(&f);
	}
	assert_int_equal(PARSE(&f, "-n", "4294967295"), 0);
	assert_true(f.store.number == UINT32_MAX);
	done(&f);
}

static void durations_are_gos(void **state)
{
	static const struct {
		const char *text;
		long long ms; /* -1: refused */
	} rows[] = {
		{ "5s", 5000 },	     { "250ms", 250 }, { "1m30s", 90000 },
		{ "1.5h", 5400000 }, { "0", 0 },       { "0s", 0 },
		{ "1500us", 1 },     { "1us", 1 },     { ".5s", 500 },
		{ "", -1 },	     { "5", -1 },      { "s", -1 },
		{ "-5s", -1 },	     { "5x", -1 },     { "5s ", -1 },
		{ ".s", -1 },	     { "5s5", -1 },    { "99999999999999999h", -1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned long long ms = 77;
		const int r = duration_parse(rows[i].text, &ms);

		if (rows[i].ms < 0) {
			assert_int_equal(r, -EINVAL);
		} else {
			assert_int_equal(r, 0);
			assert_int_equal(ms, rows[i].ms);
		}
	}
}

/* As in runc: an interval of nothing would spin. Less than the resolution is not nothing. */
static void a_duration_must_be_greater_than_0(void **state)
{
	struct fixture f;

	assert_int_equal(PARSE(&f, "--interval", "0"), -EINVAL);
	assert_string_equal(f.err.msg, "duration interval must be greater than 0");
	done(&f);
	assert_int_equal(PARSE(&f, "--interval=0s"), -EINVAL);
	done(&f);
	assert_int_equal(PARSE(&f, "--interval=100us"), 0);
	assert_int_equal(f.store.duration_ms, 1);
	done(&f);
}

static void options_may_follow_arguments_unless_in_order(void **state)
{
	struct fixture f;

	assert_int_equal(PARSE(&f, "id", "--flag", "-", "KILL"), 0);
	assert_true(f.store.flag);
	assert_int_equal(f.args.len, 3);
	assert_string_equal(f.args.items[1], "-");
	assert_null(f.args.items[3]);
	done(&f);
	assert_int_equal(PARSE_IN_ORDER(&f, "-f", "id", "ls", "--nosuch", "-h", "--"), 0);
	assert_true(f.store.flag);
	assert_false(f.args.help);
	assert_int_equal(f.args.len, 5);
	assert_string_equal(f.args.items[4], "--");
	done(&f);
}

static void two_dashes_end_the_options(void **state)
{
	struct fixture f;

	assert_int_equal(PARSE(&f, "a", "--", "--flag", "--", "--help"), 0);
	assert_false(f.store.flag);
	assert_int_equal(f.args.len, 4);
	assert_string_equal(f.args.items[1], "--flag");
	done(&f);
}

static void help_wins_over_what_follows(void **state)
{
	static const char *const words[] = { "--help", "-h", "-help" };
	struct fixture f;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		assert_int_equal(PARSE(&f, words[i], "--nosuch"), 0);
		assert_true(f.args.help);
		done(&f);
	}
}

static void the_last_text_counts_and_lists_keep_all(void **state)
{
	struct fixture f;

	assert_int_equal(PARSE(&f, "-t", "1", "-t", "2", "-l", "a", "-l", "b", "-l", "a"), 0);
	assert_string_equal(f.store.text, "2");
	assert_int_equal(f.store.list.len, 3);
	assert_string_equal(f.store.list.items[2], "a");
	assert_null(f.store.list.items[3]);
	done(&f);
}

static void ignored_options_store_nothing(void **state)
{
	static const struct store zero;
	struct fixture f;

	assert_int_equal(PARSE(&f, "--old", "--old-value", "x", "--old=false", "--old-value=y"), 0);
	assert_memory_equal(&f.store, &zero, sizeof(zero));
	done(&f);
}

static void no_words_at_all(void **state)
{
	struct store store = { 0 };
	struct option_args args = { 0 };
	struct err err;

	assert_int_equal(options_parse(table, 0, NULL, true, &store, &args, &err), 0);
	assert_int_equal(args.len, 0);
	assert_null(args.items[0]);
	option_args_done(&args);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_spelling_of_a_value_is_taken),
		cmocka_unit_test(a_value_may_look_like_an_option),
		cmocka_unit_test(an_empty_value_is_a_value),
		cmocka_unit_test(flags_take_values_only_behind_an_equals_sign),
		cmocka_unit_test(short_flags_form_clusters_and_the_last_may_take_a_value),
		cmocka_unit_test(unknown_options_are_named_without_their_value),
		cmocka_unit_test(malformed_words_are_refused),
		cmocka_unit_test(a_missing_value_is_an_error),
		cmocka_unit_test(numbers_are_strict),
		cmocka_unit_test(durations_are_gos),
		cmocka_unit_test(a_duration_must_be_greater_than_0),
		cmocka_unit_test(options_may_follow_arguments_unless_in_order),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(help_wins_over_what_follows),
		cmocka_unit_test(the_last_text_counts_and_lists_keep_all),
		cmocka_unit_test(ignored_options_store_nothing),
		cmocka_unit_test(no_words_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
