/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/anon.h - inodes without a name in any directory: pipes, sockets, eventfds and the
 * like.
 *
 * They live on one internal filesystem that is never mounted in a namespace; their paths read
 * "pipe:[12]", "socket:[13]", "anon_inode:[eventfd]".
 */
#pragma once

#include "sentry/vfs/file.h"

/*
 * A path to a fresh inode. mode has the type (0 for an anon_inode). `name` is the whole text, or
 * NULL: CLASS:[inode number], where class is "pipe" or "socket". Owner is cred (may be NULL: root).
 * 0, -ENOMEM.
 */
int anon_path_new(const char *class_or_null, const char *name, uint32_t mode,
		  const struct cred *cred, struct path *ret);

/*
 * file_init() with such a path; on failure nothing is taken. name is "[eventfd]" and shows as
 * "anon_inode:[eventfd]".
 */
int anon_file_init(struct file *f, const struct file_ops *ops, const char *name,
		   const struct cred *cred, uint32_t flags);

/* A path on the same internal mount to an inode of another filesystem (memfd_create): takes over
 * the reference on inode. The text is name, with " (deleted)". */
int anon_path_for_inode(const char *name, struct inode *inode, struct path *ret);
