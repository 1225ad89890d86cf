/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/devices.h - devices that the machine gets while it runs.
 *
 * A clone of a template has disks and network devices that its kernel, which was saved without
 * them, has not looked for; virtiofsd's is plugged when the clone runs. Whoever needs one asks for
 * it here: it costs nothing where the device is there.
 */
#pragma once

#include "base/err.h"

/* 1: it is there, 0: not yet, -errno. */
typedef int devices_found_fn(void *arg);

/*
 * Until `found` says something: at once, after the PCI buses have been looked at again, and then
 * after each word of the kernel about devices. 0; -ENODEV after DEVICES_WAIT_MS without a sentence;
 * what `found` returned.
 */
int devices_await(devices_found_fn *found, void *arg);

/* So long a device may take that the host says is there, in milliseconds of the guest's. */
#define DEVICES_WAIT_MS 3500

/* We are process 1 of a guest: its buses are ours to look at. */
void devices_are_ours(void);

/* Words of the kernel about devices: a descriptor, the caller's, or -errno. */
int devices_listen(void);
/* Until one comes or timeout_ms have passed; all that are there are forgotten. */
void devices_hear(int fd, int timeout_ms);
