/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/shim_cgroup.h - the cgroup of the shim itself: runc's option ShimCgroup. containerd writes
 * the options to the standard input of `start` (pkg/shim, "ReadRuntimeOptions").
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

#define SHIM_OPTIONS_MAX (1u << 20) /* bytes on standard input */
#define SHIM_OPTIONS_MS	 2000	    /* until they must be there */

/*
 * What the options at `fd` say, the caller's; NULL: nothing. What is no options (later versions of
 * containerd may say other things there) or does not come says nothing. A terminal is not read.
 */
char *shim_cgroup_read(int fd);

/*
 * Move a process into that cgroup, which is there, in every hierarchy that has it. -ENOENT: none
 * has; -EINVAL: it leads elsewhere, or is the top.
 */
int shim_cgroup_enter(const char *path, pid_t pid, struct err *err);
