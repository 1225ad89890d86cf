/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/agent/leftovers.h - what a test has in the system beside its processes, a directory
 * and cgroups, is removed by a process that outlives it, however it ends.
 */
#pragma once

#include <stddef.h>

#define LEFTOVERS_SLOW "slow" /* in the directory: what may be mounted there */

/*
 * Makes a directory below /tmp, whose path it puts into `root`. When this process and its children
 * that have not called exec are gone, it goes, and in all hierarchies the cgroups of the name
 * `cgroups` ("/name") and of "/name-shells", with all below. Once in a process, which has its mount
 * namespace already and no threads yet.
 */
void leftovers_watch(char *root, size_t size, const char *cgroups);
/* That now; it must have gone well. */
void leftovers_remove(void);
