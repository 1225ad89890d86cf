/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/file_caps.h - capabilities of programs (capabilities(7), "File capabilities"): the
 * extended attribute security.capability, of version 2, or 3 with the root of a user namespace.
 */
#pragma once

#include <linux/capability.h>

#include "sentry/vfs/inode.h"

#define FILE_CAPS_XATTR "security.capability"

struct file_caps {
	bool found;
	bool effective; /* what is permitted becomes effective */
	uint64_t permitted, inheritable;
};

/*
 * What the file gives to a process of cred's user namespace; not found is no error. -EINVAL: an
 * attribute of another form; what the filesystem says. May park.
 */
int file_caps_read(struct inode *inode, const struct cred *cred, struct file_caps *ret);

/* getxattr(2): as cred's user namespace sees it. Also -EINVAL, -EOVERFLOW: none of its roots'. */
ssize_t file_caps_show(struct inode *inode, const struct cred *cred, void *value, size_t size);

/*
 * setxattr(2): may cred give these, and what is kept: *value and *size become version 3 in `own`
 * where the root of a user namespace gives them. -EINVAL, -EPERM.
 */
int file_caps_judge(const struct inode *inode, const struct cred *cred, const void **value,
		    size_t *size, struct vfs_ns_cap_data *own);

/* Data or owner of a regular file change: its capabilities go. inode->lock is held. 0, -errno. */
int file_caps_strip(struct inode *inode);
