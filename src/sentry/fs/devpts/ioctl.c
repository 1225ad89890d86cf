/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devpts/ioctl.c - ioctl_tty(2). A master's attributes are those of its slave.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/devpts/internal.h"

#define NCC_OLD 8 /* control characters of struct termio */

/* struct termio of <asm/termios.h>, which does not go together with <sys/ioctl.h>. */
struct old_termio {
	uint16_t c_iflag, c_oflag, c_cflag, c_lflag;
	uint8_t c_line;
	uint8_t c_cc[NCC_OLD];
};

_Static_assert(sizeof(struct termios) == 36 && sizeof(struct termios2) == 44, "the kernel's ABI");

static int put_int(struct user_memory *um, uint64_t arg, int value)
{
	return user_copy_out(um, arg, &value, sizeof(value));
}

static int get_int(struct user_memory *um, uint64_t arg, int *ret)
{
	return user_copy_in(um, ret, arg, sizeof(*ret));
}

void tty_set_winsize(struct tty *t, const struct winsize *ws)
{
	if (!memcmp(&t->ws, ws, sizeof(*ws)))
		return;
	t->ws = *ws;
	tty_signal(t, SIGWINCH);
}

/* TIOCPKT_DOSTOP: ^S and ^Q are what stops and starts the output. */
static bool plain_flow(const struct tty *t)
{
	return i_flag(t, IXON) && t->termios.c_cc[VSTOP] == ('S' - 0100) &&
	       t->termios.c_cc[VSTART] == ('Q' - 0100);
}

enum when { SET_NOW, SET_DRAINED, SET_FLUSHED };

/* The output is with the master as soon as it is written: nothing to drain. */
static int set_termios(struct tty *t, const struct termios2 *new, enum when when)
{
	const bool was_plain = plain_flow(t);
	const bool extproc = l_flag(t, EXTPROC) || new->c_lflag &EXTPROC;
	const int r = tty_check_change(t, SIGTTOU);

	if (r < 0)
		return r;
	if (when == SET_FLUSHED)
		ldisc_flush_input(t);
	ldisc_set_termios(t, new);
	if (was_plain != plain_flow(t)) {
		t->packet_status &= (uint8_t) ~(TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
		tty_packet(t, plain_flow(t) ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP);
	}
	if (extproc)
		tty_packet(t, TIOCPKT_IOCTL);
	return 0;
}

/* TCSETS has no speeds: they follow from c_cflag, where B0 to B4000000 are codes. */
static int import_termios(struct tty *t, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	struct termios2 new = t->termios;
	struct termios old;

	switch (cmd) {
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		if (user_copy_in(um, &new, arg, sizeof(new)) < 0)
			return -EFAULT;
		return set_termios(t, &new, (enum when)(cmd - TCSETS2));
	default:
		if (user_copy_in(um, &old, arg, sizeof(old)) < 0)
			return -EFAULT;
		memcpy(&new, &old, sizeof(old));
		return set_termios(t, &new, (enum when)(cmd - TCSETS));
	}
}

static int import_termio(struct tty *t, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	struct termios2 new = t->termios;
	struct old_termio old;

	if (user_copy_in(um, &old, arg, sizeof(old)) < 0)
		return -EFAULT;
	new.c_iflag = (new.c_iflag & 0xffff0000u) | old.c_iflag;
	new.c_oflag = (new.c_oflag & 0xffff0000u) | old.c_oflag;
	new.c_cflag = (new.c_cflag & 0xffff0000u) | old.c_cflag;
	new.c_lflag = (new.c_lflag & 0xffff0000u) | old.c_lflag;
	new.c_line = old.c_line;
	memcpy(new.c_cc, old.c_cc, sizeof(old.c_cc));
	return set_termios(t, &new, (enum when)(cmd - TCSETA));
}

static int export_termio(const struct tty *t, uint64_t arg, struct user_memory *um)
{
	struct old_termio old = {
		.c_iflag = (uint16_t)t->termios.c_iflag,
		.c_oflag = (uint16_t)t->termios.c_oflag,
		.c_cflag = (uint16_t)t->termios.c_cflag,
		.c_lflag = (uint16_t)t->termios.c_lflag,
		.c_line = t->termios.c_line,
	};

	memcpy(old.c_cc, t->termios.c_cc, sizeof(old.c_cc));
	return user_copy_out(um, arg, &old, sizeof(old));
}

static int flush(struct tty_file *tf, uint64_t queue)
{
	struct tty *t = tf->tty;
	const bool input = queue == TCIFLUSH || queue == TCIOFLUSH;
	const bool output = queue == TCOFLUSH || queue == TCIOFLUSH;

	if (!input && !output)
		return -EINVAL;
	if (tf->master ? output : input) {
		ldisc_flush_input(t);
		tty_packet(t, TIOCPKT_FLUSHREAD);
	}
	if (tf->master ? input : output) {
		tty_flush_output(t);
		tty_packet(t, TIOCPKT_FLUSHWRITE);
	}
	return 0;
}

static int flow(struct tty_file *tf, uint64_t action)
{
	struct tty *t = tf->tty;
	const unsigned int key = action == TCIOFF ? VSTOP : VSTART;

	switch (action) {
	case TCOOFF:
		tty_stop(t);
		t->tco_stopped = true;
		return 0;
	case TCOON:
		t->tco_stopped = false;
		tty_start(t);
		return 0;
	case TCIOFF:
	case TCION:
		if (!tf->master && t->termios.c_cc[key])
			tty_out_raw(t, &t->termios.c_cc[key], 1);
		return 0;
	default:
		return -EINVAL;
	}
}

/* Type a byte as if it came from the master: into one's own terminal only. */
static int simulate_input(struct tty *t, uint64_t arg, struct user_memory *um)
{
	const struct task *task = task_current();
	uint8_t c;

	if (tty_of_current() != t && !task_capable(task, CAP_SYS_ADMIN))
		return -EPERM;
	if (user_copy_in(um, &c, arg, sizeof(c)) < 0)
		return -EFAULT;
	if (ldisc_room(t))
		ldisc_receive(t, c);
	return 0;
}

/* TIOCGPTPEER: the slave, whatever is mounted where the caller looks. */
static int open_peer(struct tty_file *tf, uint64_t flags)
{
	struct task *task = task_current();
	const struct vfs_ctx ctx = task_vfs_ctx(task);
	const struct dentry *d = tf->file.path.dentry;
	struct path dir = { .mnt = tf->file.path.mnt };
	struct file *f;
	char name[32];
	int r;

	(void)snprintf(name, sizeof(name), "%u", tf->tty->index);
	if (!d || d->sb != tf->tty->sb)
		return -ENODEV;
	dir.dentry = d->parent;
	r = vfs_open(&ctx, &dir, name, (uint32_t)flags & (O_ACCMODE | O_NONBLOCK | O_NOCTTY), 0, 0,
		     &f);
	if (r < 0)
		return r;
	return fd_install(task->files, f, flags & O_CLOEXEC, task_rlimit(task, RLIMIT_NOFILE));
}

static long master_ioctl(struct tty_file *tf, unsigned int cmd, uint64_t arg,
			 struct user_memory *um)
{
	struct tty *t = tf->tty;
	int value;

	switch (cmd) {
	case TIOCGPTN:
		return put_int(um, arg, (int)t->index);
	case TIOCSPTLCK:
		if (get_int(um, arg, &value) < 0)
			return -EFAULT;
		t->locked = value != 0;
		return 0;
	case TIOCGPTLCK:
		return put_int(um, arg, t->locked);
	case TIOCPKT:
		if (get_int(um, arg, &value) < 0)
			return -EFAULT;
		if (value && !t->packet)
			t->packet_status = 0;
		t->packet = value != 0;
		return 0;
	case TIOCGPKT:
		return put_int(um, arg, t->packet);
	case TIOCSIG:
		if (arg < 1 || arg > KNSIG)
			return -EINVAL;
		tty_signal(t, (int)arg);
		return 0;
	case TIOCGPTPEER:
		return open_peer(tf, arg);
	default:
		return -ENOTTY;
	}
}

static long job_ioctl(struct tty_file *tf, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	struct tty *t = tf->tty;
	int value = 0, r;

	switch (cmd) {
	case TIOCGPGRP:
		r = tty_get_pgrp(t, tf->master, &value);
		return r < 0 ? r : put_int(um, arg, value);
	case TIOCSPGRP:
		if (get_int(um, arg, &value) < 0)
			return -EFAULT;
		return tty_set_pgrp(t, value);
	case TIOCGSID:
		r = tty_get_session(t, tf->master, &value);
		return r < 0 ? r : put_int(um, arg, value);
	case TIOCSCTTY:
		return tty_set_controlling(t, &tf->file, arg);
	case TIOCNOTTY:
		return tty_give_up(t);
	default:
		return tf->master ? master_ioctl(tf, cmd, arg, um) : -ENOTTY;
	}
}

static long line_ioctl(struct tty_file *tf, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	struct tty *t = tf->tty;
	struct winsize ws;
	int value, r;

	switch (cmd) {
	case TIOCGWINSZ:
		return user_copy_out(um, arg, &t->ws, sizeof(t->ws));
	case TIOCSWINSZ:
		if (user_copy_in(um, &ws, arg, sizeof(ws)) < 0)
			return -EFAULT;
		tty_set_winsize(t, &ws);
		return 0;
	case FIONREAD:
		return put_int(um, arg,
			       tf->master ? (int)(t->out_head - t->out_tail)
					  : (int)ldisc_input_count(t));
	case TIOCOUTQ:
		return put_int(um, arg, 0);
	case TCFLSH:
		r = tf->master ? 0 : tty_check_change(t, SIGTTOU);
		return r < 0 ? r : flush(tf, arg);
	case TCXONC:
		r = tf->master ? 0 : tty_check_change(t, SIGTTOU);
		return r < 0 ? r : flow(tf, arg);
	case TCSBRK:
	case TCSBRKP:
		return tf->master ? 0 : tty_check_change(t, SIGTTOU);
	case TIOCSTI:
		return simulate_input(t, arg, um);
	case TIOCGETD:
		return put_int(um, arg, N_TTY);
	case TIOCSETD:
		if (get_int(um, arg, &value) < 0)
			return -EFAULT;
		return value == N_TTY ? 0 : -EINVAL;
	default:
		return job_ioctl(tf, cmd, arg, um);
	}
}

static long state_ioctl(struct tty_file *tf, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	struct tty *t = tf->tty;
	const struct task *task = task_current();

	switch (cmd) {
	case TIOCEXCL:
		t->exclusive = true;
		return 0;
	case TIOCNXCL:
		t->exclusive = false;
		return 0;
	case TIOCGEXCL:
		return put_int(um, arg, t->exclusive);
	case TIOCGDEV:
		return put_int(um, arg, (int)tty_dev(t));
	case TIOCGSOFTCAR:
		return put_int(um, arg, t->termios.c_cflag & CLOCAL ? 1 : 0);
	case TIOCVHANGUP:
		if (!task_capable(task, CAP_SYS_ADMIN))
			return -EPERM;
		tty_hangup(t);
		return 0;
	case TIOCCONS:
		return -EPERM;
	default:
		return line_ioctl(tf, cmd, arg, um);
	}
}

long tty_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	struct tty_file *tf = tty_file_of(f);
	struct tty *t = tf->tty;

	if (tty_file_hung(tf))
		return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
	switch (cmd) {
	case TCGETS:
		return user_copy_out(um, arg, &t->termios, sizeof(struct termios));
	case TCGETS2:
		return user_copy_out(um, arg, &t->termios, sizeof(struct termios2));
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		return import_termios(t, cmd, arg, um);
	case TCGETA:
		return export_termio(t, arg, um);
	case TCSETA:
	case TCSETAW:
	case TCSETAF:
		return import_termio(t, cmd, arg, um);
	default:
		return state_ioctl(tf, cmd, arg, um);
	}
}
