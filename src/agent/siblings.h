/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/siblings.h - namespaces that a container shares with another one of the machine
 * (AGENT_NAMESPACE_OF of wire/agent_msg.h).
 */
#pragma once

#include "agent/agent.h"
#include "oci/spec.h"

/* Where linux.namespaces of the container leads afterwards. */
struct sibling_paths {
	char path[OCI_NS_MAX][40];
};

/*
 * Each path of *linux_spec that means another container becomes one of /proc, in *ret, which has to
 * outlive it. -ENOENT, -ESRCH: there is no such container, or its first process has ended;
 * -EINVAL: a container shares no such namespace.
 */
int siblings_resolve(const struct agent *a, struct oci_linux *linux_spec, struct sibling_paths *ret,
		     struct err *err);
