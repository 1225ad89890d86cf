/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/pod.h - whether a new container becomes a part of a pod's sandbox.
 *
 * The container that an engine calls a pod's sandbox is made like any other; one that it calls a
 * container of sandbox S (oci/pod.h) goes into the sentry or the machine of S, which is a container
 * of the same root and class. For classes with isolation_ops.create_member.
 */
#pragma once

#include "runtime/runtime.h"

/*
 * From the container's annotations and class. *ret_sandbox: the sandbox as observed now, without
 * its lock, the caller's, and container->sandbox is its id; or NULL for a container that is none of
 * a pod or its sandbox. Errors name both and the reason: -EINVAL: annotations that make no sense;
 * -ENOENT: no such container; -EXDEV: of another class, or itself a part of a pod; -ESRCH: it has
 * ended or was never made; -EBUSY: paused.
 */
int pod_join(struct container *container, struct container **ret_sandbox, struct err *err);
