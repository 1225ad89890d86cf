/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/host_memory.h - what the host's cgroup of the container says of its memory: two files that
 * are read again and again, by descriptors of the runtime's (/dev/null without a memory cgroup).
 */
#pragma once

#include <stdint.h>

/* "oom_kill N" of memory.events or memory.oom_control; 0: none, or not known. */
uint64_t host_memory_kills(int fd);
/* memory.max or memory.limit_in_bytes; UINT64_MAX: none, or not known. */
uint64_t host_memory_limit(int fd);
