/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/sched.h - what a process is given before it starts: sched(7), ioprio_set(2), setrlimit(2),
 * set_mempolicy(2), personality(2).
 *
 * Unless a pid is named everything acts on the calling thread and is inherited by what it execs.
 * Errors name the field of config.json and what the kernel refused.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "oci/spec.h"

/* process.scheduler; nothing when it is not set. -EPERM: CAP_SYS_NICE or RLIMIT_RTPRIO is missing.
 */
int sched_apply(const struct oci_scheduler *scheduler, struct err *err);

/* process.ioPriority; nothing when it is not set. */
int ioprio_apply(const struct oci_ioprio *ioprio, struct err *err);

/* process.rlimits for `pid` (0: the caller). The error names the limit, its values and the present
 * ones. */
int rlimits_apply(const struct oci_rlimit *rlimits, size_t len, pid_t pid, struct err *err);

/*
 * Whether this process might set them: the same error where a hard limit is above its own and it
 * has no right to raise it. Its limits are as before.
 */
int rlimits_check(const struct oci_rlimit *rlimits, size_t len, struct err *err);

/* Pin `pid` (0: the caller) to a cpulist ("0-3,7"); NULL or "" does nothing. */
int affinity_apply(pid_t pid, const char *cpulist, struct err *err);

/* linux.memoryPolicy; nothing when it is not set. -EINVAL: an unknown mode or flag, a bad list. */
int memory_policy_apply(const struct oci_memory_policy *policy, struct err *err);

/* linux.personality, an absolute persona (PER_LINUX, PER_LINUX32). */
int personality_apply(unsigned long persona, struct err *err);

/*
 * "0-3,8" -> bits in mask (mask_bits of them, cleared first). Blanks around numbers are allowed, an
 * empty list, a range that runs down, a number of mask_bits or more are -EINVAL (-ERANGE for the
 * last).
 */
#define CPULIST_BITS_MAX 8192u
int cpulist_parse(const char *text, unsigned long *mask, size_t mask_bits);
