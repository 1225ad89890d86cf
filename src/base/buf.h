/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/buf.h - a growable byte buffer with a limit.
 *
 * Errors are sticky: after the first failed append the buffer keeps what it had and remembers the
 * errno in `error`, so that a run of appends is checked once (buf_error()). data is NUL-terminated
 * whenever it is not NULL; the NUL is not counted in len.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

#define BUF_MAX_DEFAULT (64u << 20) /* bytes, when max is 0 */

struct buf {
	char *data; /* owned */
	size_t len;
	size_t cap;
	size_t max; /* bytes; 0: BUF_MAX_DEFAULT */
	int error;  /* 0 or -errno of the first failure */
};

/* Frees the data and empties the buffer. Accepts NULL. */
void buf_done(struct buf *b);

/* Room for `more` bytes and the NUL. 0, -ENOMEM, -E2BIG. */
int buf_reserve(struct buf *b, size_t more);

int buf_append(struct buf *b, const void *bytes, size_t len);
int buf_puts(struct buf *b, const char *text);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The sticky error: 0 or -errno. */
static inline int buf_error(const struct buf *b)
{
	return b->error;
}

#define AUTO_BUF AUTO(buf_done)
