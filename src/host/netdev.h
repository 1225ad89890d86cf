/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/netdev.h - linux.netDevices and the loopback device: rtnetlink(7), netdevice(7).
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "oci/spec.h"

/*
 * Move host devices into a network namespace: taken down, renamed and moved in one step, their
 * permanent global addresses added again inside, then brought up (as runc 1.4 does). The caller is
 * in the host's network namespace, single-threaded, and is in it again on return. The error names
 * the device. What was moved before a failure stays moved; the kernel gives physical devices back
 * when the namespace ends.
 */
int netdev_move(const struct oci_net_device *devices, size_t len, int netns_fd, struct err *err);

/* Bring "lo" of the caller's network namespace up. */
int netdev_loopback_up(struct err *err);
