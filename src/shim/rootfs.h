/* SPDX-License-Identifier: Apache-2.0 */
/* shim/rootfs.h - the root file system of a bundle, from the mounts of a snapshotter. */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct Caisson__Shim__Mount; /* of task.pb-c.h */

#define ROOTFS_MOUNTS_MAX 64
#define ROOTFS_LAYERS_MAX 512

/*
 * Mount all of them, one over the other, at BUNDLE/rootfs, and take back what was done when one
 * fails. Changes the working directory: for a worker.
 */
int rootfs_mount(const char *bundle, struct Caisson__Shim__Mount *const *mounts, size_t len,
		 struct err *err);

/* Unmount whatever is there, at once or when its last user goes. 0 also when nothing is mounted. */
int rootfs_unmount(const char *bundle, struct err *err);
