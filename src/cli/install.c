/* SPDX-License-Identifier: Apache-2.0 */
/* cli/install.c - install and uninstall: make Caisson known to the engines of a node. */
#include "install/install.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/verbs.h"

struct install_flags {
	struct option_list engines;
	const char *root, *runtime;
	bool dry_run, force, status;
};

#define FIELD(member) offsetof(struct install_flags, member)
#define OPTION_FOR                                                                        \
	{                                                                                 \
		"for", "the engine, " INSTALL_ENGINES " (default: those that are found)", \
			"ENGINE", FIELD(engines), OPTION_LIST, 0                          \
	}
#define OPTION_ROOT                                                                               \
	{                                                                                         \
		"root", "the node's file system (default: /)", "DIR", FIELD(root), OPTION_STRING, \
			0                                                                         \
	}
#define OPTION_DRY_RUN                                                                     \
	{                                                                                  \
		"dry-run", "write nothing, print what would change", NULL, FIELD(dry_run), \
			OPTION_FLAG, 0                                                     \
	}
#define OPTION_FORCE                                                                  \
	{                                                                             \
		"force", "also what was edited since caisson install wrote it", NULL, \
			FIELD(force), OPTION_FLAG, 0                                  \
	}

static const struct option install_table[] = {
	OPTION_FOR,
	{ "runtime-path", "the program caisson in the node (default: this one)", "FILE",
	  FIELD(runtime), OPTION_STRING, 0 },
	OPTION_ROOT,
	OPTION_DRY_RUN,
	OPTION_FORCE,
	{ "status", "change nothing, say what is installed", NULL, FIELD(status), OPTION_FLAG, 0 },
	{ 0 },
};

static const struct option uninstall_table[] = {
	OPTION_FOR,
	{ "runtime-path", "the program that install was told of (default: this one)", "FILE",
	  FIELD(runtime), OPTION_STRING, 0 },
	OPTION_ROOT,
	OPTION_DRY_RUN,
	OPTION_FORCE,
	{ 0 },
};

/* Where this program lies, under the name that all classes have. */
static int own_path(char path[static PATH_MAX], struct err *err)
{
	const ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (n <= 0)
		return err_sys(err, n < 0 ? -errno : -ENOENT, "find this program");
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash && (size_t)(slash - path) + sizeof("/caisson") <= PATH_MAX)
		strcpy(slash, "/caisson");
	return 0;
}

/* Which engines: named, or found. */
static int choose(const struct install_flags *flags, const struct install_options *options,
		  bool chosen[INSTALL_ENGINES_LEN], struct err *err)
{
	size_t found = 0;

	for (size_t i = 0; i < flags->engines.len; i++) {
		const int engine = install_engine_find(flags->engines.items[i], err);

		if (engine < 0)
			return engine;
		chosen[engine] = true;
	}
	if (flags->engines.len > 0)
		return 0;
	for (size_t i = 0; i < INSTALL_ENGINES_LEN; i++) {
		const int there = install_engine_is_there(i, options, err);

		if (there < 0)
			return there;
		chosen[i] = there;
		found += chosen[i];
	}
	return found > 0 ? 0
			 : err_set(err, -ENOENT, "no engine is found in %s: --for names one",
				   options->root);
}

static int change(const struct install_flags *flags, const struct install_plan *plan,
		  struct buf *out, struct err *err)
{
	int r = 0;

	if (flags->dry_run)
		install_plan_diff(plan, out);
	else
		r = install_plan_apply(plan, err);
	if (r == 0 && !flags->dry_run)
		install_plan_summary(plan, out);
	return r;
}

/* All plans are made before the first is carried out: what cannot be done stops everything. */
static int change_all(const struct install_flags *flags, const struct install_options *options,
		      bool add, struct err *err)
{
	struct install_plan plans[INSTALL_ENGINES_LEN];
	bool chosen[INSTALL_ENGINES_LEN] = { 0 };
	AUTO_BUF struct buf out = { 0 };
	size_t len = 0;
	int r = choose(flags, options, chosen, err);

	for (size_t i = 0; r == 0 && i < INSTALL_ENGINES_LEN; i++) {
		if (chosen[i])
			r = (add ? install_plan_add : install_plan_take)(i, options, &plans[len++],
									 err);
		if (r < 0)
			(void)err_prefix(err, r, "%s", install_engine_name(i));
	}
	for (size_t i = 0; r == 0 && i < len; i++)
		r = change(flags, &plans[i], &out, err);
	for (size_t i = 0; i < len; i++)
		install_plan_done(&plans[i]);
	/* Also when the second of three failed, it is said what the first has changed. */
	if (r < 0) {
		(void)out_flush(&out, NULL);
		return r;
	}
	return out_flush(&out, err);
}

static int print_status(const struct install_options *options, struct err *err)
{
	AUTO_BUF struct buf out = { 0 };

	for (size_t i = 0; i < INSTALL_ENGINES_LEN; i++) {
		AUTO_BUF struct buf detail = { 0 };
		enum install_state state;
		const int r = install_status(i, options, &state, &detail, err);

		if (r < 0)
			return r;
		buf_printf(&out, "%-11s %-15s %s\n", install_engine_name(i),
			   install_state_name(state), detail.len > 0 ? detail.data : "-");
	}
	return out_flush(&out, err);
}

static int run(const struct install_flags *flags, bool add, struct err *err)
{
	char own[PATH_MAX] = "/caisson";
	const struct install_options options = {
		.root = flags->root ? flags->root : "/",
		.runtime = flags->runtime ? flags->runtime : own,
		.force = flags->force,
	};
	int r = flags->runtime ? 0 : own_path(own, err);

	if (r < 0)
		return r;
	return flags->status ? print_status(&options, err) : change_all(flags, &options, add, err);
}

static int run_install(struct cli *cli, const void *options, const struct option_args *args,
		       struct err *err)
{
	return run(options, true, err);
}

static int run_uninstall(struct cli *cli, const void *options, const struct option_args *args,
			 struct err *err)
{
	return run(options, false, err);
}

const struct verb verb_install = {
	.name = "install",
	.args = "",
	.summary = "make Caisson known to container engines as caisson, caisson-ns, -sentry, -vm",
	.description =
		"Writes a drop-in where the engine has a directory for them, and otherwise lines "
		"between two\n"
		"comments (of Docker: members of \"runtimes\"). Nothing else in a file is changed. "
		"A "
		"file that is\n"
		"not understood, and lines that somebody has edited, stay as they are, and the "
		"sentence says why.\n"
		"Engines are not restarted: it is said what to do.",
	.options = install_table,
	.flags = VERB_NO_RUNTIME,
	.run = run_install,
};

const struct verb verb_uninstall = {
	.name = "uninstall",
	.args = "",
	.summary = "take away what install wrote",
	.options = uninstall_table,
	.flags = VERB_NO_RUNTIME,
	.run = run_uninstall,
};
