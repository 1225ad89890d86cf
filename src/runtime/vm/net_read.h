/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/net_read.h - what a network namespace says of its devices, as a guest is told.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "host/rtnl.h"
#include "wire/agent_msg.h"

#define NET_DEVICES_MAX 64 /* of a network namespace that is carried */

struct net_device {
	int index, parent, master; /* parent: of this namespace; 0: none */
	unsigned int type, flags;  /* ARPHRD_*, IFF_* */
	uint32_t mtu;
	uint8_t mac[6];
	bool has_mac, no_ipv6;
	bool no_carrier; /* of a tap: nobody has it open */
	char name[IFNAMSIZ], kind[16];
};

struct net_devices {
	struct net_device items[NET_DEVICES_MAX];
	size_t len;
};

/* In the order of their indices. -E2BIG: more than NET_DEVICES_MAX. */
int net_read_devices(struct rtnl *c, struct net_devices *ret, struct err *err);

/*
 * Addresses, routes, neighbours and rules of the devices that are links of `n` (their indices in
 * index[]) are added to it. What the guest's kernel makes itself is left out: link-local addresses
 * and those from router advertisements, routes of the kernel and of advertisements. -E2BIG names
 * the list that is too long.
 */
int net_read_all(struct rtnl *c, const int *index, struct agent_network *n, struct err *err);
