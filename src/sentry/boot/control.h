/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/control.h - the control server (wire/sentry_msg.h) and the signals that reach the
 * sentry's own process, which are meant for the container's first one.
 *
 * Each connection is a fiber that takes one request after the other. Peers are the runtime's user
 * or root; what they say is judged all the same.
 */
#pragma once

#include "base/err.h"

struct member;

/* First thing in main(), before any thread is made: signals wait until control_start(). */
void control_block_signals(void);

/* Serve on a listening socket from now on; from a fiber. 0 or a sentence. */
int control_start(int listen_fd, struct err *err);

/* Serve a container on its own socket, which is non-blocking; taken over unless it fails. */
int control_listen(struct member *m, int fd, struct err *err);

/* A container but the first has ended: nobody connects any more, and who waits is answered. */
void control_end(struct member *m);

/*
 * The sandbox's first process has ended (sandbox.wait_status): answer those who wait for it and
 * for the processes of execs, which end now. Does not park.
 */
void control_flush(void);
