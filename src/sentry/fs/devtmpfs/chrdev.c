/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devtmpfs/chrdev.c - the list of character device drivers.
 */
#include "sentry/fs/devtmpfs/chrdev.h"

#include <errno.h>

static struct list_head drivers = LIST_HEAD_INIT(drivers);

void chrdev_register(struct chrdev *dev)
{
	list_add_tail(&dev->node, &drivers);
}

int chrdev_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	const unsigned int major_nr = major(inode->rdev), minor_nr = minor(inode->rdev);
	struct chrdev *dev;

	list_for_each(dev, &drivers, node)
	{
		if (dev->major == major_nr && minor_nr >= dev->minor &&
		    minor_nr - dev->minor < dev->count)
			return dev->open(inode, minor_nr, flags, ret);
	}
	return -ENXIO;
}
