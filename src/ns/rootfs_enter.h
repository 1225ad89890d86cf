/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/rootfs_enter.h - propagation before the first mount, and the change of the root directory.
 */
#pragma once

#include "base/err.h"
#include "ns/rootfs.h"

/*
 * The propagation of linux.rootfsPropagation (default "rslave") for everything that the mount
 * namespace copied from the host; the mount that holds the root file system becomes private, so
 * that nothing mounted below it shows on the host.
 */
int rootfs_isolate(const struct rootfs *rootfs, struct err *err);

/*
 * The propagation of linux.rootfsPropagation for the container's root, once it is "/". The last
 * thing done to it: what is unbindable cannot be cloned for read-only and masked paths any more.
 */
int rootfs_propagate(const struct rootfs *rootfs, struct err *err);

/* A word of linux.rootfsPropagation as flags of mount(2); 0: absent (NULL) or none. */
unsigned long rootfs_propagation_flags(const char *word);
