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

/*
 * Many that are asked one after the other, some of which may be slow on purpose, share a patience:
 * each may take half of what is left, so that one alone cannot use it up, and ASIDE_LEAST_MS in any
 * case; most_ms at most.
 */
#define ASIDE_LEAST_MS 100
int64_t aside_share(int64_t patience_ms, int64_t most_ms);

/* Take from it what one took beyond half of ASIDE_LEAST_MS; `begin_ms`: clock_ms() before. */
void aside_charge(int64_t *patience_ms, int64_t begin_ms);
