/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/terminal.h - the terminal of a new process: whether the flags go together with it, how
 * large it is and who gets its master. The same for create, run and exec.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "oci/spec.h"
#include "runtime/isolation.h"

/*
 * -EINVAL, worded as runc does, for a terminal of a detached process without a console socket
 * (--console-socket, or NULL), and for a console socket where it has no use.
 */
int terminal_check(const struct oci_process *process, bool detached, const char *socket_path,
		   struct err *err);

/*
 * Size (consoleSize, else that of the caller's own terminal unless detached) and connection to the
 * console socket: ret->console_socket is the caller's, -EBADF where there is none, also on failure.
 */
int terminal_prepare(const struct oci_process *process, bool detached, const char *socket_path,
		     struct process_terminal *ret, struct err *err);
