/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/submounts.h - which mounts lie below a directory of this mount namespace.
 *
 * What "rbind" brings along is a tree of mounts; inside, each of them is a mount of its own.
 */
#pragma once

#include "base/buf.h"

/*
 * The places below `top` (absolute, without links) where `mountinfo` (proc_pid_mountinfo(5)) has
 * mounts: relative to it, parents first, each once, also such that another mount hides. *ret is the
 * caller's strv, NULL for none. 0, -ENOMEM.
 */
int submounts_parse(const char *mountinfo, const char *top, char ***ret);

/*
 * The same of /proc/self/mountinfo for the directory that `source` (below dir_fd where it is
 * relative) leads to. The text is read into an empty *mountinfo, the caller's, for the next one.
 * 0, -ENOMEM, or -errno of looking.
 */
int submounts_find(int dir_fd, const char *source, struct buf *mountinfo, char ***ret);

/* The same of a directory that is open and attached in this mount namespace. */
int submounts_below(int fd, struct buf *mountinfo, char ***ret);
