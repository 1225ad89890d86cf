/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/lease.h - leases (fcntl(2), F_SETLEASE): who holds one is told before somebody else
 * opens or truncates the file, and has a while to finish.
 */
#pragma once

#include "sentry/vfs/file.h"

#define LEASE_BREAK_NS (45 * NSEC_PER_SEC) /* fs.lease-break-time */

/*
 * Give the description a lease of type F_RDLCK or F_WRLCK, change it, or (F_UNLCK) end it. `tell`
 * is called, and must not park, when somebody waits for the end. The caller has judged whose file
 * it is. 0; -EAGAIN: others have the file open, or there is none to end; -EINVAL: no regular file;
 * -ENOMEM.
 */
int lease_set(struct file *f, int type, void (*tell)(struct file *f));
/* The type of its lease, or what it must become when somebody waits; F_UNLCK: none. */
int lease_get(const struct file *f);

/*
 * Somebody opens or changes the file: holders whose lease forbids it are told, and waited for until
 * they agree or their time is over. 0, -EAGAIN (nonblock), -ERESTARTSYS.
 */
int lease_break(struct inode *inode, bool write, bool nonblock);

/* The description is going: its lease ends. */
void lease_release(struct file *f);
