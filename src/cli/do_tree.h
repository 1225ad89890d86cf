/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/do_tree.h - the file tree of a `caisson do` sandbox, in a mount namespace of our own.
 *
 * The calling process leaves the host's mount namespace (an ordinary user: into a user namespace in
 * which it is root first) and builds there, on a private tmpfs, an overlay of the host's root and of
 * its file systems on disks. Nothing of it is ever seen by the host, and all of it ends with the last
 * process in the namespace, however that ends.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define DO_PATH_MAX 4096

struct do_tree {
	char scratch[DO_PATH_MAX]; /* private tmpfs: bundle/ state/ rootfs/ */
	char rootfs[DO_PATH_MAX];
	char bundle[DO_PATH_MAX];
	char state[DO_PATH_MAX];   /* for containers of ordinary users */
	char cwd[DO_PATH_MAX];	   /* overlay of the working directory, or "": it is in rootfs */
	uid_t host_uid;	      /* of the caller */
	bool overlay;	      /* false: rootfs is a read-only bind mount */
	bool user_namespace;  /* the process was moved into one */
};

/*
 * Enter the namespaces. `uid` and `gid` are the caller's ids on the host; both become 0 in a new user
 * namespace. Only for an ordinary user: root stays where it is. -EPERM and -ENOSPC with what to do.
 */
int do_tree_enter(struct do_tree *tree, uid_t uid, gid_t gid, struct err *err);

/*
 * Build the tree. `cwd` (absolute) shall be visible inside: if it lies below a directory that the
 * sandbox has afresh (/tmp), it gets an overlay of its own; keep_cwd says that the caller binds it.
 * Where the kernel has no overlay for us the host's files are there read-only, with a warning.
 */
int do_tree_build(struct do_tree *tree, const char *cwd, bool keep_cwd, struct err *err);

/*
 * A mount point out of /proc/self/mountinfo that the sandbox shows: on a disk or a network, and not
 * below what the sandbox has afresh. Pure, for tests. `path` is unescaped in place.
 */
bool do_tree_shows(const char *fs_type, const char *path);
void do_tree_unescape(char *path);
