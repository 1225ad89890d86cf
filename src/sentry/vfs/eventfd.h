/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/eventfd.h - eventfd(2) and timerfd_create(2).
 */
#pragma once

#include <time.h>

#include "sentry/vfs/file.h"

/* flags are EFD_NONBLOCK and EFD_SEMAPHORE. 0, -ENOMEM. */
int eventfd_open(const struct cred *cred, uint64_t count, uint32_t flags, struct file **ret);
/* Add from kernel code (io contexts): saturates. -EINVAL: not an eventfd. */
int eventfd_signal(struct file *f, uint64_t n);

/* clock is judged by the caller; flags are TFD_NONBLOCK. */
int timerfd_open(const struct cred *cred, int clock, uint32_t flags, struct file **ret);
/*
 * timerfd_settime(2) with flags TFD_TIMER_ABSTIME and CANCEL_ON_SET, times judged by the caller.
 * old may be NULL. -EINVAL: not a timerfd.
 */
int timerfd_set(struct file *f, int flags, const struct itimerspec *new, struct itimerspec *old);
int timerfd_get(struct file *f, struct itimerspec *ret);
