/* SPDX-License-Identifier: Apache-2.0 */
/* cli/help.c - help texts from the tables, in the shape of runc's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/verbs.h"

#define HELP_COLUMN_MAX 34 /* longer spellings push their text further right */

/* "--bundle DIR, -b DIR" as runc shows it. */
static void spell_option(const struct option *opt, char *text, size_t size)
{
	const char *space = opt->arg ? " " : "";
	const char *arg = opt->arg ? opt->arg : "";

	if (opt->short_name)
		(void)snprintf(text, size, "--%s%s%s, -%c%s%s", opt->name, space, arg,
			       opt->short_name, space, arg);
	else
		(void)snprintf(text, size, "--%s%s%s", opt->name, space, arg);
}

static void help_options(const struct option *table, struct buf *out)
{
	char spelled[160];
	size_t width = strlen("--help, -h");

	for (const struct option *opt = table; opt->name; opt++) {
		spell_option(opt, spelled, sizeof(spelled));
		if (strlen(spelled) > width && strlen(spelled) <= HELP_COLUMN_MAX)
			width = strlen(spelled);
	}
	for (const struct option *opt = table; opt->name; opt++) {
		spell_option(opt, spelled, sizeof(spelled));
		buf_printf(out, "   %-*s  %s\n", (int)width, spelled, opt->help);
	}
	buf_printf(out, "   %-*s  %s\n", (int)width, "--help, -h", "show help");
}

void help_verb(const struct verb *verb, struct buf *out)
{
	buf_printf(out, "NAME:\n   caisson %s - %s\n\n", verb->name, verb->summary);
	buf_printf(out, "USAGE:\n   caisson %s%s%s%s\n\n", verb->name,
		   verb->options[0].name ? " [command options]" : "", *verb->args ? " " : "",
		   verb->args);
	if (verb->description)
		buf_printf(out, "DESCRIPTION:\n%s\n\n", verb->description);
	buf_puts(out, "OPTIONS:\n");
	help_options(verb->options, out);
}

void help_program(struct buf *out)
{
	buf_puts(out,
		 "NAME:\n   caisson - secure container runtime\n\n"
		 "USAGE:\n   caisson [global options] command [command options] [arguments...]\n\n"
		 "VERSION:\n   " CAISSON_VERSION "\n\nCOMMANDS:\n");
	for (const struct verb *const *v = verb_table; *v; v++)
		buf_printf(out, "   %-10s %s\n", (*v)->name, (*v)->summary);
	buf_puts(out, "\nGLOBAL OPTIONS:\n");
	help_options(global_option_table, out);
	buf_puts(out,
		 "\n\"caisson COMMAND --help\" says more of one command. Manual: caisson(8).\n");
}

static int run_help(struct cli *cli, const void *options, const struct option_args *args,
		    struct err *err)
{
	AUTO_BUF struct buf out = { 0 };
	const struct verb *verb;

	if (args->len == 0) {
		help_program(&out);
		return out_flush(&out, err);
	}
	verb = verb_find(args->items[0]);
	if (!verb) {
		(void)fprintf(stderr, "No help topic for '%s'\n", args->items[0]);
		return EXIT_UNKNOWN_VERB;
	}
	help_verb(verb, &out);
	return out_flush(&out, err);
}

const struct verb verb_help = {
	.name = "help",
	.args = "[command]",
	.summary = "show the list of commands or the help of one",
	.options = no_options,
	.max_args = 1,
	.flags = VERB_NO_RUNTIME,
	.run = run_help,
};
