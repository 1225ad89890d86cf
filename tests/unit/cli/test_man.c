/* SPDX-License-Identifier: Apache-2.0 */
/* The manual pages (argv[1]: caisson.8, argv[2]: caisson.json.5) against the tables of the program.
 */
#include "lib/unit.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/fd.h"
#include "cli/cli.h"

static struct buf page, config_page;

/* As it stands in roff: dashes, quotes and backslashes are escaped. */
static void escape(const char *text, struct buf *out)
{
	for (; *text; text++) {
		if (*text == '-')
			buf_puts(out, "\\-");
		else if (*text == '\'')
			buf_puts(out, "\\(aq");
		else if (*text == '\\')
			buf_puts(out, "\\e");
		else if (*text == '^')
			buf_puts(out, "\\(ha");
		else
			buf_append(out, text, 1);
	}
}

static void spell(const struct option *opt, struct buf *out)
{
	buf_puts(out, ".TP\n\\fB\\-\\-");
	escape(opt->name, out);
	buf_puts(out, "\\fR");
	if (opt->arg) {
		buf_puts(out, " \\fI");
		escape(opt->arg, out);
		buf_puts(out, "\\fR");
	}
	if (opt->short_name) {
		buf_printf(out, ", \\fB\\-%c\\fR", opt->short_name);
		if (opt->arg) {
			buf_puts(out, " \\fI");
			escape(opt->arg, out);
			buf_puts(out, "\\fR");
		}
	}
	buf_puts(out, "\n");
	escape(opt->help, out);
	buf_puts(out, "\n");
}

/* The text from a heading to the next one; the caller frees. */
static char *section(const char *heading)
{
	const char *start = strstr(page.data, heading);
	const char *end;

	if (!start)
		fail_msg("caisson.8 has no %s", heading);
	start += strlen(heading);
	end = strstr(start, "\n.S");
	return strndup(start, end ? (size_t)(end - start) + 1 : strlen(start));
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *c = strstr(text, what); c; c = strstr(c + 1, what))
		n++;
	return n;
}

static void check_options(const char *heading, const struct option *table)
{
	char *text = section(heading);
	size_t len = 0;

	for (; table[len].name; len++) {
		AUTO_BUF struct buf wanted = { 0 };

		spell(&table[len], &wanted);
		if (!strstr(text, wanted.data))
			fail_msg("%s of caisson.8 lacks:\n%s", heading, wanted.data);
	}
	/* And nothing that the table does not have. */
	assert_int_equal(count(text, ".TP\n\\fB\\-"), len);
	free(text);
}

/* What `caisson help VERB` says of usage and verb, line by line as it is there. */
static void check_words(const struct verb *v, const char *heading)
{
	AUTO_BUF struct buf wanted = { 0 };
	char *text = section(heading);

	buf_puts(&wanted, ".B caisson\n");
	escape(v->name, &wanted);
	buf_puts(&wanted, v->options[0].name ? " [command options]" : "");
	buf_puts(&wanted, *v->args ? " " : "");
	escape(v->args, &wanted);
	buf_puts(&wanted, "\n.PP\n");
	if (!strstr(text, wanted.data))
		fail_msg("%s of caisson.8 lacks:\n%s", heading, wanted.data);
	buf_done(&wanted);
	escape(v->description ? v->description : "", &wanted);
	if (wanted.data && !strstr(text, wanted.data))
		fail_msg("%s of caisson.8 lacks:\n%s", heading, wanted.data);
	free(text);
}

static void global_options_are_the_tables(void **state)
{
	check_options(".SH \"GLOBAL OPTIONS\"\n", global_option_table);
}

static void each_verb_has_a_section_with_its_words_and_options(void **state)
{
	size_t verbs = 0;

	for (const struct verb *const *v = verb_table; *v; v++, verbs++) {
		AUTO_BUF struct buf heading = { 0 };

		buf_printf(&heading, ".SS %s\n", (*v)->name);
		check_words(*v, heading.data);
		check_options(heading.data, (*v)->options);
	}
	assert_int_equal(count(page.data, "\n.SS "), verbs);
}

static void each_configuration_key_is_described(void **state)
{
	for (int key = 0; key < CONFIG_KEYS; key++) {
		char wanted[64];

		(void)snprintf(wanted, sizeof(wanted), ".BR %s \" (",
			       config_key_name((enum config_key)key));
		if (!strstr(config_page.data, wanted))
			fail_msg("caisson.json.5 lacks %s", wanted);
	}
	assert_int_equal(count(config_page.data, ".TP\n.BR "), CONFIG_KEYS);
}

static void exit_codes_are_told(void **state)
{
	char *text = section(".SH \"EXIT STATUS\"\n");

	assert_non_null(strstr(text, "\n255\n"));
	assert_non_null(strstr(text, "\n3\n"));
	assert_non_null(strstr(text, "\n128+\\fIN\\fR\n"));
	free(text);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(global_options_are_the_tables),
		cmocka_unit_test(each_verb_has_a_section_with_its_words_and_options),
		cmocka_unit_test(each_configuration_key_is_described),
		cmocka_unit_test(exit_codes_are_told),
	};
	int r;

	if (argc != 3 || fd_read_file(AT_FDCWD, argv[1], &page) < 0 ||
	    fd_read_file(AT_FDCWD, argv[2], &config_page) < 0) {
		(void)fprintf(stderr, "usage: test_man caisson.8 caisson.json.5\n");
		return 1;
	}
	r = cmocka_run_group_tests(tests, NULL, NULL);
	buf_done(&page);
	buf_done(&config_page);
	return r;
}
