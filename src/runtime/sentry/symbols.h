/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/sentry/symbols.h - names for the addresses of `debug ID stacks`. */
#pragma once

#include "base/buf.h"
#include "runtime/runtime.h"

/*
 * Append `text`, and to each line that is an offset of the sentry's program ("    +0x1234") the
 * function that it lies in, as the program's symbol table tells. Without a table, or a right to
 * read the program, the offsets stay as they are.
 */
void symbols_append(const struct container *c, const char *text, size_t len, struct buf *ret);
