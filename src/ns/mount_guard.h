/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/mount_guard.h - what may be mounted where around /proc.
 *
 * Labels, sysctl and masks rely on /proc being the container's procfs and on its files being the
 * kernel's own (CVE-2019-16884, CVE-2019-19921, CVE-2023-27561). Hence: on /proc itself only
 * procfs, and below it only over a short list of files that tools like lxcfs replace (as runc has
 * it).
 */
#pragma once

#include "base/err.h"

/*
 * Judge a mount whose place is `path` (resolved: no links in it). `type` is the file system's, or
 * NULL for a bind mount, whose source is then mount_fd. -EPERM with the reason.
 */
int mount_guard_check(const char *path, const char *type, int mount_fd, struct err *err);
