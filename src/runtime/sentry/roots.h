/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sentry/roots.h - the directories and files of the host that a container sees, as detached
 * mounts for its gofer.
 *
 * Opened by the staged child in a mount namespace of its own: the root file system first, then
 * every bind mount of mounts[] in its order, each followed by the mounts that "rbind" brings along.
 * Overlays and idmapped tmpfs are made here, too, as the host makes them. A detached clone
 * (open_tree(2)) carries its own attributes, nodev and nosuid among them: devices and set-id bits
 * are the sentry's affair. Places that mounts need in the root file system are made before, as
 * class ns does, with openat2(2) inside the root.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "oci/spec.h"

struct root {
	int fd;		/* owned: O_PATH of the detached mount */
	uint32_t flags; /* enum gofer_root_flags */
	bool is_file;
	uint64_t ms_flags; /* MS_* of the mount as config.json wants it */
	size_t mount;	   /* index in mounts[]; of root 0: SIZE_MAX */
	char *below;	   /* owned: a mount below that one, "a/b"; NULL: the one itself */
};

struct roots {
	struct root *items; /* owned */
	size_t len;
	struct buf mountinfo; /* owned: of this mount namespace, once it was needed */
};

struct roots_options {
	const struct oci_spec *spec;
	const char *bundle, *rootfs; /* absolute */
	const int *idmap_fds;	     /* one per mounts[], or NULL */
	uint32_t socket_flags;	     /* of enum gofer_root_flags, for every root */
	const char *notify_dir;	     /* a source of ours, whose socket is for the container */
	bool make_places;	     /* writes go to the root file system itself (no overlay) */
	bool read_only;		     /* nobody writes there, not even what stays nameless */
};

/*
 * "copy-symlink" of a source that is a link: its text, the caller's, in *ret; NULL for anything
 * else.
 */
int roots_link_text(const struct oci_mount *m, const char *bundle, char **ret, struct err *err);

/* "mount /src at /data: No such file or directory". *ret is the caller's, also half-made. */
int roots_open(const struct roots_options *options, struct roots *ret, struct err *err);
void roots_done(struct roots *roots);
