/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/mount_guard.h - what may be mounted where around /proc: base/proc_guard.h, with words for it.
 */
#pragma once

#include "base/err.h"

/*
 * Judge a mount whose place is `path` (resolved: no links in it). `type` is the file system's, or
 * NULL for a bind mount, whose source is then mount_fd. -EPERM with the reason.
 */
int mount_guard_check(const char *path, const char *type, int mount_fd, struct err *err);
