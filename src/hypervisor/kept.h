/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypervisor/kept.h - small files of what was found out about this host; private to the room. They
 * are below /run, or in the user's own runtime directory.
 */
#pragma once

#include <limits.h>

#include "base/buf.h"

/* The path of the file `name`. NULL: there is no place for it. */
const char *kept_path(const char *name, char path[static PATH_MAX]);

/* A regular file that only the caller can have written; -EPERM: somebody else could. */
int kept_open(const char *path, int flags);
int kept_read(const char *path, struct buf *text);

/* The id of the host's boot, without its line's end, behind what `text` has. -errno */
int kept_append_boot(struct buf *text);
