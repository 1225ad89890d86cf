/* SPDX-License-Identifier: Apache-2.0 */
/* cli/debug.c - debug collect: one archive for a bug report. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/debug.h"
#include "cli/verbs.h"

struct debug_options {
	const char *output;
	const char *events;
};

static const struct option table[] = {
	{ "output", "write the archive to this file, - for standard output", "FILE",
	  offsetof(struct debug_options, output), OPTION_STRING, 'o' },
	{ "events", "of events: only those named, with commas", "LIST",
	  offsetof(struct debug_options, events), OPTION_STRING, 0 },
	{ 0 },
};

static int write_archive(struct cli *cli, const struct container *c, int fd, struct err *err)
{
	struct collect collect = {
		.tar = { .fd = fd, .mtime = time(NULL), .max = COLLECT_ARCHIVE_MAX },
		.cli = cli,
		.container = c,
	};
	int r = collect_all(&collect, err);

	return r < 0 ? r : tar_finish(&collect.tar, err);
}

/* A new file: an old report is not overwritten, a link that waits there is not followed. */
static int collect_to_file(struct cli *cli, const struct container *c, const char *output,
			   struct err *err)
{
	AUTO_FREE char *name = NULL;
	AUTO_CLOSE int fd = -EBADF;
	AUTO_BUF struct buf out = { 0 };
	int r;

	if (!output) {
		if (str_printf(&name, "caisson-debug-%.64s.tar", c->id) < 0)
			return err_sys(err, -ENOMEM, "debug");
		output = name;
	}
	fd = open(output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, -errno, "create %s", output);
	r = write_archive(cli, c, fd, err);
	if (r < 0) {
		(void)unlink(output);
		return r;
	}
	buf_printf(&out, "%s\n", output);
	return out_flush(&out, err);
}

static int show(struct cli *cli, const char *id, const char *what, struct err *err)
{
	AUTO_CONTAINER struct container *c = NULL;
	AUTO_BUF struct buf out = { 0 };
	int r = container_load(&cli->runtime, id, false, &c, err);

	if (r == 0)
		r = container_debug(c, what, &out, err);
	return r < 0 ? r : out_flush(&out, err);
}

/* Of a container of class vm whose configuration allows it. */
static int run_console(struct cli *cli, const char *id, const char *const *argv, struct err *err)
{
	static const char *const shell[] = { "/bin/sh", NULL };
	AUTO_CONTAINER struct container *c = NULL;
	const struct exec_options exec = {
		.argv = argv[0] ? argv : shell,
		.tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
		.shell = true,
	};
	int status = 0;
	int r = container_load(&cli->runtime, id, false, &c, err);

	if (r == 0)
		r = container_exec(c, &exec, &status, err);
	return r < 0 ? r : status;
}

static int run_debug(struct cli *cli, const void *options, const struct option_args *args,
		     struct err *err)
{
	const struct debug_options *o = options;
	AUTO_CONTAINER struct container *c = NULL;
	int r;

	if (!str_eq(args->items[0], "collect") && !str_eq(args->items[0], "decode") &&
	    str_eq(args->items[1], "console"))
		return run_console(cli, args->items[0], args->items + 2, err);
	if (args->len > 2)
		return err_set(err, -EINVAL, "debug: \"%.64s\" is one argument too many",
			       args->items[2]);
	if (str_eq(args->items[0], "decode"))
		return debug_decode(args->items[1], err);
	if (!str_eq(args->items[0], "collect") && str_eq(args->items[1], "events"))
		return debug_follow(cli, args->items[0], o->events, err);
	if (!str_eq(args->items[0], "collect"))
		return show(cli, args->items[0], args->items[1], err);
	r = container_load(&cli->runtime, args->items[1], false, &c, err);
	if (r < 0)
		return r;
	if (str_eq(o->output, "-"))
		return write_archive(cli, c, STDOUT_FILENO, err);
	return collect_to_file(cli, c, o->output, err);
}

const struct verb verb_debug = {
	.name = "debug",
	.args = "collect <container-id> | decode <file> | <container-id> "
		"tasks|stacks|mounts|vmas|fds|metrics|events|dmesg|serial | "
		"<container-id> console [program [arguments...]]",
	.summary = "collect what a bug report needs, or look into a sentry or a machine",
	.description = "The archive (default: caisson-debug-ID.tar) has the state, the "
		       "specification, the tail of\n"
		       "the log, the files of the cgroup, the status of the processes, the mounts, "
		       "facts about\n"
		       "the host and the version. Values of environment variables and annotations "
		       "are left out;\n"
		       "look through it before you send it.\n"
		       "Of a container of class sentry the other words show what its kernel knows: "
		       "tasks and the\n"
		       "calls that they are in, what each fiber of the kernel waits for (stacks), "
		       "mounts, areas\n"
		       "of memory, descriptors, counters. \"events\" follows its event stream, and "
		       "\"decode\" reads\n"
		       "what --event-sink wrote: a line of JSON for each event (docs/EVENTS.md).\n"
		       "Of class vm tasks, mounts, metrics, and what its kernel says: its log "
		       "(dmesg), and the end\n"
		       "of what it wrote to its serial line.\n"
		       "\"console\" runs a program of the container's files (default: /bin/sh) in "
		       "its machine, with all\n"
		       "rights there, if the container was started with vm.debug_console.",
	.options = table,
	.min_args = 2,
	.max_args = VERB_ARGS_ANY,
	.run = run_debug,
};
