/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/pump.h - bytes from one descriptor to another on the loop, a buffer at a time.
 *
 * What cannot be written stops the reading; nothing is read that has no place. Both descriptors
 * are non-blocking and stay the owner's until pump_free().
 */
#pragma once

#include <stdbool.h>

#include "base/loop.h"

struct pump;

/* `over`, once: the source has ended and all of it is written, or the target takes no more. It may
 * free the pump. */
typedef void pump_over_fn(void *arg);

int pump_new(struct loop *loop, int from, int to, pump_over_fn *over, void *arg, struct pump **ret);
void pump_free(struct pump *p); /* accepts NULL */

/*
 * What the target refuses (ENOSPC, a reader that has gone) is thrown away, and the reading goes on,
 * so that whoever writes is not stopped. The first time is logged with `name`, which is borrowed.
 */
void pump_discard(struct pump *p, const char *name);

/*
 * The source is a terminal's master whose other end comes and goes: EIO (nobody has it open now,
 * pty(7)) is no end, but looked at again after a while. -ENOMEM.
 */
int pump_outlive_hangups(struct pump *p);
/* Whoever mattered has written all: what is there now is carried and is the end, also when somebody
 * still has the other end open. After pump_outlive_hangups() only; accepts NULL; may call over().
 */
void pump_end_when_empty(struct pump *p);

/* Carry what is there now and can be written at once, as much as a pipe holds; without over(). */
void pump_flush(struct pump *p);
