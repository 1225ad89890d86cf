/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devpts/tty.c - life of pseudo-terminal pairs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sentry/fs/devpts/internal.h"

/* tty_std_termios of Linux. */
static const struct termios2 standard = {
	.c_iflag = ICRNL | IXON,
	.c_oflag = OPOST | ONLCR,
	.c_cflag = B38400 | CS8 | CREAD,
	.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	.c_cc = {
		[VINTR] = 'C' - 0100,
		[VQUIT] = '\\' - 0100,
		[VERASE] = 0177,
		[VKILL] = 'U' - 0100,
		[VEOF] = 'D' - 0100,
		[VMIN] = 1,
		[VSTART] = 'Q' - 0100,
		[VSTOP] = 'S' - 0100,
		[VSUSP] = 'Z' - 0100,
		[VREPRINT] = 'R' - 0100,
		[VDISCARD] = 'O' - 0100,
		[VWERASE] = 'W' - 0100,
		[VLNEXT] = 'V' - 0100,
	},
	.c_ispeed = 38400,
	.c_ospeed = 38400,
};

struct tty *tty_new(unsigned int index)
{
	struct tty *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->refs = 1;
	t->index = index;
	t->termios = standard;
	t->locked = true;
	waitq_init(&t->master_wq);
	waitq_init(&t->slave_wq);
	return t;
}

struct tty *tty_ref(struct tty *t)
{
	t->refs++;
	return t;
}

void tty_unref(struct tty *t)
{
	if (!t || --t->refs)
		return;
	inode_unref(t->inode);
	superblock_unref(t->sb);
	free(t);
}

uint64_t tty_dev(const struct tty *tty)
{
	return makedev(PTS_MAJOR, tty->index);
}

void tty_hangup(struct tty *t)
{
	t->hangups++;
	ldisc_flush_input(t);
	t->stopped = t->tco_stopped = false;
	waitq_wake(&t->slave_wq, WAIT_ALL);
	waitq_wake(&t->master_wq, WAIT_ALL);
}
