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

/* Keep mount_fd (duplicated) until rootfs_finish() makes it read-only. 0 or -errno. */
int mount_readonly_later(struct rootfs *rootfs, int mount_fd);
