/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/pidfd.h - pidfd_open(2).
 */
#pragma once

#include "sentry/task/task.h"

/* flags: O_NONBLOCK (PIDFD_NONBLOCK). Takes a reference on pid. */
int pidfd_file_new(struct pid *pid, uint32_t flags, struct file **ret);
/* The pid behind a file (borrowed), or NULL: not a pidfd. */
struct pid *pidfd_pid(const struct file *f);
