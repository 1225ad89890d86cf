/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/mount_cgroup.h - mounts of type cgroup and cgroup2 (cgroups(7), cgroup_namespaces(7)).
 *
 * On v1 and hybrid layouts a tmpfs with one directory per hierarchy: with a cgroup namespace each
 * is mounted afresh and shows the container's own part, without one the container's own directory
 * is bound there. Co-mounted controllers get links ("cpu" -> "cpu,cpuacct"). On v2 one cgroup2
 * mount. Where that is refused in a user namespace the host's tree is bound, read-only unless a
 * cgroup namespace bounds it (CVE-2023-25809).
 */
#pragma once

#include "base/err.h"
#include "ns/mount_entry.h"

int mount_cgroup(struct rootfs *rootfs, const struct mount_entry *e, struct err *err);
