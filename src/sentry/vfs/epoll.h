/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/epoll.h - epoll(7): level and edge triggered, one-shot, exclusive, nested.
 *
 * An item knows its file without a reference: it leaves with the file's last one, as in Linux.
 */
#pragma once

#include <sys/epoll.h>

#include "sentry/vfs/file.h"

#define EPOLL_NESTS_MAX 4u	/* EP_MAX_NESTS */
#define EPOLL_ITEMS_MAX 262144u /* fs.epoll.max_user_watches, of the sandbox */
#define EPOLL_BATCH_MAX 65536u	/* events of one epoll_wait(2) */

int epoll_open(const struct cred *cred, struct file **ret);

/* epoll_ctl(2). Errors: -EINVAL -EPERM -EEXIST -ENOENT -ELOOP -ENOSPC -ENOMEM. */
int epoll_change(struct file *ep, int op, int fd, struct file *target,
		 const struct epoll_event *event);

/* How many items it has; 0 for another file. */
unsigned int epoll_len(const struct file *ep);

/*
 * Up to max events into kernel memory; waits until the deadline (0: not at all). Their number, 0 at
 * the deadline, -EINVAL (not an epoll), -ERESTARTSYS.
 */
int epoll_collect(struct file *ep, struct epoll_event *events, unsigned int max, nsec_t deadline);
