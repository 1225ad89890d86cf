/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/notify.h - sd_notify(3) of a container's program, passed to whoever started the runtime.
 *
 * The container gets a socket of its own, /run/notify/notify.sock, and never the supervisor's. What
 * it sends is hostile text: a datagram with the line READY=1 makes us send our own two facts,
 * READY=1 and MAINPID, and nothing else is passed on.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define NOTIFY_DIR_INSIDE  "/run/notify"
#define NOTIFY_PATH_INSIDE "/run/notify/notify.sock"

/* The supervisor's socket (NOTIFY_SOCKET), or NULL: nobody wants to know. */
const char *notify_host(void);

/* create: make the directory that is bound into the container. */
int notify_make_dir(int container_dir_fd, struct err *err);

/*
 * start and run: bind the socket that the program will send to; the caller's descriptor,
 * non-blocking. -ENOENT when the container was created without a supervisor.
 */
int notify_bind(int container_dir_fd, struct err *err);

/* True if `text` (a datagram) says READY=1 in a line of its own. */
bool notify_is_ready(const char *text, size_t len);

/*
 * Read one datagram; when it says READY=1, tell the supervisor. `wait`: until it has read that (at
 * most two seconds, sd_notify_barrier(3)), for a process that ends soon after: the supervisor asks
 * who sent. 1: told, nothing more to do; 0: not yet; or -errno.
 */
int notify_serve(int sock, pid_t pid, bool wait, struct err *err);

/*
 * For a class whose program has no such socket (isolation.h, ready_when_started): tell the
 * supervisor that it runs. 0 also where nobody wants to know.
 */
int notify_started(pid_t pid, bool wait, struct err *err);

/* Serve until the program is ready or the process of pidfd has ended. */
int notify_wait(int sock, pid_t pid, int pidfd, struct err *err);
