/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/do_tree.h - the file tree of a `caisson do` sandbox, in a mount namespace of our own.
 *
 * The calling process leaves the host's mount namespace (an ordinary user: into a user namespace in
 * which it is root first) and builds there, on a private tmpfs, overlays of the host's files.
 * Nothing of it is ever seen by the host, and all of it ends with the last process in the
 * namespace, however that ends.
 *
 * One overlay of / would do, but in a user namespace the kernel refuses a lower directory below
 * which it has locked mounts (mount_namespaces(7)), and / always is one. So a directory above such
 * mounts is made as a plain one on the tmpfs, and its entries are overlays.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define DO_PATH_MAX 4096

struct do_tree {
	char scratch[DO_PATH_MAX]; /* private tmpfs: bundle/ state/ rootfs/ ... */
	char rootfs[DO_PATH_MAX];
	char bundle[DO_PATH_MAX];
	char state[DO_PATH_MAX]; /* for containers of ordinary users */
	char init[DO_PATH_MAX];	 /* copy of this program: process 1 of the sandbox (do_init.h) */
	char cwd[DO_PATH_MAX];	 /* overlay of the working directory, or "": it is in rootfs */
	uid_t host_uid;		 /* of the caller */
	unsigned int overlays;	 /* made so far */
	bool cwd_readonly;	 /* cwd is a read-only bind mount */
	bool user_namespace;	 /* the process was moved into one */
	bool readonly; /* the kernel has no overlay for us: rootfs is a read-only bind mount */
};

/*
 * Enter the namespaces. `uid` and `gid` are the caller's ids on the host; both become 0 in a new
 * user namespace. Only for an ordinary user: root stays where it is. -EPERM and -ENOSPC with what
 * to do.
 */
int do_tree_enter(struct do_tree *tree, uid_t uid, gid_t gid, struct err *err);

/*
 * Build the tree. `cwd` (absolute) shall be visible inside: if it lies below a directory that the
 * sandbox has afresh (/tmp), it gets an overlay of its own; keep_cwd says that the caller binds it.
 * Where the kernel has no overlay for us the host's files are there read-only, with a warning.
 */
int do_tree_build(struct do_tree *tree, const char *cwd, bool keep_cwd, struct err *err);

/* A mount of the host, out of /proc/self/mountinfo. */
struct do_mount {
	char *path; /* unescaped; points into the text */
	char *type;
};

struct do_mounts {
	char *text;		/* owned */
	struct do_mount *items; /* owned */
	size_t len;
};

/* Read proc_pid_mountinfo(5) text (taken over). -ENOMEM. Lines of another form are skipped. */
int do_mounts_parse(char *text, struct do_mounts *ret);
void do_mounts_done(struct do_mounts *mounts);

/* The mount that holds `path` (the last one of its mount point), or NULL. */
const struct do_mount *do_mounts_holding(const struct do_mounts *mounts, const char *path);

/* True for what a sandbox shows: a file system on a disk or a network, or /, not in a fresh
 * directory. */
bool do_mount_shown(const struct do_mount *mount);

/* True if the sandbox has this path afresh (/proc /sys /dev /run /tmp and below). */
bool do_path_fresh(const char *path);
