/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/options.h - command-line options from tables.
 *
 * One table per verb says everything about its flags: the parser, `--help` and (by a unit test) the
 * manual page read it, so that they cannot differ. The spelling is what engines use with runc: Go's
 * flag package ("--name value", "--name=value", and the same with one dash) plus getopt's short
 * forms
 * ("-b value", "-it" for flags). Messages are Go's, because people search for them.
 *
 * Values are borrowed from argv. Lists are owned by the store: options_done().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum option_kind {
	OPTION_FLAG,	 /* bool; "--flag=false" takes it back */
	OPTION_STRING,	 /* const char *: the last one counts */
	OPTION_OPTIONAL, /* const char *: "--name=value"; "" for "--name" alone */
	OPTION_LIST,	 /* struct option_list: every use adds one */
	OPTION_UINT,	 /* unsigned int */
	OPTION_DURATION, /* uint64_t milliseconds > 0, as Go writes them: "5s", "1m30s", "250ms" */
	OPTION_IGNORED_FLAG,  /* taken for compatibility, without effect */
	OPTION_IGNORED_VALUE, /* the same, with a value */
};

struct option {
	const char *name; /* long name without dashes; NULL ends a table */
	const char *help; /* one line, lower case, no full stop */
	const char *arg;  /* what the value is called in help: "FILE"; NULL: no value */
	size_t offset;	  /* of the member in the verb's options struct */
	enum option_kind kind;
	char short_name; /* 0: none */
};

/* Strings in the order given; items[len] is NULL; items is NULL when none was given. Items are
 * borrowed. */
struct option_list {
	const char **items; /* owned array */
	size_t len;
};

/* What is left when the options are taken out. */
struct option_args {
	const char **items; /* owned array of borrowed strings, NULL-terminated */
	size_t len;
	bool help; /* --help or -h was there; nothing after it was looked at */
};

/*
 * Read argv[0..argc-1] into `store`, a zeroed struct that the table's offsets fit. `interspersed`
 * finds options after arguments too (until "--"); otherwise the first argument ends them, and args
 * holds everything from there. -EINVAL with Go's wording: "flag provided but not defined: -x",
 * "flag needs an argument: -x", `invalid value "y" for flag -x: parse error`.
 */
int options_parse(const struct option *table, int argc, char *const *argv, bool interspersed,
		  void *store, struct option_args *ret, struct err *err);

/* Free the lists of a store. */
void options_done(const struct option *table, void *store);
void option_args_done(struct option_args *args);

/* "5s", "1h2m3.5s", "250ms" as Go's time.ParseDuration, less than 1 ms as 1; 0 or -EINVAL. */
int duration_parse(const char *text, unsigned long long *ret_ms);
