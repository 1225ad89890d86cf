/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/procfs.h - writes to /proc that nobody can redirect (CVE-2019-16884, CVE-2019-19921,
 * CVE-2025-52881 and their kin).
 *
 * A private procfs is a mount that stands nowhere in a mount tree: nothing can be mounted over its
 * files. Paths are resolved below its descriptor without links, magic links or mount points. A
 * procfs shows the pid namespace of whoever mounted it: open it after entering that namespace.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * A descriptor of a private procfs root (the caller's): a fresh mount (fsopen(2)), else a detached
 * clone of /proc without what is mounted over it (open_tree(2)), else /proc itself; verified as
 * procfs with root inode 1. -EXDEV if /proc is something else.
 */
int procfs_open_private(struct err *err);

/* The same with subset=pid: only /proc/PID; cheaper, and of no use for sysctl. */
int procfs_open_private_pids(struct err *err);

/* Refuse a descriptor that is not a procfs root directory: -EXDEV. */
int procfs_verify_root(int procfd);

/*
 * Open `path` (relative, "self/..." and "thread-self/..." mean the caller) below a procfs root.
 * flags are open(2)'s; O_CLOEXEC and O_NOFOLLOW are added. -EXDEV: something is mounted there,
 * -ELOOP: a link.
 */
int procfs_open(int procfd, const char *path, int flags);

/* One write(2) of the whole text. The error names the path. */
int procfs_write(int procfd, const char *path, const char *text, struct err *err);

/* linux.sysctl: "net.ipv4.ip_forward" or "net/ipv4/ip_forward" -> sys/net/ipv4/ip_forward, written.
 */
int procfs_write_sysctl(int procfd, const char *key, const char *value, struct err *err);
