/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/tap.h - tap devices for virtual machines (the kernel's Documentation/networking/tuntap.rst).
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "host/rtnl.h"

/* What the kernel takes of a name's "%d" and of whom a device is. */
#define TAP_NAME "caisson%d"

/*
 * Make a tap device in the caller's network namespace, down, without an address. Its frames have a
 * struct virtio_net_hdr before them (IFF_VNET_HDR); which offloads the reader understands, it says
 * itself (TUNSETOFFLOAD, TUNSETVNETHDRSZ: none of that needs a privilege). `queues` 1 or more:
 * ret_fds[] are the queues, not blocking, the caller's. The device goes with the last of them. The
 * error names the file or the device.
 */
int tap_open(unsigned int queues, int *ret_fds, char ret_name[static IFNAMSIZ], struct err *err);

/*
 * Bring it up with this MTU. `about` is its alias in listings. The host's own IPv6 keeps away from
 * it: no link-local address, no router solicitations.
 */
int tap_set_up(struct rtnl *c, int index, uint32_t mtu, const char *about, struct err *err);

/* Whether a link of rtnetlink (IFLA_INFO_KIND, IFLA_IFNAME) is one of tap_open()'s. */
bool tap_is_ours(const char *kind, const char *name);
