/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/container_metrics.h - a container's figures, as Prometheus reads them
 * (metrics/families.h).
 *
 * Every sample has the labels root, id and class; caisson_container_info adds what Kubernetes calls
 * it. The names are in docs/howto/metrics.md.
 */
#pragma once

#include "metrics/families.h"
#include "runtime/runtime.h"

#define CONTAINER_METRICS_MS 3000 /* for the answer of a sandbox; without one, only files count */
#define METRICS_PATIENCE_MS  9000 /* for all of them together */

/*
 * Add what is known of `c`. A sandbox is asked in a process aside: what it says is checked, and one
 * that hangs only lacks figures (caisson_container_measured 0). *patience_ms, at first
 * METRICS_PATIENCE_MS, is what is left for all that are slow (aside_share()).
 * Failures are not told otherwise.
 */
void container_metrics(struct container *c, struct metrics *m, int64_t *patience_ms);

/* What it is called and its state alone: of one that was only listed. */
void container_metrics_state(const struct container *c, struct metrics *m);
