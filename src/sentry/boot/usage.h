/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/usage.h - how much memory the sandbox uses, from its cgroup on the host.
 */
#pragma once

#include "sentry/fs/proc/sysinfo.h"

/* sandbox_info.usage: memory.stat of SENTRY_FD_MEMORY, version 1 or 2; nothing without one. */
void boot_usage(struct sandbox_usage *ret);
