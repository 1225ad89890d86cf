/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install/files.h - files of a node below a root directory: paths are resolved inside of it
 * (openat2(2), RESOLVE_IN_ROOT), also absolute links.
 */
#pragma once

#include "install/plan.h"

/* Fill a file whose path is set. One that is not there is no error. */
int files_read(int root_fd, struct install_file *file, struct err *err);

/* Bring the file to what the plan says; directories are made (0755) where they are missing.
 * -EAGAIN: it is not the file that was read any more. */
int files_write(int root_fd, const struct install_file *file, struct err *err);

/* A directory below the root, or -errno. */
int files_open_dir(int root_fd, const char *path);
