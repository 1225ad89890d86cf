/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/mount_entry.h - one entry of mounts[] (OCI runtime-spec config.md#mounts, config-linux.md).
 *
 * The mount is made detached, its attributes are set, and move_mount(2) puts it on the descriptor
 * of its target: nobody sees it half-made.
 */
#pragma once

#include "base/err.h"
#include "host/mount_options.h"
#include "ns/mount_target.h"
#include "ns/rootfs.h"

struct mount_entry {
	const struct oci_mount *m;     /* borrowed */
	const struct mount_options *o; /* borrowed */
	const char *type;	       /* NULL: a bind mount */
	int userns_fd;		       /* mapping of an idmapped mount, or -1 */
	int source_fd;		       /* detached mount that the parent opened, or -1; borrowed */
};

/* Perform mounts[index]. The error begins with "mount X at DESTINATION: ". */
int mount_entry_perform(struct rootfs *rootfs, size_t index, struct err *err);

/*
 * Put a detached mount on its target and do what belongs to that: the guard of /proc, a new root
 * when the target is "/", the read-only flag that waits for rootfs_finish(). mount_fd stays the
 * caller's.
 */
int mount_attach(struct rootfs *rootfs, int mount_fd, const struct mount_target *target,
		 const char *type, struct err *err);

/*
 * The same for an entry, with what its options want after that: propagation again when the place is
 * below a shared mount (which makes shared what is mounted on it), read-only later.
 */
int mount_attach_with(struct rootfs *rootfs, int mount_fd, const struct mount_entry *e,
		      const struct mount_target *target, struct err *err);

/*
 * MOUNT_ATTR_RDONLY if it has to wait: a tmpfs, and whatever is mounted on /dev, is filled by later
 * steps (mount points, devices), as in runc. Else 0.
 */
uint64_t mount_later_attr(const struct mount_entry *e, const struct mount_target *target);

/* NAME if path is "/dev/NAME" and /dev is the tmpfs that rootfs->dev_fd knows, else NULL. */
const char *mount_name_in_dev(const struct rootfs *rootfs, const char *path);

/* The two kinds of entries: mount_entry_fs.c, mount_entry_bind.c. */
int mount_entry_fs(struct rootfs *rootfs, const struct mount_entry *e, struct err *err);
int mount_entry_bind(struct rootfs *rootfs, const struct mount_entry *e, struct err *err);

/* Keep mount_fd (duplicated) until rootfs_finish() makes it read-only. 0 or -errno. */
int mount_readonly_later(struct rootfs *rootfs, int mount_fd);
