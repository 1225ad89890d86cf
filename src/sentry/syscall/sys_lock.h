/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscall/sys_lock.h - the record locks of fcntl(2).
 */
#pragma once

#include "sentry/syscall/syscall.h"

/* cmd: F_GETLK, F_SETLK, F_SETLKW and their F_OFD_ forms; arg: address of a struct flock. */
sysret_t sys_fcntl_lock(struct task *t, int fd, struct file *f, int cmd, uaddr_t arg);
