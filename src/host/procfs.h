/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/procfs.h - writes to /proc that nobody can redirect (CVE-2019-16884, CVE-2019-19921,
 * CVE-2025-52881 and their kin).
 *
 * The caller opens the host's /proc before the root is changed and has it verified. Paths are
 * resolved below that descriptor without links ("self" is one), magic links or mount points.
 */
#pragma once

#include "base/err.h"

/* Refuse a descriptor that is not a procfs root directory: -EXDEV. */
int procfs_verify_root(int procfd);

/*
 * One write(2) of the whole text to `path` (relative) below a procfs root. The error names the
 * path. -EXDEV: something is mounted there, -ELOOP: a link.
 */
int procfs_write(int procfd, const char *path, const char *text, struct err *err);

/* linux.sysctl: "net.ipv4.ip_forward" or "net/ipv4/ip_forward" -> sys/net/ipv4/ip_forward, written.
 */
int procfs_write_sysctl(int procfd, const char *key, const char *value, struct err *err);
