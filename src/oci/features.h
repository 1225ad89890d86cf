/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/features.h - the document of the verb `features` (runtime-spec features.md,
 * features-linux.md).
 *
 * This room knows the form and what the specification's parser understands; what mounts, seccomp
 * and cgroups offer is filled in by the caller from the rooms that do them.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "oci/spec.h"

/* Lists of words end with NULL and are borrowed; a NULL list is left out ("unknown"). */
struct oci_features {
	const char *const *mount_options;
	struct {
		bool v1, v2, systemd, systemd_user, rdma;
	} cgroup;
	struct {
		bool enabled;
		const char *const *actions, *const *operators, *const *archs;
		const char *const *known_flags, *const *supported_flags;
	} seccomp;
	bool apparmor, selinux;
	struct {
		bool enabled, schemata, monitoring;
	} intel_rdt;
	struct {
		const char *const *modes, *const *flags;
	} memory_policy;
	bool idmapped_mounts;
	bool net_devices;
	struct oci_kvs annotations;	       /* of the runtime: versions */
	const char *const *unsafe_annotations; /* potentiallyUnsafeConfigAnnotations */
};

/*
 * Append the document, indented by four blanks as runc's, no final newline. Versions, hooks,
 * namespaces and capabilities come from this room. -ENOMEM.
 */
int oci_features_print(const struct oci_features *features, struct buf *out, struct err *err);

/* linux.memoryPolicy.mode and .flags that are understood, for memory_policy above. */
extern const char *const oci_memory_policy_modes[];
extern const char *const oci_memory_policy_flags[];
