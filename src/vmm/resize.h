/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/resize.h - UPDATE: what the machine has and the container's limits inside, in the safe order
 * (wire/vmm_msg.h, struct vmm_update).
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "wire/vmm_msg.h"

struct container;

/* `text` (not NULL) says what went wrong. Called once, unless resize_forget() came before. */
typedef void resize_done_fn(void *arg, int error, const char *text);

/*
 * `body` of an AGENT_UPDATE is copied. -EPROTO and others of its decoder, -ENOTSUP when the limit
 * is more than the machine can have, -EAGAIN: too many wait. Behind those that were asked for
 * before, and that have their limits.
 */
int resize_begin(struct container *c, const struct vmm_update *want, const void *body, size_t len,
		 resize_done_fn *fn, void *arg, struct err *err);

/* Who asked with this `arg` is gone; the update goes on, or waits for its turn. */
void resize_forget(const void *arg);
