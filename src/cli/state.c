/* SPDX-License-Identifier: Apache-2.0 */
/* cli/state.c - state. */
#include <errno.h>

#include "cli/cli.h"
#include "cli/verbs.h"

static int run_state(struct cli *cli, const void *options, const struct option_args *args,
		     struct err *err)
{
	AUTO_CONTAINER struct container *c = NULL;
	AUTO_JSON json_t *view = NULL;
	int r = cli_load(cli, args, false, &c, err);

	if (r < 0)
		return r;
	view = container_view(c, "");
	return out_json(view, 2, err);
}

const struct verb verb_state = {
	.name = "state",
	.args = "<container-id>",
	.summary = "print the state of a container as JSON",
	.options = no_options,
	.min_args = 1,
	.max_args = 1,
	.run = run_state,
};
