/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/size.h - vCPUs and memory of a machine, and what its host's cgroup has besides.
 *
 * The pod's limits as engines say them (annotations of containerd's and CRI-O's pods), else the
 * container's, else the settings. Memory is the limit and the overhead.
 */
#pragma once

#include "base/err.h"
#include "oci/spec.h"
#include "runtime/vm/settings.h"

struct vm_size {
	uint32_t cpus;
	uint64_t memory; /* bytes */
};

/* -EINVAL: the limit is above MACHINE_MEMORY_MAX. Never more than the host has. */
int vm_size_get(const struct vm_config *config, const struct oci_spec *spec, struct vm_size *ret,
		struct err *err);

/* Bytes that QEMU and virtiofsd need besides the guest's memory. */
#define VM_HOST_OVERHEAD (192ull << 20)
