/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/boot.h - the machine around the agent: file systems, the port to the host, the end.
 *
 * What stands between the kernel's exec of /init and the first word to the host is boot_early()
 * boot_load_modules() and boot_open_port(), and nothing else; the rest is made when the first
 * container is.
 */
#pragma once

#include "base/err.h"

/*
 * Process 1 only: a root directory that pivot_root(2) can leave, /dev and /sys; the log goes to
 * /dev/kmsg, standard streams to /dev/null.
 */
int boot_early(struct err *err);

/*
 * Load the modules that the image has, in the order of their names, and take their files away: the
 * kernel of a distribution is bare without them, ours has none. The first failure is told.
 */
int boot_load_modules(struct err *err);

/*
 * Open the virtio port with this name (MACHINE_AGENT_PORT), waiting for the device and for the host
 * behind it. The descriptor is the caller's.
 */
int boot_open_port(const char *name, struct err *err);

/* Before the first container: /proc, cgroup2 with all its controllers, the loopback device. */
int boot_prepare(struct err *err);

/* The last word, on the machine's console; then the machine is reset, which ends it. */
__attribute__((noreturn)) void boot_fail(const struct err *err);
/* End the machine. What AGENT_DELETE has not unmounted is not written back. */
__attribute__((noreturn)) void boot_end(void);
