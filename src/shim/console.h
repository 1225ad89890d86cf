/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/console.h - a console socket that a worker makes for itself: the runtime sends a terminal's
 * master to a socket that is named by a path, as engines have it.
 */
#pragma once

#include "base/err.h"

#define CONSOLE_PATH_MAX 4352

struct console {
	char path[CONSOLE_PATH_MAX];
	int fd; /* listening, or -EBADF */
};

/* A socket in the bundle, for one connection. `name` is unlike that of any other worker. */
int console_listen(const char *bundle, const char *name, struct console *ret, struct err *err);
/* The master that was sent, the caller's; it has been sent already. */
int console_take(const struct console *c, struct err *err);
/* Close and remove it; accepts one with fd -EBADF. */
void console_done(struct console *c);
