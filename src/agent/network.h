/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/network.h - the machine's network devices as the pod's network namespace has them.
 */
#pragma once

#include "base/err.h"
#include "wire/agent_msg.h"

/*
 * Make links, addresses, routes and neighbours so; devices are found by their MAC. The error names
 * what the kernel refused.
 */
int agent_network_apply(const struct agent_network *network, struct err *err);
