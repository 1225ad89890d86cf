/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devpts/ptmx.c - open masters (ptmx(4)). Closing one ends the pair: the slave hangs up.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/devpts/internal.h"

#define CHUNK 4096u /* bytes of one copy */

static bool master_readable(const struct tty *t)
{
	return t->out_head != t->out_tail || (t->packet && t->packet_status);
}

/* Bytes for a reader; in packet mode behind their status byte. */
static size_t take(struct tty *t, uint8_t *dst, size_t len)
{
	if (!t->packet)
		return tty_out_take(t, dst, len);
	if (t->packet_status) {
		dst[0] = t->packet_status;
		t->packet_status = 0;
		return 1;
	}
	dst[0] = TIOCPKT_DATA;
	return 1 + tty_out_take(t, dst + 1, len - 1);
}

static ssize_t ptmx_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct tty *t = tty_file_of(f)->tty;
	uint8_t bytes[CHUNK];
	int r;

	if (u->left == 0)
		return 0;
	if (!master_readable(t)) {
		if (t->slave_closed)
			return -EIO;
		if (file_io_flags(f, u) & O_NONBLOCK)
			return -EAGAIN;
		r = WAIT_EVENT(&t->master_wq, master_readable(t) || t->slave_closed);
		if (r < 0)
			return r;
		if (!master_readable(t))
			return -EIO;
	}
	return uio_put(u, bytes, take(t, bytes, u->left < CHUNK ? u->left : CHUNK));
}

static ssize_t write_chunk(struct file *f, const uint8_t *bytes, size_t len, uint32_t flags)
{
	struct tty *t = tty_file_of(f)->tty;
	size_t done = 0;
	int r;

	while (done < len) {
		if (ldisc_room(t)) {
			ldisc_receive(t, bytes[done++]);
			continue;
		}
		if (flags & O_NONBLOCK)
			return done ? (ssize_t)done : -EAGAIN;
		r = WAIT_EVENT(&t->master_wq, ldisc_room(t) > 0);
		if (r < 0)
			return done ? (ssize_t)done : r;
	}
	return (ssize_t)done;
}

static ssize_t ptmx_write(struct file *f, struct uio *u, uint64_t *pos)
{
	uint8_t bytes[CHUNK];
	ssize_t done = 0;

	while (u->left) {
		const ssize_t want = uio_get(u, bytes, u->left < CHUNK ? u->left : CHUNK);
		ssize_t n;

		if (want <= 0)
			return done ? done : want;
		n = write_chunk(f, bytes, (size_t)want, file_io_flags(f, u));
		if (n < 0)
			return done ? done : n;
		done += n;
		if (n < want)
			break;
		fiber_resched();
	}
	return done;
}

static uint32_t ptmx_poll(struct file *f)
{
	const struct tty *t = tty_file_of(f)->tty;
	uint32_t events = 0;

	if (master_readable(t))
		events |= POLLIN | POLLRDNORM;
	if (t->packet && t->packet_status)
		events |= POLLPRI;
	if (ldisc_room(t))
		events |= POLLOUT | POLLWRNORM;
	if (t->slave_closed)
		events |= POLLHUP;
	return events;
}

void tty_master_gone(struct tty *t)
{
	struct thread_group *leader = t->session ? t->session->leader : NULL;

	devpts_remove(t);
	tty_hangup(t);
	tty_disassociate(t);
	if (leader) {
		(void)signal_send_group(leader, SIGHUP, NULL);
		(void)signal_send_group(leader, SIGCONT, NULL);
	}
}

static void ptmx_release(struct file *f)
{
	struct tty_file *tf = tty_file_of(f);

	tty_master_gone(tf->tty);
	file_fini(f);
	tty_unref(tf->tty);
	free(tf);
}

static const struct file_ops ptmx_ops = {
	.read = ptmx_read,
	.write = ptmx_write,
	.poll = ptmx_poll,
	.ioctl = tty_ioctl,
	.release = ptmx_release,
};

int ptmx_open_new(struct devpts *fs, uint32_t flags, struct file **ret)
{
	struct tty_file *tf = calloc(1, sizeof(*tf));
	int r;

	if (!tf)
		return -ENOMEM;
	r = devpts_add(fs, &tf->tty);
	if (r < 0) {
		free(tf);
		return r;
	}
	file_init(&tf->file, &ptmx_ops, NULL, NULL, flags);
	tf->file.mode |= FMODE_STREAM;
	tf->file.wq = &tf->tty->master_wq;
	tf->master = true;
	*ret = &tf->file;
	return 0;
}

struct tty_file *tty_file_check(struct file *f)
{
	return f->ops == &ptmx_ops || pts_file(f) ? tty_file_of(f) : NULL;
}

void tty_file_resize(struct file *f, const struct winsize *ws)
{
	struct tty_file *tf = tty_file_check(f);

	if (tf)
		tty_set_winsize(tf->tty, ws);
}
