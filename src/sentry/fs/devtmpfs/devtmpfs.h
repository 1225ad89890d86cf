/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devtmpfs/devtmpfs.h - /dev: a tmpfs with the default devices of the OCI runtime
 * specification (config-linux.md, "Default Devices") in it.
 */
#pragma once

#include "sentry/vfs/superblock.h"

/*
 * The type "devtmpfs"; needs the type "tmpfs" when it is mounted. Registers the drivers of the
 * memory devices too; terminals register theirs in devpts_register().
 */
void devtmpfs_register(void);

/* Put nodes, links and mount points into the root directory of an empty tmpfs. 0 or -errno. */
int devtmpfs_populate(struct superblock *sb);
