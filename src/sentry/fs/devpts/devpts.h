/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devpts/devpts.h - terminals: pseudo-terminal pairs (pty(7)) with the line discipline
 * N_TTY (termios(3)), and the devpts filesystem.
 */
#pragma once

#include <sys/ioctl.h>

#include "sentry/vfs/file.h"

struct tty;

/*
 * The type "devpts" (options uid, gid, mode, ptmxmode, max, newinstance), the devices /dev/tty,
 * /dev/console (the opener's controlling terminal), /dev/ptmx and 136:*, and the hooks of task/.
 */
void devpts_register(void);

/* Device number of the terminal as guests see it: 136:N. */
uint64_t tty_dev(const struct tty *tty);

/*
 * For boot: a pair in a mounted devpts, unlocked, and without ONLCR, as runc has it, since engines
 * compare output without carriage returns. The master's file, and the number N of the
 * slave's name. uid and gid own the slave. 0, -ENOSPC, -ENOMEM.
 */
int devpts_new_pair(struct superblock *sb, uint32_t uid, uint32_t gid, struct file **ret_master,
		    unsigned int *ret_index);
/* For boot: the slave becomes the controlling terminal of a session that has none, as by TIOCSCTTY.
 */
struct session;
void tty_file_set_session(struct file *slave, struct session *session);

/* Size of the window; SIGWINCH to the foreground group when it changes. f is master or slave. */
void tty_file_resize(struct file *f, const struct winsize *ws);
