/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/boot/full.h - what of a sandbox is used up, for who is refused. */
#pragma once

#include "base/err.h"

struct container;

/*
 * Say behind the sentence of -EAGAIN, -EMFILE or -ENFILE what is full, and how much of it there is:
 * tasks of the container (NULL: of none), descriptors, threads of all guests; otherwise of -EAGAIN
 * that it is the host that has no more. Returns r; other errors stay as they are.
 */
int full_explain(const struct container *c, int r, struct err *err);
