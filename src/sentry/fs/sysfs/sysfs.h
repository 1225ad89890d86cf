/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/sysfs/sysfs.h - sysfs(5) of the sandbox's machine: its CPUs, one memory node, the
 * loopback interface, and empty directories where programs look for devices.
 */
#pragma once

/* The type "sysfs". */
void sysfs_register(void);
