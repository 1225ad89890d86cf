/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/debug.h - what goes into the archive of `caisson debug collect`.
 *
 * Everything read is bounded, and no path in it is one that the container chose: files are read
 * from the runtime's own directory, from /proc/PID of verified processes, and from the cgroup.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/tar.h"

#define COLLECT_FILE_MAX	 (1u << 20)   /* bytes of one member; the tail is kept */
#define COLLECT_LOG_MAX		 (256u << 10) /* bytes of the log's tail */
#define COLLECT_ARCHIVE_MAX	 (64u << 20)  /* bytes of the archive */
#define COLLECT_PIDS_MAX	 256
#define COLLECT_CGROUP_FILES_MAX 256 /* of one directory */

struct collect {
	struct tar tar;
	struct cli *cli;
	const struct container *container;
};

/* The whole archive but its end. Files that cannot be read become members that say why. */
int collect_all(struct collect *collect, struct err *err);

/* debug ID events: lines of JSON until the container ends. `list`: names with commas, NULL: all. */
int debug_follow(struct cli *cli, const char *id, const char *list, struct err *err);

/* debug decode FILE: what --event-sink wrote, as lines of JSON. "-": standard input. */
int debug_decode(const char *path, struct err *err);

/*
 * Replace the values of environment variables ("NAME=<redacted>") in process.env and in the hooks
 * of a config.json, and the values of annotations. In place.
 */
void collect_redact(json_t *config);
