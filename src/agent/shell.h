/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/shell.h - a place for AGENT_EXEC_SHELL: the machine's own namespaces, and a mount namespace
 * in which the container's root file system is the root directory and /proc, /sys and /dev are the
 * machine's.
 */
#pragma once

#include "base/err.h"
#include "ns/ns.h"

/*
 * In a worker: a process that holds the place, for ns_exec(). *ret has its pid and pidfd; it ends
 * with the worker. -EIO and the like name what could not be mounted.
 */
int shell_place(const char *root, struct ns_child *ret, struct err *err);
