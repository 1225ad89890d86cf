/* SPDX-License-Identifier: Apache-2.0 */
/* shim/metrics.h - what a container has used, in containerd's types (containerd/cgroups). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "host/cgroup_stats.h"

/* 2 where the host has cgroup2 alone, else 1: clients decide by the same test. */
int metrics_version(void);

/*
 * A packed Any of Metrics of cgroup version 1 or 2. -E2BIG: longer than `size`; -ENOMEM.
 */
int metrics_pack(const struct cgroup_stats *stats, int version, uint8_t *bytes, size_t size,
		 size_t *ret_len, struct err *err);
