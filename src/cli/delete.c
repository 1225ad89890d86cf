/* SPDX-License-Identifier: Apache-2.0 */
/* cli/delete.c - delete. */
#include <errno.h>
#include <stddef.h>

#include "cli/cli.h"
#include "cli/verbs.h"

struct delete_options {
	bool force, regex;
};

#define FIELD(member) offsetof(struct delete_options, member)

static const struct option table[] = {
	{ "force", "kill the container first if it still runs; a missing container is no error",
	  NULL, FIELD(force), OPTION_FLAG, 'f' },
	{ "regex", "the argument is an extended regular expression for container ids", NULL,
	  FIELD(regex), OPTION_FLAG, 'r' },
	{ 0 },
};

static int delete_one(struct cli *cli, const char *id, void *arg, struct err *err)
{
	const struct delete_options *o = arg;
	AUTO_CONTAINER struct container *c = NULL;
	int r;

	if (o->force)
		return container_delete_force(&cli->runtime, id, err);
	r = container_load(&cli->runtime, id, true, &c, err);
	return r < 0 ? r : container_delete(c, false, err);
}

static int run_delete(struct cli *cli, const void *options, const struct option_args *args,
		      struct err *err)
{
	struct delete_options o = *(const struct delete_options *)options;

	if (o.regex)
		return cli_each_match(cli, args->items[0], delete_one, &o, err);
	return delete_one(cli, args->items[0], &o, err);
}

const struct verb verb_delete = {
	.name = "delete",
	.args = "<container-id>",
	.summary = "remove what a stopped container holds",
	.description = "Removes its cgroups and its state, and runs the poststop hooks.",
	.options = table,
	.min_args = 1,
	.max_args = 1,
	.run = run_delete,
};
