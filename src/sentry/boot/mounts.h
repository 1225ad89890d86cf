/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/mounts.h - the mount namespace of a container from its description.
 */
#pragma once

#include "base/err.h"
#include "sentry/vfs/namei.h"
#include "wire/sentry_msg.h"

struct pid_ns;

/*
 * The root file system (its reference is taken over, also on failure), then every mount in order,
 * devices in /dev, read-only and masked paths. From a fiber. *ret is the caller's.
 */
int boot_mounts(const struct sentry_container *c, struct superblock *root, struct pid_ns *pid_ns,
		struct mount_ns **ret, struct err *err);

/* The superblock of one of the gofer's roots: set by main() from fs/goferfs. */
typedef int boot_bind_fn(const struct sentry_container *c, uint32_t root, bool is_file,
			 struct superblock **ret);
void boot_set_bind(boot_bind_fn *fn);
