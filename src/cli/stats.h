/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/stats.h - cgroup statistics in the shape of `runc events` (runc's types/events.go).
 *
 * The text is written directly and not through jansson, whose integers end at 2^63 - 1: "no limit"
 * of cgroup2 is 2^64 - 1 in runc's documents.
 */
#pragma once

#include "base/buf.h"
#include "host/cgroup_stats.h"

/* Append the object "data" of an event. Errors stick to the buffer. */
void stats_append(const struct cgroup_stats *stats, struct buf *out);

/* Append {"type":"stats","id":ID,"data":...} and a newline. `id` is a valid container id. */
void stats_append_event(const char *id, const struct cgroup_stats *stats, struct buf *out);
