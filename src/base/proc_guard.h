/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/proc_guard.h - what may be mounted where around /proc, by name.
 *
 * Labels, sysctl and masks rely on /proc being a procfs and on its files being the kernel's own
 * (CVE-2019-16884, CVE-2019-19921, CVE-2023-27561). Hence: on /proc itself only procfs, and below
 * it only over a short list of files that tools like lxcfs replace (as runc has it).
 */
#pragma once

enum proc_place {
	PROC_PLACE_FREE,     /* not in /proc, or one of the files that may be replaced */
	PROC_PLACE_PROC,     /* /proc itself */
	PROC_PLACE_FORBIDDEN /* inside */
};

/* `path` is resolved: absolute, no links in it, no "." and "..". */
enum proc_place proc_place_of(const char *path);
