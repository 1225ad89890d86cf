/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/node_view.h - every container of the node in one view, whoever started it: the default root
 * and the given one, those of users without rights, those of containerd's shims and of Docker.
 */
#pragma once

#include "cli/cli.h"

enum node_view_format {
	NODE_VIEW_TABLE,
	NODE_VIEW_JSON,
	NODE_VIEW_IDS,
};

/*
 * Call `fn` for every container. `foreign`: its root belongs to a user whom root does not trust; it
 * can be looked at, and not be loaded. Stops at the first that is not 0, and returns it. users_ms:
 * for reading the roots of all users that are slow (aside_share()); one that takes longer is told
 * of in the log and not there.
 */
typedef int node_fn(void *arg, const struct runtime *rt, const struct container *c, bool foreign);
int node_each(struct cli *cli, int64_t users_ms, node_fn *fn, void *arg, struct err *err);

/* Print it. `live`: without those that are stopped, as `docker ps`. */
int node_view_print(struct cli *cli, bool live, enum node_view_format format, struct err *err);
