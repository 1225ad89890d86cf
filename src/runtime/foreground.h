/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/foreground.h - staying with a process: signals, terminal, exit status.
 */
#pragma once

#include "base/err.h"
#include "runtime/isolation.h"

/* Unblock every signal, before a process is cloned: what our caller blocked is not the container's.
 */
void foreground_unblock(void);

/*
 * From now on signals wait for foreground_wait() instead of acting on this process; there is no way
 * back, since the process ends afterwards. Call it after the class has cloned its process, which
 * would inherit the mask, and before its program runs.
 */
int foreground_signals(struct err *err);

struct foreground {
	const struct process *process;
	int signals; /* of foreground_signals() */
	int notify;  /* of notify_bind(), or -EBADF */
};

/*
 * Pass signals to the process (all but CHLD, PIPE, URG and WINCH) and, where there is a terminal,
 * the streams and the window size, until it ends; reap it. What it wrote before its end is written
 * out, unless HUP, INT, QUIT or TERM comes while nobody takes it. The caller's terminal is raw
 * meanwhile and restored before returning. *ret_status: its exit code, or 128 + N for signal N.
 */
int foreground_wait(const struct foreground *fg, int *ret_status, struct err *err);
