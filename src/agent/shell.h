/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/shell.h - a place for AGENT_EXEC_SHELL: the machine's own namespaces, and a mount namespace
 * in which the container's root file system is the root directory and /proc, /sys and /dev are the
 * machine's.
 */
#pragma once

#include "base/err.h"
#include "host/cgroup.h"
#include "ns/ns.h"

/*
 * In a worker: a process that holds the place, for ns_exec(). *ret has its pid and pidfd; it ends
 * with the worker. -EIO and the like name what could not be mounted.
 */
int shell_place(const char *root, struct ns_child *ret, struct err *err);

/*
 * In a worker: the cgroup of a container's debug shells is there, with the limits of memory, tasks
 * and CPU time that the container has now; what the container's processes use is not theirs, nor
 * are its rules for devices.
 */
int shell_cgroup(const struct cgroup *container, struct cgroup *shells, struct err *err);
