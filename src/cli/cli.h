/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/cli.h - what the verbs of `caisson` share: the table of verbs, the invocation, output,
 * errors.
 *
 * main.c finds the verb, reads its options by its table and calls it; a verb decodes, calls
 * src/runtime, and prints. Whatever fails comes back as -errno with one sentence; main prints it as
 * runc does (cli/report.h) and picks the exit code.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "runtime/config.h"
#include "cli/options.h"
#include "runtime/runtime.h"

#define EXIT_EXEC_ERROR	  255 /* any error of `exec` that is ours, as runc's */
#define EXIT_UNKNOWN_VERB 3

/* Global options as given; NULL: not given. */
struct global_options {
	const char *root;
	const char *log;
	const char *log_format;
	const char *log_level;
	const char *cgroup_manager;
	const char *rootless;
	const char *isolation;
	const char *debug; /* "", "true", "false" or rooms of the sentry */
	const char *platform, *stub_profile, *cpu_isolation;
	const char *network;
	const char *overlay;
	const char *file_access;
	const char *file_access_mounts;
	const char *host_uds;
	const char *strace; /* "": every call */
	const char *events, *event_sink;
	bool systemd_cgroup;
	bool version;
};

/* One invocation. */
struct cli {
	const char *argv0;
	struct global_options flags;
	struct config config; /* effective settings; filled for verbs that need them */
	struct runtime runtime;
};

enum verb_flags {
	VERB_NO_RUNTIME = 1u << 0,  /* needs no configuration and no root directory */
	VERB_IN_ORDER = 1u << 1,    /* the first argument ends the options (exec, ps, do) */
	VERB_EXEC_ERRORS = 1u << 2, /* errors exit 255 and say "exec failed: " */
};

#define VERB_ARGS_ANY	 (~0u)
#define VERB_OPTIONS_MAX 512 /* bytes of a verb's options struct */

struct verb {
	const char *name;
	const char *args;	      /* usage after the options: "<container-id> [signal]" */
	const char *summary;	      /* one line, lower case */
	const char *description;      /* paragraphs for --help; may be NULL */
	const struct option *options; /* ends with a NULL name; never NULL */
	unsigned int min_args, max_args;
	unsigned int flags; /* enum verb_flags */
	/* Exit code (0 or more), or -errno with a sentence. `options` is the struct of the table.
	 */
	int (*run)(struct cli *cli, const void *options, const struct option_args *args,
		   struct err *err);
};

extern const struct option global_option_table[];
extern const struct option no_options[];      /* an empty table */
extern const struct verb *const verb_table[]; /* NULL-terminated, in the order of help */

const struct verb *verb_find(const char *name);

/* The whole program, for main() and tests. Returns the exit code. */
int cli_main(int argc, char **argv);

/* Help text, appended to `out`. */
void help_program(struct buf *out);
void help_verb(const struct verb *verb, struct buf *out);
/* "caisson version X\ncommit: ...\nspec: ...\nlibseccomp: ...\n" */
void version_text(struct buf *out);

/* Write a buffer to standard output. -ENOMEM when it could not be filled, -EPIPE and so on. */
int out_flush(const struct buf *out, struct err *err);

/* Print a JSON value and a newline; `indent` spaces, 0: one line. */
int out_json(const json_t *value, size_t indent, struct err *err);

/* cli/globals.c: log and runtime from flags and configuration. */
int globals_setup_log(struct cli *cli, struct err *err);
int globals_setup_runtime(struct cli *cli, struct err *err);

/* The container of args->items[0], with (lock) or without its lock. */
int cli_load(struct cli *cli, const struct option_args *args, bool lock, struct container **ret,
	     struct err *err);

/* A container as `state` and `list` show it (runc's fields in runc's order). NULL: out of memory.
 */
json_t *container_view(const struct container *c, const char *owner);

/* The effective configuration as `config --json` shows it: a new reference. NULL: out of memory. */
json_t *config_document(const struct config *config);

#define OWNER_NAME_MAX 64
/*
 * The user name of a uid in the text of /etc/passwd, "#uid" without one. That file is read and not
 * asked for by getpwuid(3): a static program cannot load name service modules.
 */
void cli_owner_name(const struct buf *passwd, uid_t uid, char name[static OWNER_NAME_MAX]);

/* Each id of the root that the extended regular expression matches, for kill and delete --regex. */
int cli_each_match(struct cli *cli, const char *pattern,
		   int (*each)(struct cli *cli, const char *id, void *arg, struct err *err),
		   void *arg, struct err *err);

static inline void container_free_auto(struct container **c)
{
	container_free(*c);
}
#define AUTO_CONTAINER AUTO(container_free_auto)
