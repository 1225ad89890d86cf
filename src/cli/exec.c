/* SPDX-License-Identifier: Apache-2.0 */
/* cli/exec.c - exec. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/verbs.h"

/* What the table fills; run_exec() turns lists into the form of struct exec_options. */
struct exec_flags {
	const char *console_socket, *pid_file, *pidfd_socket, *process, *cwd, *user;
	const char *process_label, *apparmor;
	struct option_list env, additional_gids, caps, cgroups;
	unsigned int preserve_fds;
	bool tty, detach, no_new_privs, ignore_paused;
};

#define FIELD(member) offsetof(struct exec_flags, member)

static const struct option table[] = {
	{ "console-socket", "unix socket that receives the master end of the terminal", "SOCKET",
	  FIELD(console_socket), OPTION_STRING, 0 },
	{ "pidfd-socket", "unix socket that receives a pidfd of the process", "SOCKET",
	  FIELD(pidfd_socket), OPTION_STRING, 0 },
	{ "cwd", "current working directory in the container", "DIR", FIELD(cwd), OPTION_STRING,
	  0 },
	{ "env", "set an environment variable; may be repeated", "NAME=VALUE", FIELD(env),
	  OPTION_LIST, 'e' },
	{ "tty", "allocate a pseudo-terminal", NULL, FIELD(tty), OPTION_FLAG, 't' },
	{ "user", "user id and, after a colon, group id", "UID[:GID]", FIELD(user), OPTION_STRING,
	  'u' },
	{ "additional-gids", "add a supplementary group id; may be repeated", "GID",
	  FIELD(additional_gids), OPTION_LIST, 'g' },
	{ "process", "read the whole process description from this JSON file", "FILE",
	  FIELD(process), OPTION_STRING, 'p' },
	{ "detach", "return when the process runs", NULL, FIELD(detach), OPTION_FLAG, 'd' },
	{ "pid-file", "write the process id to this file", "FILE", FIELD(pid_file), OPTION_STRING,
	  0 },
	{ "process-label", "set the SELinux label of the process", "LABEL", FIELD(process_label),
	  OPTION_STRING, 0 },
	{ "apparmor", "set the AppArmor profile of the process", "PROFILE", FIELD(apparmor),
	  OPTION_STRING, 0 },
	{ "no-new-privs", "set the no_new_privs flag of the process", NULL, FIELD(no_new_privs),
	  OPTION_FLAG, 0 },
	{ "cap", "add a capability to the process; may be repeated", "CAP", FIELD(caps),
	  OPTION_LIST, 'c' },
	{ "preserve-fds", "pass N more descriptors (stdio + $LISTEN_FDS + N in total)", "N",
	  FIELD(preserve_fds), OPTION_UINT, 0 },
	{ "cgroup", "run in an existing cgroup below the container's; may be repeated",
	  "[CONTROLLERS:]PATH", FIELD(cgroups), OPTION_LIST, 0 },
	{ "ignore-paused", "allow exec in a paused container", NULL, FIELD(ignore_paused),
	  OPTION_FLAG, 0 },
	{ "no-subreaper", "ignored, for compatibility", NULL, 0, OPTION_IGNORED_FLAG, 0 },
	{ 0 },
};

static int read_gids(const struct option_list *texts, uint32_t **ret, struct err *err)
{
	AUTO_FREE uint32_t *gids = NULL;

	if (texts->len == 0)
		return 0;
	gids = calloc(texts->len, sizeof(*gids));
	if (!gids)
		return err_sys(err, -ENOMEM, "--additional-gids");
	for (size_t i = 0; i < texts->len; i++) {
		uint64_t gid;

		if (str_to_u64(texts->items[i], UINT32_MAX - 1, &gid) < 0)
			return err_set(
				err, -EINVAL,
				"invalid value \"%s\" for flag -additional-gids: parse error",
				texts->items[i]);
		gids[i] = (uint32_t)gid;
	}
	*ret = TAKE_PTR(gids);
	return 0;
}

static int run_exec(struct cli *cli, const void *options, const struct option_args *args,
		    struct err *err)
{
	const struct exec_flags *f = options;
	AUTO_CONTAINER struct container *c = NULL;
	AUTO_FREE uint32_t *gids = NULL;
	int status = 0;
	int r;
	struct exec_options exec = {
		.process = f->process,
		.argv = args->items + 1,
		.env = f->env.items,
		.cwd = f->cwd,
		.user = f->user,
		.additional_gids_len = f->additional_gids.len,
		.caps = f->caps.items,
		.apparmor = f->apparmor,
		.process_label = f->process_label,
		.console_socket = f->console_socket,
		.pid_file = f->pid_file,
		.pidfd_socket = f->pidfd_socket,
		.cgroups = f->cgroups.items,
		.preserve_fds = f->preserve_fds,
		.tty = f->tty,
		.detach = f->detach,
		.no_new_privs = f->no_new_privs,
		.ignore_paused = f->ignore_paused,
	};

	if (!f->process && args->len < 2)
		return err_set(err, -EINVAL, "process args cannot be empty");
	r = read_gids(&f->additional_gids, &gids, err);
	exec.additional_gids = gids;
	/* Not locked: an exec that runs for days must not stop kill and delete. */
	if (r == 0)
		r = cli_load(cli, args, false, &c, err);
	if (r == 0)
		r = container_exec(c, &exec, &status, err);
	return r < 0 ? r : status;
}

const struct verb verb_exec = {
	.name = "exec",
	.args = "<container-id> <command> [arguments...] | -p process.json <container-id>",
	.summary = "run another process in a container",
	.description =
		"The exit code is that of the command, 128 + N when signal N ended it, and 255\n"
		"for any error of caisson itself.",
	.options = table,
	.min_args = 1,
	.max_args = VERB_ARGS_ANY,
	.flags = VERB_IN_ORDER | VERB_EXEC_ERRORS,
	.run = run_exec,
};

_Static_assert(sizeof(struct exec_flags) <= VERB_OPTIONS_MAX, "VERB_OPTIONS_MAX");
