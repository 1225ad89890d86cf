/* SPDX-License-Identifier: Apache-2.0 */
/* cli/create.c - create and run. */
#include <stddef.h>

#include "cli/cli.h"
#include "cli/verbs.h"

/* Both verbs decode into the options of src/runtime directly. */
#define FIELD(member) offsetof(struct create_options, member)

#define CREATE_OPTIONS                                                                          \
	{ "bundle",                                                                             \
	  "path to the root of the bundle directory, defaults to the current directory",        \
	  "DIR",                                                                                \
	  FIELD(bundle),                                                                        \
	  OPTION_STRING,                                                                        \
	  'b' },                                                                                \
		{ "config",	 "read this file instead of config.json in the bundle",         \
		  "FILE",	 FIELD(config),                                                 \
		  OPTION_STRING, 'f' },                                                         \
		{ "console-socket",                                                             \
		  "unix socket that receives the master end of the container's terminal",       \
		  "SOCKET",                                                                     \
		  FIELD(console_socket),                                                        \
		  OPTION_STRING,                                                                \
		  0 },                                                                          \
		{ "pid-file",                                                                   \
		  "write the process id of the container's first process to this file",         \
		  "FILE",                                                                       \
		  FIELD(pid_file),                                                              \
		  OPTION_STRING,                                                                \
		  0 },                                                                          \
		{ "pidfd-socket",                                                               \
		  "unix socket that receives a pidfd of the container's first process",         \
		  "SOCKET",                                                                     \
		  FIELD(pidfd_socket),                                                          \
		  OPTION_STRING,                                                                \
		  0 },                                                                          \
		{ "no-pivot",  "do not use pivot_root(2); for a root file system on a ramdisk", \
		  NULL,	       FIELD(no_pivot),                                                 \
		  OPTION_FLAG, 0 },                                                             \
		{ "no-new-keyring",                                                             \
		  "keep the caller's session keyring instead of making a new one",              \
		  NULL,                                                                         \
		  FIELD(no_new_keyring),                                                        \
		  OPTION_FLAG,                                                                  \
		  0 },                                                                          \
		{ "preserve-fds",                                                               \
		  "pass N more descriptors (stdio + $LISTEN_FDS + N in total)",                 \
		  "N",                                                                          \
		  FIELD(preserve_fds),                                                          \
		  OPTION_UINT,                                                                  \
		  0 },                                                                          \
	{                                                                                       \
		"no-subreaper", "ignored, for compatibility", NULL, 0, OPTION_IGNORED_FLAG, 0   \
	}

static const struct option create_table[] = { CREATE_OPTIONS, { 0 } };

static const struct option run_table[] = {
	CREATE_OPTIONS,
	{ "detach", "return when the container runs", NULL, FIELD(detach), OPTION_FLAG, 'd' },
	{ "keep", "do not delete the container after it exits", NULL, FIELD(keep), OPTION_FLAG, 0 },
	{ 0 },
};

static int run_create(struct cli *cli, const void *options, const struct option_args *args,
		      struct err *err)
{
	struct create_options create = *(const struct create_options *)options;

	create.id = args->items[0];
	return container_create(&cli->runtime, &create, err);
}

static int run_run(struct cli *cli, const void *options, const struct option_args *args,
		   struct err *err)
{
	struct create_options create = *(const struct create_options *)options;
	int status = 0;
	int r;

	create.id = args->items[0];
	r = container_run(&cli->runtime, &create, &status, err);
	return r < 0 ? r : status;
}

#define BUNDLE_TEXT                                                                              \
	"A bundle is a directory with a specification, config.json, and the root file system\n"  \
	"that it names. The container id must be unique on this host: 1 to 1024 characters of\n" \
	"letters, digits, '_', '+', '-' and '.'."

const struct verb verb_create = {
	.name = "create",
	.args = "<container-id>",
	.summary = "create a container",
	.description = "Make a container from a bundle and leave its process waiting for "
		       "\"start\".\n" BUNDLE_TEXT,
	.options = create_table,
	.min_args = 1,
	.max_args = 1,
	.run = run_create,
};

const struct verb verb_run = {
	.name = "run",
	.args = "<container-id>",
	.summary = "create and run a container",
	.description =
		"Make a container from a bundle, start it, wait for its end and delete it. The\n"
		"exit code is that of its process, or 128 + N when signal N ended "
		"it.\n" BUNDLE_TEXT,
	.options = run_table,
	.min_args = 1,
	.max_args = 1,
	.run = run_run,
};

_Static_assert(sizeof(struct create_options) <= VERB_OPTIONS_MAX, "VERB_OPTIONS_MAX");
