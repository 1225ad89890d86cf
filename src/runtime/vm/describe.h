/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/describe.h - config.json as the guest gets it (wire/agent_msg.h).
 *
 * What a guest cannot serve is refused here by the field's name, before anything exists. What the
 * host has done (hooks but startContainer, network, devices of interfaces, RDT, sources of mounts,
 * limits of the host's controllers) is left out of the text; the seccomp program travels compiled.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "host/seccomp.h"
#include "oci/spec.h"
#include "runtime/vm/share.h"
#include "wire/agent_msg.h"
#include "wire/vmm_msg.h"

/*
 * -ENOTSUP or -EINVAL names the field. `joins`: a container of a machine that runs, whose
 * namespaces are the caller's to judge.
 */
int describe_vm_check(const struct oci_spec *spec, bool joins, struct err *err);
/* The same for a process of exec. */
int describe_vm_check_process(const struct oci_spec *spec, struct err *err);

struct describe_vm {
	const char *id;
	const char *bundle; /* of a container; NULL of exec */
	const struct oci_spec *spec;
	const struct seccomp_program *seccomp; /* NULL: none */
	const struct share *share;
	const struct agent_network *network;
	unsigned short rows, cols;
	bool shell; /* of exec: the machine's debug shell */
	/*
	 * Of a container that joins: the ids of those whose namespaces it shares; the network's is
	 * that of the machine's first container. NULL otherwise.
	 */
	const char *const *shared; /* OCI_NS_MAX */
	bool unprivileged; /* files have the container's own ids, which a user namespace maps */
};

/*
 * VMM_FD_DESCRIPTION: a sealed memfd, rewound; the caller's. `head` without magic, version and
 * lengths.
 */
int describe_vm(const struct describe_vm *d, const struct vmm_head *head, struct err *err);

/* The memfd of VMM_JOIN; `network` is not looked at. */
int describe_vm_join(const struct describe_vm *d, struct err *err);

/* The memfd of SENTRY_EXEC; `cgroup` is below the container's own, or "". */
int describe_vm_exec(const struct describe_vm *d, const char *cgroup, struct err *err);

/* The bytes behind SENTRY_UPDATE, appended. */
int describe_vm_update(const char *id, const struct oci_resources *resources, struct buf *ret,
		       struct err *err);
