/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/mount_copyup.h - "tmpcopyup": a new tmpfs that starts with what it covers.
 *
 * The source is hostile: it is read through descriptors, links are copied and never followed, only
 * what fstat(2) calls a regular file is opened for reading, and depth is limited. Copied: mode,
 * owner, times, user.* attributes and file capabilities; fifos and sockets are made again, devices
 * where the kernel allows it (else left out). Hard links become separate files.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define COPYUP_DEPTH_MAX 128 /* directories below the top; -ELOOP above it */

/*
 * Copy everything below the directory from_fd into the directory to_fd (both may be O_PATH). The
 * error names the entry: "copy etc/passwd: No space left on device". keep_top: mode, owner and
 * times of to_fd itself stay (the mount's options say what they are).
 */
int mount_copyup(int from_fd, int to_fd, bool keep_top, struct err *err);
