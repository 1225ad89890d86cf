/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/pause.h - the pause of one container of a pod.
 *
 * Whether it is paused says the freezer of its cgroup on the host, in which its keeper is. The
 * sandbox's supervisor, which alone can stop what runs inside, gets that file (SENTRY_FREEZE) and
 * follows it when nobody asks: so they are the same whoever dies when, and after the sandbox itself
 * was paused, when nobody could be told.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct container;

/*
 * freeze_member() of struct isolation_ops, by requests of type `type` (SENTRY_FREEZE, VMM_FREEZE).
 * Nobody is waited for while the sandbox is paused, or once it is.
 */
int pause_ask(const struct container *c, uint32_t type, bool frozen, int *ret_hold,
	      struct err *err);

/* The sandbox goes on: each container of its pod is as it should be. Problems are logged. */
void pause_settle(const struct container *sandbox, uint32_t type);
