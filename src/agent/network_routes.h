/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/network_routes.h - the part of agent/network.h that says where packets go.
 */
#pragma once

#include <arpa/inet.h>
#include <stddef.h>

#include "base/err.h"
#include "host/rtnl.h"
#include "wire/agent_msg.h"

/* A network that is being applied. */
struct network {
	struct rtnl c;
	const struct agent_network *n;
	int index[AGENT_LINKS_MAX]; /* of the device of each link */
};

/*
 * All routes, in an order in which the kernel takes them: a gateway must be reachable by a route
 * that is there already. The error names the first that it does not take.
 */
int network_apply_routes(struct network *net, struct err *err);
int network_apply_rule(struct network *net, const struct agent_rule *rule, struct err *err);

/* 4 or 16. */
size_t network_ip_len(const struct agent_ip *ip);
#define NETWORK_IP_TEXT INET6_ADDRSTRLEN
const char *network_ip_text(const struct agent_ip *ip, char text[static NETWORK_IP_TEXT]);
