/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/host.h - --network=host: internet and netlink sockets of a sandbox are sockets of the
 * host, in the network namespace that the sandbox was started in. For the files of this room.
 */
#pragma once

#include "sentry/net/socket.h"

/* socket(2) in a namespace with ns->host set. */
int host_create(struct net_ns *ns, int family, int type, int protocol, uint32_t flags,
		struct socket **ret);

/* netdevice(7) of the host: the calls that read. -ENOTTY: not one of them, -EPERM: one that writes.
 */
long host_netdevice_ioctl(unsigned int cmd, uint64_t arg, struct user_memory *um);

/* May the option be passed on? Levels of IP, IPv6, TCP and UDP, and SOL_SOCKET's that the host has
 * to know. */
bool host_option_known(int level, int name);
/* The same of a control message that a guest sends. */
bool host_control_known(int level, int type);
/* A netlink request that only reads. */
bool host_netlink_harmless(const uint8_t *bytes, size_t len);
