/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/nsfs.h - files that stand for namespaces: what /proc/PID/ns/KIND leads to
 * (namespaces(7), ioctl_ns(2)). An open one keeps its namespace.
 */
#pragma once

#include "sentry/task/namespaces.h"
#include "sentry/vfs/file.h"

/* A namespace of a task by its kind, CLONE_NEW*. */
struct ns_ref {
	uint64_t kind;
	uint64_t id;  /* inode number */
	void *object; /* struct uts_ns, mount_ns ..., or NULL: the sandbox's only one of its kind */
};

/* *ret holds references on a path that reads "net:[4026531840]". 0, -ENOMEM. */
int nsfs_path(const struct ns_ref *ref, struct path *ret);

#define USER_INIT_ID 0xeffffffdu /* Linux's PROC_USER_INIT_INO */

/* The user namespace that owns it (of one of these: its parent); NULL: the initial one. */
struct user_ns *nsfs_owner(const struct ns_ref *ref);

/* What setns(2) needs; borrowed from the file. False: another kind of file. */
bool nsfs_file(const struct file *f, struct ns_ref *ret);

/* "net" of CLONE_NEWNET. */
const char *nsfs_kind_name(uint64_t kind);
