/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/vfs/special.h"

#include <errno.h>

#include "sentry/vfs/pipe.h"

int special_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	/* A donated pipe or socket of the host is opened again by who holds it. */
	if (inode->sb->anonymous && inode->ops->open)
		return inode->ops->open(inode, flags, ret);
	if (S_ISFIFO(inode->mode))
		return fifo_open(inode, flags, ret);
	if (S_ISSOCK(inode->mode) || !inode->ops->open)
		return -ENXIO;
	return inode->ops->open(inode, flags, ret);
}
