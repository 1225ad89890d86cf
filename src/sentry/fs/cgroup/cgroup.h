/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/cgroup/cgroup.h - cgroupfs as a container sees it: the files of its own cgroup, version
 * 2 ("cgroup2") and version 1 ("cgroup", one controller per mount). Limits are those of
 * fs/proc/sysinfo.h; nothing can be changed from inside.
 */
#pragma once

/* The types "cgroup" and "cgroup2". */
void cgroup_register(void);
