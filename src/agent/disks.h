/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/disks.h - block devices of the host that a container was given: disks of the machine, which
 * have other numbers here than in its configuration.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/spec.h"
#include "wire/agent_msg.h"

/* What replaces two lists of a specification; owned. */
struct disks {
	struct oci_device *devices;
	struct oci_device_rule *rules;
};
void disks_done(struct disks *disks);

/* One disk: its numbers at the host, and here. */
struct disk_numbers {
	int64_t major, minor;
	int64_t own_major, own_minor;
};

/*
 * The numbers of the storages of type AGENT_STORAGE_DEVICE, in *ret (`len` places are enough).
 * Returns how many they are; -EINVAL, or why a disk is not there.
 */
int disks_find(const struct agent_storage *storages, size_t len, struct disk_numbers *ret,
	       struct err *err);

/*
 * linux.devices and the rules for block devices by the machine's numbers. A rule for a device that
 * is no disk of the machine is left out: its numbers are another device's here. *spec borrows
 * from *ret. -ENXIO for a block device of linux.devices that is no disk.
 */
int disks_apply(const struct disk_numbers *numbers, size_t len, struct oci_spec *spec,
		struct disks *ret, struct err *err);

/*
 * Both, and with a user namespace, in which no nodes are made, a node for each below our own /dev,
 * that is bound into the container.
 */
int disks_take(const struct agent_storage *storages, size_t len, struct oci_spec *spec,
	       struct disks *ret, struct err *err);
