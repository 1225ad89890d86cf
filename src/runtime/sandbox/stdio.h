/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/stdio.h - the guest's descriptors and terminals, as supervisors want them.
 */
#pragma once

#include "base/err.h"
#include "runtime/isolation.h"

/*
 * A descriptor for the same pipe, terminal or device as `fd`, with an open file description of its
 * own that never blocks (our caller's must stay as it is); anything else, or what may not be opened
 * again, is duplicated. Close-on-exec, at least `min`; the caller's. -errno. `proc` is a procfs,
 * for who has no /proc, or -EBADF.
 */
int stdio_own(int proc, int fd, int min);

/*
 * A pty, if one is wanted. *ret_slave: the caller's, raw, as the line discipline is the one inside.
 * The master goes to the console socket, or else to the caller in *ret_master. Otherwise both stay.
 */
int stdio_terminal(const struct process_terminal *terminal, int *ret_slave, int *ret_master,
		   struct err *err);
