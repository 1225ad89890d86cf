/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/waiter.h - caisson-wait, the host's process of an exec in a sandbox.
 *
 * Whoever asked for the exec needs a process to wait for and to signal. The waiter is it: it holds
 * the control connection of the exec, passes signals on that it gets, leads the session of the
 * exec's terminal and passes its keys and sizes on, and ends with the process's exit code. Its end
 * kills the process. It keeps no capability and nothing open but the connection and the terminal.
 * Carriers (carriers.h) are its children, and end with it.
 */
#pragma once

#include "base/err.h"
#include "runtime/isolation.h"
#include "wire/sentry_msg.h"

struct waiter {
	pid_t pid;
	int pidfd; /* owned */
	int gate; /* owned: one byte starts the process; then comes a struct err with code 0, or why
		     not. -EBADF afterwards */
	int master; /* owned: pty master that stays here, or -EBADF */
};
#define WAITER_INIT                                               \
	{                                                         \
		.pidfd = -EBADF, .gate = -EBADF, .master = -EBADF \
	}

/*
 * `description`: a memfd as the container's class puts it into SENTRY_EXEC; the caller's. Of
 * request only terminal and preserve_fds count; more than SENTRY_EXEC_FDS_MAX - 3 of the latter are
 * the caller's to refuse.
 */
int waiter_make(struct container *c, const struct exec_request *request, int description,
		struct waiter *ret, struct err *err);
int waiter_open(struct waiter *waiter, struct err *err);

/*
 * For a process that becomes a waiter by itself: every signal is blocked, and read from the
 * descriptor that is returned, the caller's; -errno with a sentence.
 */
int waiter_take_signals(struct err *err);
/*
 * Carriers for what of the process's 0, 1, 2 may keep its supervisor waiting (`fds`, its own, which
 * become what that gets; `request`, which asks for it, says so). Once in a process, whose
 * capabilities go, and that ends with its parent afterwards.
 */
int waiter_carry(int fds[3], struct sentry_request *request, struct err *err);
/*
 * It gives up every capability and every descriptor but `keep` (sorted here; some may be -EBADF).
 */
int waiter_shed(int *keep, size_t len, struct err *err);
/* Until the process inside ends, or its connection does. slave: its terminal, or -EBADF. */
__attribute__((noreturn)) void waiter_serve(int control, int slave, int signals);
void waiter_done(struct waiter *waiter);
