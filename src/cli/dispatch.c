/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/dispatch.c - from argv to a verb and from its result to an exit code.
 *
 * Errors look like runc's: one logrus line on standard error, or with --log the line in the file
 * and the bare message on standard error. Wrong usage prints the help of the verb on standard
 * output first. Nothing is set up that a call does not need: `--version` reads no file.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/do_init.h"
#include "cli/verbs.h"

const struct option no_options[] = { { 0 } };

/* The order of `caisson --help`: the specification's verbs, then our own. */
const struct verb *const verb_table[] = {
	&verb_create, &verb_start,   &verb_run,	  &verb_state,	  &verb_kill,	 &verb_delete,
	&verb_exec,   &verb_list,    &verb_ps,	  &verb_pause,	  &verb_resume,	 &verb_update,
	&verb_events, &verb_metrics, &verb_spec,  &verb_features, &verb_wait,	 &verb_do,
	&verb_check,  &verb_config,  &verb_debug, &verb_template, &verb_install, &verb_uninstall,
	&verb_help,   NULL,
};

const struct verb *verb_find(const char *name)
{
	for (const struct verb *const *v = verb_table; *v; v++) {
		if (str_eq((*v)->name, name))
			return *v;
	}
	return NULL;
}

/* One sentence to the log, and bare to standard error when the log is elsewhere (runc's fatal()).
 */
static void report(const char *prefix, const struct err *err)
{
	if (log_fd() != STDERR_FILENO) {
		char line[ERR_MSG_MAX + 64];
		const int n = snprintf(line, sizeof(line), "%s%s\n", prefix, err->msg);

		if (n > 0)
			(void)fd_write_all(STDERR_FILENO, line, (size_t)n);
	}
	log_error("%s%s", prefix, err->msg);
}

/* "Incorrect Usage: ..." and the help, then the error. */
static int wrong_usage(const struct verb *verb, const char *detail, const struct err *err)
{
	AUTO_BUF struct buf out = { 0 };

	buf_printf(&out, "Incorrect Usage%s%s\n\n", *detail ? ": " : ".", detail);
	if (verb)
		help_verb(verb, &out);
	else
		help_program(&out);
	(void)out_flush(&out, NULL);
	report("", err);
	return 1;
}

static int check_count(const struct verb *verb, size_t len, struct err *err)
{
	if (len >= verb->min_args && len <= verb->max_args)
		return 0;
	if (verb->min_args == verb->max_args)
		return err_set(err, -EINVAL, "caisson: \"%s\" requires exactly %u argument(s)",
			       verb->name, verb->min_args);
	if (len < verb->min_args)
		return err_set(err, -EINVAL, "caisson: \"%s\" requires a minimum of %u argument(s)",
			       verb->name, verb->min_args);
	return err_set(err, -EINVAL, "caisson: \"%s\" requires a maximum of %u argument(s)",
		       verb->name, verb->max_args);
}

/* Everything that must stand before a verb runs. */
static int set_up(struct cli *cli, const struct verb *verb, struct err *err)
{
	int r = globals_setup_log(cli, err);

	if (r < 0 || (verb->flags & VERB_NO_RUNTIME))
		return r;
	r = globals_setup_runtime(cli, err);
	if (r < 0)
		return r;
	return globals_setup_log(cli, err); /* once more: the configuration may name a log */
}

static int run_verb(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
	alignas(max_align_t) unsigned char store[VERB_OPTIONS_MAX] = { 0 };
	AUTO(option_args_done) struct option_args args = { 0 };
	struct err err = { 0 };
	int r = options_parse(verb->options, argc, argv, !(verb->flags & VERB_IN_ORDER), store,
			      &args, &err);

	if (r < 0) {
		struct err ignored;

		(void)globals_setup_log(cli, &ignored);
		r = wrong_usage(verb, err.msg, &err);
		goto out;
	}
	if (args.help) {
		AUTO_BUF struct buf out = { 0 };

		help_verb(verb, &out);
		r = out_flush(&out, &err) < 0;
		goto out;
	}
	r = set_up(cli, verb, &err);
	if (r == 0 && check_count(verb, args.len, &err) < 0) {
		r = wrong_usage(verb, "", &err);
		goto out;
	}
	if (r == 0)
		r = verb->run(cli, store, &args, &err);
	if (r < 0) {
		const bool exec = verb->flags & VERB_EXEC_ERRORS;

		report(exec ? "exec failed: " : "", &err);
		r = exec ? EXIT_EXEC_ERROR : 1;
	}
out:
	options_done(verb->options, store);
	return r;
}

static int print_help(void)
{
	AUTO_BUF struct buf out = { 0 };

	help_program(&out);
	return out_flush(&out, NULL) < 0;
}

static int print_version(void)
{
	AUTO_BUF struct buf out = { 0 };

	version_text(&out);
	return out_flush(&out, NULL) < 0;
}

/* The words after the global options. */
static int dispatch(struct cli *cli, const struct option_args *args, char **argv, int argc)
{
	const struct verb *verb;
	struct err err = { 0 };
	/* args holds the tail of argv as it is: global options end at the first word. */
	char **words = argv + argc - args->len;

	if (args->help || (args->len == 0 && !cli->flags.version))
		return print_help();
	if (cli->flags.version)
		return print_version();
	verb = verb_find(words[0]);
	if (!verb) {
		(void)globals_setup_log(cli, &err);
		(void)err_set(&err, -EINVAL, "No help topic for '%s'", words[0]);
		report("", &err);
		return EXIT_UNKNOWN_VERB;
	}
	return run_verb(cli, verb, (int)args->len - 1, words + 1);
}

/* A closed standard stream would be the next file that we open, and messages would be written
 * there. */
static void open_closed_streams(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", O_RDWR);
	}
}

int cli_main(int argc, char **argv)
{
	AUTO(option_args_done) struct option_args args = { 0 };
	struct cli cli = { .argv0 = argc > 0 ? argv[0] : NULL };
	struct err err = { 0 };
	int r;

	/* Whoever chooses a bundle chooses what root does: as a set-user-ID program this would be a
	 * gift. */
	if (getuid() != geteuid() || getgid() != getegid()) {
		(void)fputs("caisson: refusing to run as a set-user-ID or set-group-ID program\n",
			    stderr);
		return 1;
	}
	if (argc > 1 && str_ends(argv[0], "/" DO_INIT_NAME))
		return do_init_run(argv + 1);
	open_closed_streams();
	/* Ignored, nobody could wait for a child (wait(2)). */
	(void)signal(SIGCHLD, SIG_DFL);
	cli.runtime.isolation = ISOLATION_UNSET;
	r = options_parse(global_option_table, argc > 0 ? argc - 1 : 0, argv + (argc > 0), false,
			  &cli.flags, &args, &err);
	if (r < 0)
		return wrong_usage(NULL, err.msg, &err);
	r = dispatch(&cli, &args, argv, argc);
	config_done(&cli.config);
	return r;
}
