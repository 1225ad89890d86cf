/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/network.h - the machine's network devices as the pod's network namespace has them.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "wire/agent_msg.h"

/*
 * Make links, addresses, routes and neighbours so; devices are found by their MAC. The error names
 * what the kernel refused.
 */
int agent_network_apply(const struct agent_network *network, struct err *err);

/*
 * The same in the network namespace of a process, where the devices are moved to from ours: that of
 * a container with a user namespace of its own, which has no rights over ours. The caller has one
 * thread and is in its own namespace again on return.
 */
int agent_network_give(const struct agent_network *network, pid_t pid, struct err *err);
