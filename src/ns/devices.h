/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/devices.h - linux.devices, the default devices and links of /dev (OCI runtime-spec
 * config-linux.md#devices, #default-devices, #dev-symbolic-links).
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "ns/rootfs.h"

/* False when mounts[] binds a /dev of the host's: then it is left as it is. */
bool devices_wanted(const struct oci_spec *spec);

/*
 * Nodes by mknod(2), or where that is not allowed (user namespace) the host's nodes bound; a node
 * that exists must be the device asked for (-EEXIST). Then the links and /dev/ptmx. "device /dev/x:
 * ...".
 */
int devices_make(struct rootfs *rootfs, struct err *err);
