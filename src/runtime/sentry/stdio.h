/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sentry/stdio.h - the guest's descriptors, as the sentry wants them.
 */
#pragma once

/*
 * A descriptor for the same pipe, terminal or device as `fd`, with an open file description of its
 * own that never blocks (our caller's must stay as it is); anything else, or what may not be opened
 * again, is duplicated. Close-on-exec, at least `min`; the caller's. -errno. `proc` is a procfs,
 * for who has no /proc, or -EBADF.
 */
int stdio_own(int proc, int fd, int min);
