/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/host_mount.h - file systems that the host makes although a sandbox mounts its own
 * ones: an overlay, whose directories are the host's, and what is idmapped.
 */
#pragma once

#include "base/err.h"
#include "host/mount_options.h"
#include "oci/spec.h"

/*
 * userns_fd: of an idmapped mount, or -1. *ret_fd is a detached mount, the caller's, and is left
 * alone where the sandbox makes the file system itself. -EINVAL: it cannot be idmapped; -E2BIG.
 */
int host_mount_make(const struct oci_mount *m, const struct mount_options *options, int userns_fd,
		    int *ret_fd, struct err *err);
