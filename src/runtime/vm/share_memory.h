/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/share_memory.h - volumes in memory: an empty tmpfs of the host that an engine made for
 * a container becomes a tmpfs of the guest.
 *
 * Those of kubelet (emptyDir with "medium: Memory": .../kubernetes.io~empty-dir/NAME) and the
 * tmpfs that engines mount at /dev/shm, where it is not the host's own /dev/shm. What is no mount
 * of its own, has an entry or is no tmpfs stays shared with the host. Size, inodes, mode and owner
 * are the host's. The place in the guest is named by the host's file system, so that what is
 * mounted twice, by a second container of a machine, too, is one there.
 */
#pragma once

#include <stdbool.h>

#include "oci/spec.h"
#include "runtime/vm/share.h"

/* Whether source or destination are such; nothing is opened. */
bool share_memory_wanted(const struct oci_mount *m);

/*
 * Make mounts[index] one, whose clone is `fd` (O_PATH). 1: done; 0: it is none and stays shared;
 * -ENOMEM. A size above `machine_memory` (bytes; 0: unknown) is left to the guest's kernel: half of
 * what it has.
 */
int share_memory_take(struct share *share, size_t index, const struct oci_mount *m, int fd,
		      uint64_t machine_memory);
