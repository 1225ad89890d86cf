/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/size.h - vCPUs and memory of a machine, and what its host's cgroup has besides.
 *
 * The pod's sums as engines say them, and the container's own limits: the larger counts. Memory is
 * the limit and the overhead, never above vm.max_memory; CPUs are the quota's, rounded up, no more
 * than the cpuset's and never above vm.max_cpus. Where nobody limits, it is vm.memory and vm.cpus.
 *
 *   io.kubernetes.cri.sandbox-memory, -cpu-quota, -cpu-period   containerd
 *   pod-linux-resources.crio.io, io.kubernetes.cri-o.PodLinuxResources   CRI-O: an object with
 *       memory_limit_in_bytes, cpu_quota, cpu_period
 *
 * Who creates the pod says them through the engine: a text that is none is refused by its name.
 * With some engines a user writes annotations as he likes, so that memory beyond the container's
 * own limit needs somebody else's word: that of the pod's cgroup, or of any above the container's,
 * whose limit bounds it; without one vm.max_memory, or half of the host where that is not set.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"
#include "host/cgroup.h"
#include "oci/spec.h"
#include "runtime/vm/settings.h"

struct vm_size {
	uint32_t cpus;
	uint64_t memory; /* bytes */
};

/*
 * Lower config->pod_memory to what the cgroups above the container's own have. NULL: it has none.
 */
void vm_size_bound(struct vm_config *config, const struct cgroup *cgroup);

/*
 * `annotations`: an object of texts, or NULL. -EINVAL names the annotation that is no number.
 */
int vm_size_get(const struct vm_config *config, const json_t *annotations,
		const struct oci_resources *resources, struct vm_size *ret, struct err *err);

/*
 * What resources of an update ask for, of a container that was made with `made`: a member is 0
 * where they say nothing of it. Without a quota the CPUs are those of the start. -ENOTSUP when the
 * memory is more than the configuration allows to a machine.
 */
int vm_size_update(const struct vm_config *config, const json_t *annotations,
		   const struct oci_resources *made, const struct oci_resources *resources,
		   struct vm_size *ret, struct err *err);

/* Into what a machine may grow: its own size unless its type can. */
struct vm_size vm_size_room(const struct vm_config *config, const struct vm_size *size);

/*
 * Threads of QEMU (a vCPU each, block I/O), virtiofsd's pool, the supervisor; a waiter and up to
 * three carriers of each exec.
 */
#define VM_HOST_PIDS 1024

/*
 * The limits of the host's cgroup for those of the container: memory for the machine and its
 * processes, tasks of theirs, and of `unified` what holds outside. `limits` is changed in place,
 * the items of limits->unified too.
 */
void vm_size_host_limits(const struct vm_config *config, const struct vm_size *size,
			 struct oci_resources *limits);

/* Whether a key of `unified` holds inside, in the cgroup of the guest. */
bool vm_size_is_inside(const char *key);
