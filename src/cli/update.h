/* SPDX-License-Identifier: Apache-2.0 */
/* cli/update.h - the limits of `update` (and of `do`) as linux.resources. */
#pragma once

#include "base/err.h"
#include "base/json.h"

/* As typed; NULL: leave as it is. */
struct update_limits {
	const char *blkio_weight;
	const char *cpu_period, *cpu_quota, *cpu_burst, *cpu_share;
	const char *cpu_rt_period, *cpu_rt_runtime, *cpu_idle, *cpuset_cpus, *cpuset_mems;
	const char *memory, *memory_reservation, *memory_swap;
	const char *pids_limit;
};

/* An object like linux.resources; *ret is a new reference. -EINVAL names the flag. */
int update_limits_json(const struct update_limits *limits, json_t **ret, struct err *err);
