/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/host_devices.h - what the host's cgroup of a machine lets be opened.
 *
 * The container's devices are the guest's: its rules hold there. On the host supervisor, virtiofsd
 * and QEMU live in the cgroup, which has each the nodes of its own root directory alone, and the
 * staged child, which opens the machine's disks.
 */
#pragma once

#include "hypervisor/machine.h"
#include "runtime/creation.h"

/* What every machine has. */
#define VM_HOST_DEVICES 8u
extern const struct oci_device_rule vm_host_devices[VM_HOST_DEVICES];

/* One disk more than a machine has: that it is too many is told by who adds it. */
struct vm_devices {
	struct oci_device_rule rules[VM_HOST_DEVICES + MACHINE_DISKS_MAX + 1];
	size_t len;
};

/*
 * vm_host_devices and, in the order of share_build(), the block devices that config.json names as
 * root file system, mounts or linux.devices and whose rules let the container do what is asked for:
 * written is what is neither the root file system nor mounted read-only, and nodes are made of
 * those of linux.devices alone. What cannot be found is left out: who opens it tells why.
 */
void vm_devices_find(const struct oci_spec *spec, const char *bundle, const char *rootfs,
		     struct vm_devices *ret);
