/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/do.c - do: run a program of the host in a sandbox that is thrown away.
 *
 * What the command line says becomes a plan (do_spec.h), the host's files become a tree under an
 * overlay (do_tree.h), the plan becomes a bundle, and container_run() does the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/do_setup.h"
#include "cli/do_spec.h"
#include "cli/do_sweep.h"
#include "cli/do_tree.h"
#include "cli/verbs.h"
#include "wire/sentry_msg.h"

#define FIELD(member) offsetof(struct do_options, member)

static const struct option table[] = {
	{ "isolation", "isolation class: ns, sentry or vm", "CLASS", FIELD(isolation),
	  OPTION_STRING, 0 },
	{ "rw", "keep what is written below the working directory", NULL, FIELD(rw), OPTION_FLAG,
	  0 },
	{ "volume", "show SRC of the host as DST, writable unless \":ro\"; may be repeated",
	  "SRC:DST[:ro]", FIELD(volumes), OPTION_LIST, 'v' },
	{ "network", "none or host (default: none)", "MODE", FIELD(network), OPTION_STRING, 0 },
	{ "memory", "memory limit in bytes, or with a unit k, m, g", "SIZE", FIELD(memory),
	  OPTION_STRING, 'm' },
	{ "cpus", "number of CPUs, may be a fraction", "N", FIELD(cpus), OPTION_STRING, 0 },
	{ "pids", "greatest number of processes", "N", FIELD(pids), OPTION_STRING, 0 },
	{ "env", "set a variable, or pass the caller's on; may be repeated", "NAME[=VALUE]",
	  FIELD(env), OPTION_LIST, 'e' },
	{ "cwd", "working directory in the sandbox", "DIR", FIELD(cwd), OPTION_STRING, 'w' },
	{ "user", "user inside: a name, or an id and, after a colon, a group id", "USER[:GID]",
	  FIELD(user), OPTION_STRING, 'u' },
	{ 0 },
};

static int write_bundle(const struct do_plan *plan, const char *bundle, struct err *err)
{
	AUTO_JSON json_t *spec = NULL;
	AUTO_CLOSE int dirfd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dirfd < 0)
		return err_sys(err, -errno, "do: open %s", bundle);
	r = do_spec_build(plan, &spec, err);
	return r < 0 ? r : json_replace_file(dirfd, "config.json", spec, JSON_COMPACT, err);
}

/* --isolation of the verb counts like the global one. */
static int choose_class(struct cli *cli, const struct do_options *o, struct err *err)
{
	enum isolation isolation;
	int r;

	if (!o->isolation)
		return 0;
	r = isolation_from_name(o->isolation, &isolation, err);
	if (r < 0)
		return r;
	if (cli->flags.isolation && !str_eq(cli->flags.isolation, o->isolation))
		return err_set(err, -EINVAL, "--isolation %s and do --isolation %s contradict",
			       cli->flags.isolation, o->isolation);
	cli->runtime.isolation = isolation;
	return 0;
}

static int run_in(struct cli *cli, struct do_setup *setup, struct do_tree *tree, int *ret_status,
		  struct err *err)
{
	struct runtime rt = cli->runtime;
	struct create_options create = { .bundle = tree->bundle, .tied = true };
	char id[DO_ID_MAX];
	int r = write_bundle(&setup->plan, tree->bundle, err);

	if (r == 0)
		r = do_id_make(id, err);
	if (r < 0)
		return r;
	create.id = id;
	/* Class sentry: sockets of the host's kernel, in the caller's network namespace. */
	if (setup->plan.network_host)
		rt.sentry.network = "host";
	if (tree->user_namespace) {
		/* State is as short-lived as the mount namespace: nobody else can use it. */
		rt.root = tree->state;
		rt.rootless = true;
	}
	r = container_run(&rt, &create, ret_status, err);
	if (!tree->user_namespace)
		do_sweep(&rt, tree->bundle);
	return r;
}

static int run_do(struct cli *cli, const void *options, const struct option_args *args,
		  struct err *err)
{
	const struct do_options *o = options;
	AUTO(do_setup_done) struct do_setup setup = { 0 };
	AUTO_FREE struct do_tree *tree = calloc(1, sizeof(*tree));
	int status = 0;
	int r;

	if (!tree)
		return err_sys(err, -ENOMEM, "do");
	r = choose_class(cli, o, err);
	if (r == 0)
		r = do_setup_plan(&setup, o, args->items, err);
	if (r == 0)
		r = do_tree_enter(tree, setup.host_uid, setup.host_gid, err);
	if (r == 0)
		r = do_tree_build(tree, setup.cwd, o->rw, err);
	if (r == 0)
		r = do_setup_mounts(&setup, tree, err);
	if (r == 0)
		r = run_in(cli, &setup, tree, &status, err);
	return r < 0 ? r : status;
}

const struct verb verb_do = {
	.name = "do",
	.args = "[--] <command> [arguments...]",
	.summary = "run a program of this host in a sandbox that is thrown away",
	.description =
		"The program sees the host's files, but what it writes goes to an overlay in "
		"memory and\n"
		"is gone at the end, except below --volume and --rw. It has processes, users, IPC, "
		"host\n"
		"name and network of its own (no network by default), a fresh /tmp and /run, a "
		"short list\n"
		"of system calls, and of the environment only PATH, HOME, USER, LOGNAME, SHELL, "
		"TERM,\n"
		"COLORTERM, TZ, LANG and LC_*. Any user may call it and stays who they are, or "
		"with --user 0\n"
		"appears as a root who is that user outside. --memory, --cpus and --pids need a\n"
		"cgroup that the caller may write. The exit code is the program's, 128 + N when "
		"signal N ended it,\n"
		"127 when it was not found, 126 when it could not be executed.",
	.options = table,
	.min_args = 1,
	.max_args = VERB_ARGS_ANY,
	.flags = VERB_IN_ORDER,
	.run = run_do,
};

_Static_assert(sizeof(struct do_options) <= VERB_OPTIONS_MAX, "VERB_OPTIONS_MAX");
