/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/mask.h - linux.readonlyPaths and linux.maskedPaths (OCI runtime-spec config-linux.md).
 *
 * Runs after pivot_root(2). A masked directory gets an empty read-only tmpfs (one superblock for
 * all), a masked file the container's /dev/null, which is first proven to be that device and then
 * mounted by the descriptor that was proven (CVE-2025-31133). Paths directly in /proc are taken in
 * a verified procfs; all others are resolved in the root without magic links. A path that does not
 * exist is skipped.
 */
#pragma once

#include "base/err.h"
#include "oci/spec.h"

/* root_fd: the root of the container's tree. The error names the path. */
int mask_apply(int root_fd, const struct oci_spec *spec, struct err *err);
