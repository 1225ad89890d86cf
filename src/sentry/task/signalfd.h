/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/signalfd.h - signalfd(2): a file that gives the reader's own pending signals.
 */
#pragma once

#include "sentry/task/task.h"

/* flags: O_NONBLOCK. */
int signalfd_file_new(struct task *t, kernel_sigset_t mask, uint32_t flags, struct file **ret);
/* Change the mask of a signalfd: 0, or -EINVAL (it is none). */
int signalfd_set_mask(struct task *t, struct file *f, kernel_sigset_t mask);
