/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/do_setup.h - from the command line of `caisson do` and the host to a plan.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "cli/do_spec.h"
#include "cli/do_tree.h"
#include "cli/options.h"

#define DO_VOLUMES_MAX 128

/* As typed. */
struct do_options {
	const char *isolation, *network, *memory, *cpus, *pids, *cwd, *user;
	struct option_list volumes, env;
	bool rw;
};

struct do_setup {
	struct do_plan plan;
	uid_t host_uid;
	gid_t host_gid;
	char cwd[DO_PATH_MAX]; /* the caller's */
	char cpu_quota[24];
	char cpu_period[24];
	char resolv_conf[PATH_MAX];
	char **env;		   /* owned */
	struct do_volume *volumes; /* owned, with their strings */
	size_t volumes_len;
};

/* Judge the options; find ids, directory and environment. Changes nothing. `argv` is borrowed. */
int do_setup_plan(struct do_setup *setup, const struct do_options *options, const char *const *argv,
		  struct err *err);

/* After do_tree_build(): add what the tree decided. */
int do_setup_mounts(struct do_setup *setup, const struct do_tree *tree, struct err *err);
void do_setup_done(struct do_setup *setup);

/*
 * The environment inside: the harmless part of `environ`, then `wanted` (NAME=VALUE, or NAME for
 * the caller's value). *ret is the caller's. -EINVAL for a text without a name.
 */
int do_environment(char *const *environment, const struct option_list *wanted, char ***ret,
		   struct err *err);

/* "nobody", "1000", "1000:100" with the text of /etc/passwd for names. -EINVAL, -ENOENT. */
int do_user_parse(const char *text, const char *passwd, uint32_t *ret_uid, uint32_t *ret_gid,
		  struct err *err);
