/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/console.h - pseudo-terminals: pty(7) and ioctl_tty(2).
 *
 * The terminal is opened inside the container's own devpts through descriptors only; no path of the
 * container is walked twice and the peer comes from TIOCGPTPEER (CVE-2025-52565).
 */
#pragma once

#include <stdint.h>
#include <termios.h>

#include "base/err.h"

#define CONSOLE_NAME_MAX 32 /* "/dev/pts/4294967295" */

/*
 * A new terminal of the devpts whose root directory is devpts_dirfd (O_PATH is enough). Refuses
 * (-EXDEV) a directory that is no devpts and a ptmx that is not the devpts' own device. The new
 * terminal's ONLCR is cleared, as runc does, since engines compare output without carriage returns.
 * Both descriptors are the caller's.
 */
int console_open_at(int devpts_dirfd, int *ret_master, int *ret_slave, struct err *err);

/* "/dev/pts/N" of a master. 0 or -errno. */
int console_name(int master, char name[static CONSOLE_NAME_MAX]);

/* Set the window size in characters; 0 for both leaves it alone. Values above 65535 are -ERANGE. */
int console_set_size(int fd, uint64_t rows, uint64_t columns);

/* Copy the window size of one terminal to another. 0 or -errno. */
int console_copy_size(int from, int to);

/* Put a terminal into raw mode; *saved is for console_restore(). -ENOTTY if fd is none. */
int console_raw(int fd, struct termios *saved);
int console_restore(int fd, const struct termios *saved);
