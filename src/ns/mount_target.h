/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/mount_target.h - the place of a mount, resolved once below the root file system.
 *
 * The tree below root_fd is hostile and may change while it is walked. The usual target (it exists
 * and no link is on the way) costs one openat2(2) with RESOLVE_IN_ROOT and RESOLVE_NO_SYMLINKS.
 * Anything else is walked component by component on descriptors: links are expanded inside the
 * root, absolute ones from root_fd, ".." never climbs above it, missing directories are made with
 * mkdirat(2) in the directory just opened (CVE-2021-30465, CVE-2024-45310). A magic link of procfs
 * is refused.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

enum mount_target_flags {
	TARGET_CREATE = 1u << 0,   /* make what is missing; TARGET_FILE says what the last one is */
	TARGET_FILE = 1u << 1,	   /* make an empty regular file, not a directory */
	TARGET_NOFOLLOW = 1u << 2, /* the last component may be a link and is not followed */
	TARGET_NO_LINKS = 1u << 3, /* a link anywhere is -ELOOP */
};

struct mount_target {
	int fd;		 /* owned: O_PATH of the place */
	struct buf path; /* owned: where it really is, "/a/b", "/" for the root; no links in it */
	bool created;	 /* the last component was missing before */
};

#define MOUNT_TARGET_INIT    \
	{                    \
		.fd = -EBADF \
	}

/*
 * Resolve `path` (absolute or relative: both count from root_fd). flags of enum mount_target_flags.
 * -ENOENT without TARGET_CREATE, -ELOOP (too many links, a magic link, TARGET_NO_LINKS), -ENOTDIR,
 * -EROFS and others of mkdirat(2). *ret is set on success only.
 */
int mount_target_open(int root_fd, const char *path, unsigned int flags, struct mount_target *ret,
		      struct err *err);

/*
 * Resolve the directory that holds the last component of `path`, made if it is missing. *ret_name
 * points into `path`. -EINVAL when the last component is empty, "." or "..".
 */
int mount_target_open_parent(int root_fd, const char *path, struct mount_target *ret,
			     const char **ret_name, struct err *err);

/* Closes and empties; accepts a half-built target. */
void mount_target_done(struct mount_target *target);
#define AUTO_MOUNT_TARGET AUTO(mount_target_done)
