/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/cgroup/cgroup.h - cgroupfs as a container sees it: the files of its own cgroup, with
 * the limits of fs/proc/sysinfo.h. Nothing can be changed from inside.
 *
 * "cgroup2", and "cgroup" without options, is version 2. "cgroup" with controllers as options
 * ("memory", "cpu,cpuacct") is version 1.
 */
#pragma once

/* The types "cgroup" and "cgroup2", and cgroup namespaces. */
void cgroup_register(void);
void cgroup_ns_register(void); /* of this room */
