/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/share.h - what a virtual machine sees of the host's files: one directory tree, which
 * virtiofsd serves (files.h) and the guest mounts at SHARE_GUEST.
 *
 * Made by the staged child in a mount namespace of its own. Every source is opened once, as a
 * detached clone (open_tree(2)), and judged by that descriptor; then a small tmpfs is mounted over
 * a directory of ours and the clones are put below it: "rootfs", and one entry per bind mount of
 * mounts[] under its index. What config.json says of writing and of propagation holds for the
 * clones themselves, so that it does not depend on the guest. Set-id bits and device nodes mean
 * nothing to who serves them: clones are nosuid and nodev, on the host alone.
 *
 * A container that joins a machine has a tree of its own, which becomes an entry of the machine's
 * (member.h). Volumes that it may have together with others lie beside it (share_volume.h).
 *
 * A volume in memory that is empty is the guest's (share_memory.h). What is not a directory or a
 * regular file:
 *   a link (copy-symlink)	the same link in the tree
 *   a device that every Linux has (null, zero, full, random, urandom, tty, tun, fuse), and files of
 *   proc, sysfs, cgroupfs, devpts, devtmpfs, mqueue: the guest's own of the same name
 *   a block device		a disk of the machine; block devices of linux.devices, too
 *   a socket, a fifo, another device, a namespace: refused by name
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "hypervisor/machine.h"
#include "oci/spec.h"
#include "runtime/runtime.h"
#include "wire/agent_msg.h"

#define SHARE_GUEST    "/run/caisson/share" /* where the guest has the tree */
#define SHARE_NAME_MAX 24		    /* of a tree below it, NUL included */

enum share_kind {
	SHARE_NOTHING, /* not a bind mount: the guest makes it */
	SHARE_TREE,    /* an entry of the tree */
	SHARE_GUESTS,  /* the guest's own file */
	SHARE_DISK,    /* share.disks; a device, or what a mount of mounts[] is made of */
	SHARE_MEMORY,  /* share.memories: a tmpfs of the guest (share_memory.h) */
};

/* A mount that lies below the source of a recursive bind mount and came along. */
struct share_below {
	char *place; /* owned: "a/b" */
	uint64_t flags;
};

#define SHARE_BELOW_MAX 256u /* of one bind mount; what is beyond is part of what it lies in */

struct share_mount {
	enum share_kind kind;
	char *path; /* owned: what the guest's bind mount has as its source; NULL of NOTHING */
	char *from; /* owned: the entry of the tree that `path` is a copy of; NULL: it is none */
	bool made;  /* mounts[] asks for a file system, which the host has made: a bind mount in the
		       guest, without data */
	uint64_t flags;		   /* MS_* of a TREE's clone as source and options have it */
	struct share_below *below; /* owned; parents first */
	size_t below_len;
	struct share_volume *volume; /* owned: taken out of the tree (share_volume.h); or NULL */
};

/* What holds the container's root file system: annotation SHARE_ROOTFS. */
enum share_rootfs {
	SHARE_ROOTFS_SHARED,  /* the host's directory, written through */
	SHARE_ROOTFS_OVERLAY, /* the same, read-only below a tmpfs of the guest */
	SHARE_ROOTFS_BLOCK,   /* an image (erofs, ext4) as a disk, below a tmpfs of the guest */
};
#define SHARE_ROOTFS "io.caisson.vm.rootfs"
/* Destinations, separated by commas, of mounts whose changes are told inside (share_watch.h). */
#define SHARE_WATCH	 "io.caisson.vm.watch"
#define SHARE_COPIES_MAX 16u

/* A tmpfs of the guest: where it is there, and mount(2)'s data. */
struct share_memory {
	char path[80], options[128];
};
#define SHARE_MEMORIES_MAX 16u
#define SHARE_VOLUMES_MAX  32u /* of a container, that others may have, too (share_volume.h) */

struct share_options {
	const struct oci_spec *spec;
	const char *bundle, *rootfs; /* absolute */
	const int *idmap_fds;	     /* one per mounts[], or NULL */
	const char *dir;	     /* covered by the tree in this mount namespace */
	const char *watch;	     /* SHARE_WATCH, or NULL */
	bool pmem;		     /* the machine may have images as persistent memory */
	uint64_t memory;	     /* of the machine, bytes; 0: not known */
	/* Of a container that joins: the tree becomes the entry `name` of the machine's. NULL. */
	const char *name;
	bool pod;  /* others will join: the tree is served also where nothing is in it */
	bool open; /* others may join where it is served */
	enum share_rootfs mode;
};

/* Where the guest has what is this container's. */
struct share_places {
	char files[64], copies[64], lower[64], upper[64], root[64];
	char overlay[384]; /* mount(2)'s data */
};

/* How the guest calls a disk, and how config.json does: "/dev/vdb", "8:16". */
struct share_disk_name {
	char path[16], numbers[24]; /* numbers: "": it is not the container's by itself */
};

struct share {
	struct share_mount *mounts; /* owned: as many as mounts[] has */
	size_t mounts_len;
	const char *root; /* root.path of the guest: of this struct */
	char rootfs[80];
	struct share_places places;
	int top; /* with `open` owned, where it is served: the tree's directory, writable, for
		    entries of others; else 0 */
	/* Disks of the machine, the first ones of its table; descriptors are owned. */
	struct machine_disk disks[MACHINE_DISKS_MAX];
	struct share_disk_name names[MACHINE_DISKS_MAX];
	unsigned int disks_len;
	struct share_memory memories[SHARE_MEMORIES_MAX];
	unsigned int memories_len;
	char volumes[SHARE_VOLUMES_MAX][48]; /* where the guest has their entries */
	unsigned int volumes_len;
	int tree; /* with these owned: the tree's directory, writable, for references; else 0 */
	/* What the agent mounts before it makes the container. Texts are static or of this struct.
	 */
	struct agent_storage storages[5 + MACHINE_DISKS_MAX + SHARE_COPIES_MAX +
				      SHARE_MEMORIES_MAX + SHARE_VOLUMES_MAX];
	uint32_t storages_len;
	bool files;		 /* something of the tree is asked for: virtiofsd has work */
	unsigned int copies_len; /* mounts that have a `from` */
	bool watches;
	int watch; /* with `watches` owned: inotify(7) of what the copies are made of */
};

/*
 * What the annotation says and the root file system is. Absent: BLOCK for a file, else SHARED.
 * -EINVAL for another word; -EPERM where the configuration does not allow the annotation.
 */
int share_rootfs_mode(const struct runtime *rt, const struct oci_spec *spec, const char *rootfs,
		      enum share_rootfs *ret, struct err *err);

/*
 * Build the tree at o->dir. "mount /src at /data: No such file or directory". *ret is the caller's,
 * also half-made; the mounts stay with the namespace.
 */
int share_build(const struct share_options *o, struct share *ret, struct err *err);

/* Accepts a zeroed or half-made struct. */
void share_done(struct share *share);
#define AUTO_SHARE AUTO(share_done)
