/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/kernel.h - the one place that knows the order in which the rooms are initialised.
 */
#pragma once

#include "base/err.h"
#include "wire/sentry_msg.h"

/*
 * Loop, helper threads, platform, call table, filesystems, network. Outside of fibers, before the
 * cage. stub_fd: of the program caisson-stub (systrap). 0 or -errno with a sentence.
 */
int kernel_init(const struct sentry_container *c, int stub_fd, struct err *err);

/* What the sandbox is shown of its machine: the host's, cut to these limits. 0. */
int kernel_set_limits(const struct sentry_limits *limits);

/* Cut a machine to these limits. */
struct sandbox_info;
void kernel_limit(const struct sentry_limits *limits, struct sandbox_info *info);
