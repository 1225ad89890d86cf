/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/rootfs.h - the container's file system, made inside its mount namespace.
 *
 * Called by the staged child only (src/ns/child.c), in this order, each once:
 *   rootfs_prepare()  propagation, the root itself, mounts[], devices, default links; cwd is the
 * rootfs (createContainer hooks run here: they see the host's tree and the new mounts)
 *   rootfs_enter()    pivot_root(2) and detach the old root; cwd is the new "/"
 *   rootfs_console()  /dev/console, if there is a terminal
 *   rootfs_finish()   read-only root, read-only and masked paths, propagation of the root
 *
 * The rootfs and every volume are hostile and may change at any moment. A target is resolved once,
 * by openat2(2) with RESOLVE_IN_ROOT below the rootfs descriptor, component by component when
 * directories are made (CVE-2021-30465, CVE-2024-45310), and everything after that acts on the
 * descriptor. No step follows a magic link; /proc is verified to be procfs before it is trusted
 * (CVE-2019-19921). The process is single-threaded and has CAP_SYS_ADMIN in the user namespace that
 * owns its mount namespace. Errors name the mount: "mount proc at /proc: Operation not permitted".
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "host/cgroup.h"
#include "oci/spec.h"

struct rootfs {
	/* immutable: what the caller asks for; borrowed */
	const struct oci_spec *spec;
	const char *bundle;	     /* absolute; relative bind sources count from here */
	const char *path;	     /* the root file system on the host, absolute */
	const struct cgroup *cgroup; /* for mounts of type cgroup; may be NULL */
	bool no_pivot;		     /* --no-pivot: MS_MOVE and chroot(2) instead */
	bool new_userns;	     /* mounts happen inside a new user namespace */
	bool cgroup_ns;		     /* the container has a cgroup namespace of its own */
	/* One user namespace per mounts[] entry for idmapped mounts, or -1; NULL: none. */
	const int *idmap_fds;
	/* spec->mounts_len detached mounts that the parent opened where the child may not (or -1);
	 * NULL */
	const int *source_fds;

	int pidns_fd; /* procfs shows this pid namespace, not the one of the caller; or -EBADF */

	/*
	 * Called (if not NULL) before each mount of type cgroup or cgroup2 is made: the parent may
	 * still be busy placing this process in its cgroup. After the first time it returns 0 at
	 * once.
	 */
	int (*before_cgroup)(void *arg, struct err *err);
	void *arg;

	/* private to this room; initialise with ROOTFS_INIT */
	int root_fd;	   /* O_PATH of the root of the container's tree */
	int dev_fd;	   /* the tmpfs that mounts[] put on /dev, nobody else's yet; or -EBADF */
	int *readonly_fds; /* owned: mounts that become read-only in rootfs_finish() */
	size_t readonly_len;
	bool shared_seen; /* a mount of the tree is shared: what is mounted on it becomes so too */
};

#define ROOTFS_INIT                                                     \
	{                                                               \
		.root_fd = -EBADF, .dev_fd = -EBADF, .pidns_fd = -EBADF \
	}

int rootfs_prepare(struct rootfs *rootfs, struct err *err);
int rootfs_enter(struct rootfs *rootfs, struct err *err);

/* Bind the terminal `slave` (the peer of a pty of the container's own devpts) on /dev/console. */
int rootfs_console(struct rootfs *rootfs, int slave, struct err *err);
int rootfs_finish(struct rootfs *rootfs, struct err *err);
void rootfs_done(struct rootfs *rootfs);
