/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/sockets.h - connections to unix sockets that engines name by path (console socket, seccomp
 * listener, pidfd socket).
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

#define SOCKET_TIMEOUT_S 10 /* for connect(2) and each send */

/*
 * Connect a stream socket to `path`, of any length (a path above sun_path goes through a descriptor
 * of its directory). The descriptor is close-on-exec and gives up (-EAGAIN) after SOCKET_TIMEOUT_S.
 */
int socket_connect(const char *path, struct err *err);

/* Connect, send one message with one descriptor, close. */
int socket_send_fd(const char *path, const void *bytes, size_t len, int fd, struct err *err);
