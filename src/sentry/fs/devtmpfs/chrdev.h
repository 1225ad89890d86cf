/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devtmpfs/chrdev.h - character devices: which driver serves which number (null(4),
 * random(4), tty(4)).
 *
 * A node is only a number: wherever an inode with S_IFCHR is opened, in a tmpfs or in the gofer's
 * tree, chrdev_open() finds the driver. Numbers without one are -ENXIO, as on Linux: a device of
 * the host is never reached.
 */
#pragma once

#include <sys/sysmacros.h>

#include "sentry/vfs/file.h"

struct chrdev {
	unsigned int major, minor, count; /* minors minor..minor+count-1 */
	/* As inode_ops.open; `minor` is of the node. May replace the node's path: tty(4). */
	int (*open)(struct inode *inode, unsigned int minor, uint32_t flags, struct file **ret);
	struct list_head node;
};

/* The driver is static and never leaves. */
void chrdev_register(struct chrdev *dev);

/* Open a node by inode->rdev. 0, -ENXIO, or what the driver says. */
int chrdev_open(struct inode *inode, uint32_t flags, struct file **ret);

/* null, zero, full, random, urandom (major 1). */
void mem_devices_register(void);
