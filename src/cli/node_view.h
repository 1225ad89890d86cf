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

/* Print it. `live`: without those that are stopped, as `docker ps`. */
int node_view_print(struct cli *cli, bool live, enum node_view_format format, struct err *err);
