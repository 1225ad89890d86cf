/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/pod.h - whether a new container becomes a part of a pod's sandbox.
 *
 * The container that an engine calls a pod's sandbox is made like any other; one that it calls a
 * container of sandbox S (oci/pod.h) goes into the sentry or the machine of S, which is a container
 * of the same root and class. So does one of which nothing is said, and whose config.json names by
 * path the network namespace of such a container's process: what Podman and Docker write for
 * `--network container:S` (ADR 0023). For classes with isolation_ops.create_member.
 */
#pragma once

#include <sys/stat.h>

#include "oci/spec.h"
#include "runtime/runtime.h"

/*
 * From the container's annotations, namespaces and class. *ret_sandbox: the sandbox as observed
 * now, without its lock, the caller's, and container->sandbox is its id; or NULL for a container
 * that is by itself, or its pod's sandbox. Errors name both and the reason: -EINVAL: annotations
 * that make no sense; -ENOENT: no such container; -EXDEV: of another class, or itself a part of a
 * pod; -ESRCH: it has ended or was never made; -EBUSY: paused.
 */
int pod_join(struct container *container, const struct oci_spec *spec,
	     struct container **ret_sandbox, struct err *err);

/*
 * Whose process on the host is in the namespace `wanted` (of fstat(2), and held open, as numbers
 * come again) of this kind ("net", as in /proc/PID/ns): the sandbox's or, with `parts`, that of a
 * container of it. *ret: its id, the caller's; NULL: nobody's.
 */
int pod_find(const struct container *sandbox, const char *kind, const struct stat *wanted,
	     bool parts, char **ret, struct err *err);
