/* SPDX-License-Identifier: Apache-2.0 */
/* cli/start.c - start, pause, resume and wait: verbs that take an id and nothing else. */
#include "cli/cli.h"
#include "cli/verbs.h"

static int run_start(struct cli *cli, const void *options, const struct option_args *args,
		     struct err *err)
{
	AUTO_CONTAINER struct container *c = NULL;
	int r = cli_load(cli, args, true, &c, err);

	return r < 0 ? r : container_start(c, err);
}

static int run_pause(struct cli *cli, const void *options, const struct option_args *args,
		     struct err *err)
{
	AUTO_CONTAINER struct container *c = NULL;
	int r = cli_load(cli, args, true, &c, err);

	return r < 0 ? r : container_pause(c, err);
}

static int run_resume(struct cli *cli, const void *options, const struct option_args *args,
		      struct err *err)
{
	AUTO_CONTAINER struct container *c = NULL;
	int r = cli_load(cli, args, true, &c, err);

	return r < 0 ? r : container_resume(c, err);
}

/* Without the lock: others must be able to kill what we wait for. */
static int run_wait(struct cli *cli, const void *options, const struct option_args *args,
		    struct err *err)
{
	AUTO_CONTAINER struct container *c = NULL;
	AUTO_BUF struct buf out = { 0 };
	int status = -1;
	int r = cli_load(cli, args, false, &c, err);

	if (r == 0)
		r = container_wait(c, &status, err);
	if (r < 0)
		return r;
	if (status < 0)
		buf_puts(&out, "unknown\n");
	else
		buf_printf(&out, "%d\n", status);
	return out_flush(&out, err);
}

const struct verb verb_start = {
	.name = "start",
	.args = "<container-id>",
	.summary = "start the process of a created container",
	.description = "The user's program begins to run; the poststart hooks run after it.",
	.options = no_options,
	.min_args = 1,
	.max_args = 1,
	.run = run_start,
};

const struct verb verb_pause = {
	.name = "pause",
	.args = "<container-id>",
	.summary = "suspend all processes of a container",
	.options = no_options,
	.min_args = 1,
	.max_args = 1,
	.run = run_pause,
};

const struct verb verb_resume = {
	.name = "resume",
	.args = "<container-id>",
	.summary = "let the processes of a paused container go on",
	.options = no_options,
	.min_args = 1,
	.max_args = 1,
	.run = run_resume,
};

const struct verb verb_wait = {
	.name = "wait",
	.args = "<container-id>",
	.summary = "wait until a container has stopped",
	.description = "Prints the exit code of its first process, or \"unknown\" where the host "
		       "does not\n"
		       "tell it to us: the kernel gives an exit code to the parent process alone.",
	.options = no_options,
	.min_args = 1,
	.max_args = 1,
	.run = run_wait,
};
