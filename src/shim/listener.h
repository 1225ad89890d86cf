/* SPDX-License-Identifier: Apache-2.0 */
/* shim/listener.h - a listening unix socket on an event loop, for peers of one user. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

struct listener;

/* `fd` is connected, and non-blocking; it is the function's to take or to close. */
typedef void listener_fn(void *arg, int fd);

/*
 * `sock` becomes the listener's, also after a failure; only peers of `uid` are let in. When the
 * table of descriptors is full it takes a rest. `what` is for sentences, and outlives it.
 */
int listener_new(struct loop *loop, int sock, uint32_t uid, const char *what, listener_fn *fn,
		 void *arg, struct listener **ret, struct err *err);
void listener_free(struct listener *l); /* accepts NULL */
