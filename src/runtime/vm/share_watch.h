/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/share_watch.h - volumes whose changes a container is to be told by inotify(7).
 *
 * Those of kubelet that it writes itself (ConfigMaps, Secrets, the downward API, projected ones),
 * and the destinations that the annotation SHARE_WATCH lists; read-only directories without mounts
 * below, and small. They are copied into the guest's memory (agent/volumes.h); a watch on the
 * host's directory, which the supervisor has (vmm/watch.h), says when to copy again.
 */
#pragma once

#include <stdbool.h>

#include "oci/spec.h"
#include "runtime/vm/share.h"

/* Whether the mount is one of these; `listed`: the annotation's text, or NULL. */
bool share_watch_wanted(const struct oci_mount *m, const char *listed);

/*
 * Watch the directory `fd`, if it is small enough and there is room. False, with a line in the log:
 * it is not, and goes without.
 */
bool share_watch_add(struct share *share, const struct oci_mount *m, int fd);
