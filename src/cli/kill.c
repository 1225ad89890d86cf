/* SPDX-License-Identifier: Apache-2.0 */
/* cli/kill.c - kill. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/verbs.h"
#include "host/signals.h"

struct kill_options {
	const char *regex;
	bool all;
};

#define FIELD(member) offsetof(struct kill_options, member)

static const struct option table[] = {
	{ "all", "send the signal to all processes of the container", NULL, FIELD(all), OPTION_FLAG,
	  'a' },
	{ "regex", "send it to every container whose id matches this extended regular expression",
	  "REGEX", FIELD(regex), OPTION_STRING, 'r' },
	{ 0 },
};

struct kill_order {
	int signal;
	bool all;
};

static int kill_one(struct cli *cli, const char *id, void *arg, struct err *err)
{
	const struct kill_order *order = arg;
	AUTO_CONTAINER struct container *c = NULL;
	int r = container_load(&cli->runtime, id, true, &c, err);

	/* Who is at work for so long may be waiting for what is to end. */
	if (r == -EBUSY && order->signal == SIGKILL)
		r = container_load(&cli->runtime, id, false, &c, err);
	return r < 0 ? r : container_kill(c, order->signal, order->all, err);
}

/* One that stopped by itself or went away is no failure of kill --regex. */
static int kill_match(struct cli *cli, const char *id, void *arg, struct err *err)
{
	const int r = kill_one(cli, id, arg, err);

	return r == -ESRCH || r == -ENOENT ? 0 : r;
}

static int run_kill(struct cli *cli, const void *options, const struct option_args *args,
		    struct err *err)
{
	const struct kill_options *o = options;
	const size_t signal_at = o->regex ? 0 : 1;
	struct kill_order order = { .signal = SIGTERM, .all = o->all };

	if (!o->regex && args->len == 0)
		return err_set(err, -EINVAL, "container id cannot be empty");
	if (args->len > signal_at + 1)
		return err_set(err, -EINVAL, "kill: too many arguments: %s",
			       args->items[signal_at + 1]);
	/* runc: an empty one is the default. */
	if (args->len > signal_at && args->items[signal_at][0]) {
		order.signal = signal_from_text(args->items[signal_at]);
		if (order.signal < 0)
			return err_set(err, -EINVAL, "unknown signal \"%s\"",
				       args->items[signal_at]);
	}
	if (o->regex)
		return cli_each_match(cli, o->regex, kill_match, &order, err);
	return kill_one(cli, args->items[0], &order, err);
}

const struct verb verb_kill = {
	.name = "kill",
	.args = "<container-id> [signal]",
	.summary = "send a signal to a container's first process (default: SIGTERM)",
	.description =
		"The signal is a name with or without SIG (KILL, SIGTERM, RTMIN+3) or a number.\n"
		"With --regex there is no container id: caisson kill --regex '^web-' KILL",
	.options = table,
	.max_args = VERB_ARGS_ANY,
	.run = run_kill,
};
