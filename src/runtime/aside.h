/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/aside.h - what may hang, or deals with somebody hostile, in a process aside.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Run `fn` in a child; what it writes to `out` becomes *text, up to text->max. The child ends when
 * it returns, and is ended when it takes longer than wait_ms. -ETIMEDOUT then, -E2BIG for too much.
 * `what` is for sentences.
 */
int aside_run(void (*fn)(void *arg, int out), void *arg, int64_t wait_ms, struct buf *text,
	      const char *what, struct err *err);
