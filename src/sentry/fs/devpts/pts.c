/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devpts/pts.c - open slaves: reading lines or bytes, writing with output processing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>

#include "sentry/core/kclock.h"
#include "sentry/fs/devpts/internal.h"

#define WRITE_CHUNK 2048u /* bytes of one copy, as tty_write() of Linux */
#define DECISECOND  (NSEC_PER_SEC / 10)

/* When a read of bytes ends (VMIN, VTIME). */
struct patience {
	size_t minimum; /* bytes */
	nsec_t between; /* after each byte; 0: no limit */
	nsec_t deadline;
};

static struct patience patience_of(const struct tty *t)
{
	const nsec_t time = t->termios.c_cc[VTIME] * DECISECOND;
	struct patience p = { .minimum = t->termios.c_cc[VMIN], .deadline = NSEC_NEVER };

	if (p.minimum)
		p.between = time;
	else
		p = (struct patience){ .minimum = 1, .deadline = kclock_monotonic() + time };
	return p;
}

/* 1: input or a change; 0: time is up or the terminal hung up; -EAGAIN, -ERESTARTSYS. */
static int wait_input(struct tty_file *tf, nsec_t deadline, uint32_t flags)
{
	struct tty *t = tf->tty;
	const bool canonical = l_flag(t, ICANON);
	int r;

	if (tty_file_hung(tf) || (deadline != NSEC_NEVER && deadline <= kclock_monotonic()))
		return 0;
	if (flags & O_NONBLOCK)
		return -EAGAIN;
	r = WAIT_EVENT_UNTIL(&t->slave_wq,
			     ldisc_input_ready(t, false) || tty_file_hung(tf) ||
				     l_flag(t, ICANON) != canonical,
			     deadline);
	if (r == -ETIMEDOUT)
		return 0;
	return r < 0 ? r : !tty_file_hung(tf);
}

static ssize_t collect(struct tty_file *tf, uint8_t *dst, size_t len, uint32_t flags)
{
	struct tty *t = tf->tty;
	struct patience p = patience_of(t);
	size_t done = 0;
	int r;

	while (done < len) {
		if (!ldisc_input_ready(t, false)) {
			r = wait_input(tf, l_flag(t, ICANON) ? NSEC_NEVER : p.deadline, flags);
			if (r == 0)
				break;
			if (r < 0)
				return done ? (ssize_t)done : r;
			continue;
		}
		done += ldisc_take(t, dst + done, len - done);
		if (l_flag(t, ICANON) || done >= p.minimum)
			break;
		if (p.between)
			p.deadline = nsec_add(kclock_monotonic(), p.between);
	}
	return (ssize_t)done;
}

static ssize_t pts_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct tty_file *tf = tty_file_of(f);
	const size_t len = u->left < TTY_INPUT_SIZE ? u->left : TTY_INPUT_SIZE;
	AUTO_FREE uint8_t *bytes = NULL;
	ssize_t n;
	int r;

	if (tty_file_hung(tf) || len == 0)
		return 0;
	r = tty_check_change(tf->tty, SIGTTIN);
	if (r < 0)
		return r;
	bytes = malloc(len);
	if (!bytes)
		return -ENOMEM;
	n = collect(tf, bytes, len, file_io_flags(f, u));
	return n > 0 ? uio_put(u, bytes, (size_t)n) : n;
}

static bool can_write(const struct tty *t)
{
	return !t->stopped && tty_out_room(t) >= TTY_CELL_MAX;
}

/* Bytes written, or why none was. */
static ssize_t write_chunk(struct tty_file *tf, const uint8_t *bytes, size_t len, uint32_t flags)
{
	struct tty *t = tf->tty;
	size_t done = 0;
	int r;

	while (done < len) {
		if (tty_file_hung(tf))
			return done ? (ssize_t)done : -EIO;
		if (can_write(t)) {
			(void)tty_out_cooked(t, bytes[done++]);
			continue;
		}
		if (flags & O_NONBLOCK)
			return done ? (ssize_t)done : -EAGAIN;
		r = WAIT_EVENT(&t->slave_wq, can_write(t) || tty_file_hung(tf));
		if (r < 0)
			return done ? (ssize_t)done : r;
	}
	return (ssize_t)done;
}

static ssize_t pts_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct tty_file *tf = tty_file_of(f);
	uint8_t bytes[WRITE_CHUNK];
	ssize_t done = 0;

	if (tty_file_hung(tf))
		return -EIO;
	if (l_flag(tf->tty, TOSTOP)) {
		const int r = tty_check_change(tf->tty, SIGTTOU);

		if (r < 0)
			return r;
	}
	while (u->left) {
		const ssize_t want =
			uio_get(u, bytes, u->left < sizeof(bytes) ? u->left : sizeof(bytes));
		ssize_t n;

		if (want <= 0)
			return done ? done : want;
		n = write_chunk(tf, bytes, (size_t)want, file_io_flags(f, u));
		if (n < 0)
			return done ? done : n;
		done += n;
		if (n < want)
			break;
		fiber_resched();
	}
	return done;
}

static uint32_t pts_poll(struct file *f)
{
	const struct tty_file *tf = tty_file_of(f);
	uint32_t events = 0;

	if (tty_file_hung(tf))
		return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
	if (ldisc_input_ready(tf->tty, true))
		events |= POLLIN | POLLRDNORM;
	if (can_write(tf->tty))
		events |= POLLOUT | POLLWRNORM;
	return events;
}

static void pts_release(struct file *f)
{
	struct tty_file *tf = tty_file_of(f);
	struct tty *t = tf->tty;

	if (--t->slaves == 0) {
		t->slave_closed = true;
		waitq_wake(&t->master_wq, POLLHUP | POLLIN);
	}
	file_fini(f);
	tty_unref(t);
	free(tf);
}

static const struct file_ops pts_ops = {
	.read = pts_read,
	.write = pts_write,
	.poll = pts_poll,
	.ioctl = tty_ioctl,
	.release = pts_release,
};

static bool may_share(const struct tty *t)
{
	const struct task *task = task_current();

	return !t->exclusive || !task || task_capable(task, CAP_SYS_ADMIN);
}

int pts_open_tty(struct tty *t, uint32_t flags, struct file **ret)
{
	struct tty_file *tf;

	if (!t->fs || t->locked)
		return -EIO;
	if (!may_share(t))
		return -EBUSY;
	tf = calloc(1, sizeof(*tf));
	if (!tf)
		return -ENOMEM;
	file_init(&tf->file, &pts_ops, NULL, NULL, flags);
	tf->file.mode |= FMODE_STREAM;
	tf->file.wq = &t->slave_wq;
	tf->tty = tty_ref(t);
	tf->hangups = t->hangups;
	t->slaves++;
	t->slave_closed = false;
	tty_opened_by(t, flags);
	*ret = &tf->file;
	return 0;
}

bool pts_file(const struct file *f)
{
	return f->ops == &pts_ops;
}
