/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/overlay/overlay.h - a writable tree over one that is never written (the kernel's
 * Documentation/filesystems/overlayfs.rst): copy-up, whiteouts, opaque directories.
 *
 * Whiteouts are character devices 0:0, opaque directories have trusted.overlay.opaque "y", as
 * there. A directory of the lower tree is not renamed (-EXDEV). Who has opened a file of the lower
 * tree for reading does not see what is written to its copy later; both as in Linux.
 */
#pragma once

#include "sentry/vfs/superblock.h"

#define OVERLAY_NAMES_MAX 1000000u /* of one directory, when it is listed */
#define OVERLAY_DEPTH_MAX 2u	   /* overlays of overlays, as Linux has it */
#define OVERLAY_LOWER_MAX 128u	   /* directories of lowerdir= */

/* The type "overlay" for mount(2). */
void overlay_register(void);

/*
 * Roots of two instances as one tree: both are kept, and nobody else may write to them. upper NULL:
 * read-only. 0, -ENOMEM.
 */
int overlay_new(struct superblock *lower, struct superblock *upper, struct superblock **ret);
