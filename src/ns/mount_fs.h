/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/mount_fs.h - a new instance of a file system, by type, flags and data.
 *
 * fsopen(2), fsconfig(2) and fsmount(2): nothing is visible anywhere until move_mount(2) puts it on
 * a descriptor. What fsconfig(2) cannot carry (a value of 256 bytes and more, as in overlay's
 * lowerdir; "iversion") goes through mount(2) on the target's descriptor.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct mount_fs {
	const char *type;    /* as in /proc/filesystems; "fuse.sshfs" forms too */
	const char *source;  /* device or name; NULL: the type's name */
	const char *data;    /* "size=64k,mode=755", quotes keep a comma; NULL */
	const char *label;   /* SELinux context for the whole mount; NULL or "" */
	unsigned long flags; /* MS_*: what concerns the superblock is taken from here */
	uint64_t attr;	     /* MOUNT_ATTR_* of the mount */
};

/* Whether fsconfig(2) can carry it; otherwise use mount_fs_on(). */
bool mount_fs_is_plain(const struct mount_fs *fs);

/*
 * *ret_mount_fd becomes the caller's. On failure the message is the kernel's own where it left one
 * ("option size=abc: tmpfs: Bad value for 'size': Invalid argument"). -ENODEV: no such type.
 */
int mount_fs_create(const struct mount_fs *fs, int *ret_mount_fd, struct err *err);

/*
 * The same with one mount(2), put at once on `name` in dir_fd: a directory that the caller has just
 * made there and nobody else can reach, or "." for dir_fd itself. Nothing else is safe: mount(2)
 * follows links. Changes the working directory to dir_fd, which is how mount(2) is kept to a
 * descriptor. Two to three times faster than the six calls of mount_fs_create(), but a failure says
 * nothing but its errno.
 */
int mount_fs_on(const struct mount_fs *fs, int dir_fd, const char *name, struct err *err);

/* "remount" without "bind": new data and superblock flags for what is mounted at fd (fspick(2)). */
int mount_fs_reconfigure(const struct mount_fs *fs, int fd, struct err *err);

/* err_set() with nothing but the text of the errno. Returns code. */
int mount_fail(struct err *err, int code);
