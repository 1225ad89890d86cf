/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sentry/nursery.h - the guests of a container of a pod in its own cgroup (ADR 0024).
 *
 * Guest processes are processes of the host, each forked from another one. What those of a
 * container come from, its nursery, is made by the sentry with the first of them, which has run
 * nothing, and both are put into the container's cgroup by us. Nobody else comes of it before, and
 * no guest code runs: so all are there, and the sentry can move nobody.
 */
#pragma once

#include "base/err.h"
#include "runtime/sentry/launch.h"

/*
 * Connect to the sandbox of launch->box.cr and ask it for a nursery: launch->sandbox,
 * launch->nursery. Without one (no cgroup, no right to move it, a platform or a sentry of an older
 * release that has none) guests stay in the sandbox's cgroup.
 */
int nursery_ask(struct launch *launch, struct err *err);

/*
 * sandbox_launch.on_cgroups of a struct launch. The move takes a lock of the host (host/cgroup.h):
 * the staged child goes on meanwhile.
 */
int nursery_place(void *launch, struct err *err);

/*
 * In the staged child, when the container is made: until the nursery is where it belongs, which the
 * sentry is told. -EPIPE: the runtime is gone; -ESRCH: the container has ended.
 */
int nursery_settle(const struct launch *launch, struct err *err);
