/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/special.h - nodes that are names of something else: fifos, sockets, devices.
 *
 * A fifo's pipe and a bound unix socket hang on inode->bound; devices are opened by the filesystem,
 * which asks the list of drivers (fs/devtmpfs).
 */
#pragma once

#include "sentry/vfs/file.h"

/* Open a fifo, socket (-ENXIO) or device (-ENXIO: there is none). */
int special_open(struct inode *inode, uint32_t flags, struct file **ret);
