/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/expect.h - the names that a start will look up in the container's root.
 */
#pragma once

#include "sentry/vfs/superblock.h"
#include "wire/sentry_codec.h"

/*
 * Have the root directory's entries that the mounts and the program lie in fetched at once
 * (goferfs_expect()). In a fiber. What could not be done costs nothing but time.
 */
void boot_expect(const struct sentry_container *c, struct superblock *root);

/* The start is over. */
void boot_expect_end(struct superblock *root);
