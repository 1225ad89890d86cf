/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/siblings.h - namespaces that a container shares with another one of the machine
 * (AGENT_NAMESPACE_OF of wire/agent_msg.h).
 */
#pragma once

#include "agent/agent.h"
#include "oci/spec.h"

#define SIBLINGS_MAX 5u /* kinds of namespaces that are shared */

/* Where linux.namespaces of the container leads afterwards. */
struct siblings {
	char path[OCI_NS_MAX][40];
	int pidfds[SIBLINGS_MAX]; /* borrowed: the processes of those paths */
	size_t len;
};

/*
 * Each path of *linux_spec that means another container becomes one of /proc, in *ret, which has to
 * outlive it. -ENOENT, -ESRCH: there is no such container, or its first process has ended;
 * -EINVAL: a container shares no such namespace.
 */
int siblings_resolve(const struct agent *a, struct oci_linux *linux_spec, struct siblings *ret,
		     struct err *err);

/*
 * When the paths have been opened: -ESRCH where a process had ended, as its number may have been
 * another's by then.
 */
int siblings_live(const struct siblings *s, struct err *err);
