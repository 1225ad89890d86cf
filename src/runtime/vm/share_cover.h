/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/share_cover.h - file systems of the host's kernel, procfs and the like, are not
 * served: who serves files is the host's root.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define SHARE_COVER_NAME_MAX 24

/* Whether the file's file system says what a kernel is or does. */
bool share_is_of_kernel(int fd);

/*
 * Cover what is such and lies mounted below `top` (an attached clone of `source`, a name for
 * sentences) by an empty directory. The text of /proc/self/mountinfo is read into an empty
 * *mountinfo.
 */
int share_cover_kernels(int top, const char *source, struct buf *mountinfo, struct err *err);

/*
 * Others may rename directories below a clone while paths are followed: look at all that is below
 * `top` (the directory that clones are attached to) once more, by the ids of mounts
 * (host/statmount.h; nothing before Linux 6.8), and cover what is not covered. 0 or -errno. -EBUSY:
 * something stays open to view for a tenth of a second, or is hidden by a mount of another
 * directory, out of which it could come; *ret_name, empty before, is then the name of the clone.
 */
int share_cover_again(int top, char ret_name[static SHARE_COVER_NAME_MAX]);
