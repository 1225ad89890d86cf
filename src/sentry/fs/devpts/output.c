/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devpts/output.c - from the slave to the master: output processing, flow control, echo
 * and packet mode (termios(3), ioctl_tty(2)).
 */
#include <ctype.h>
#include <string.h>

#include "sentry/fs/devpts/internal.h"

static bool is_control(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

size_t tty_out_room(const struct tty *t)
{
	return TTY_OUTPUT_SIZE - (size_t)(t->out_head - t->out_tail);
}

void tty_out_raw(struct tty *t, const void *bytes, size_t len)
{
	const uint8_t *src = bytes;

	if (len > tty_out_room(t))
		len = tty_out_room(t);
	for (size_t i = 0; i < len; i++)
		t->output[t->out_head++ % TTY_OUTPUT_SIZE] = src[i];
	if (len)
		waitq_wake(&t->master_wq, POLLIN | POLLRDNORM);
}

static size_t cook_newline(struct tty *t, char *cell)
{
	if (o_flag(t, ONLRET))
		t->column = 0;
	if (o_flag(t, ONLCR)) {
		t->canon_column = t->column = 0;
		memcpy(cell, "\r\n", 2);
		return 2;
	}
	t->canon_column = t->column;
	cell[0] = '\n';
	return 1;
}

static size_t cook_return(struct tty *t, char *cell)
{
	if (o_flag(t, ONOCR) && t->column == 0)
		return 0;
	cell[0] = '\r';
	if (o_flag(t, OCRNL)) {
		cell[0] = '\n';
		if (!o_flag(t, ONLRET))
			return 1;
	}
	t->canon_column = t->column = 0;
	return 1;
}

static size_t cook_tab(struct tty *t, char *cell)
{
	const unsigned int spaces = 8 - (t->column & 7);

	t->column += spaces;
	if ((t->termios.c_oflag & TABDLY) != XTABS) {
		cell[0] = '\t';
		return 1;
	}
	memset(cell, ' ', spaces);
	return spaces;
}

/* What a byte becomes, at most TTY_CELL_MAX bytes; moves the column. */
static size_t cook(struct tty *t, uint8_t c, char cell[static TTY_CELL_MAX])
{
	switch (c) {
	case '\n':
		return cook_newline(t, cell);
	case '\r':
		return cook_return(t, cell);
	case '\t':
		return cook_tab(t, cell);
	case '\b':
		if (t->column)
			t->column--;
		break;
	default:
		if (is_control(c))
			break;
		if (o_flag(t, OLCUC))
			c = (uint8_t)toupper(c);
		if (!i_flag(t, IUTF8) || (c & 0xc0) != 0x80)
			t->column++;
	}
	cell[0] = (char)c;
	return 1;
}

bool tty_out_cooked(struct tty *t, uint8_t c)
{
	char cell[TTY_CELL_MAX];

	if (tty_out_room(t) < TTY_CELL_MAX)
		return false;
	if (o_flag(t, OPOST)) {
		tty_out_raw(t, cell, cook(t, c, cell));
		return true;
	}
	tty_out_raw(t, &c, 1);
	return true;
}

size_t tty_out_take(struct tty *t, uint8_t *dst, size_t len)
{
	const size_t have = (size_t)(t->out_head - t->out_tail);

	if (len > have)
		len = have;
	for (size_t i = 0; i < len; i++)
		dst[i] = t->output[t->out_tail++ % TTY_OUTPUT_SIZE];
	if (len)
		waitq_wake(&t->slave_wq, POLLOUT | POLLWRNORM);
	return len;
}

void tty_flush_output(struct tty *t)
{
	t->out_tail = t->out_head;
	waitq_wake(&t->slave_wq, POLLOUT | POLLWRNORM);
}

void tty_packet(struct tty *t, uint8_t status)
{
	if (!t->packet)
		return;
	t->packet_status |= status;
	waitq_wake(&t->master_wq, POLLIN | POLLPRI);
}

void tty_stop(struct tty *t)
{
	if (t->stopped)
		return;
	t->stopped = true;
	t->packet_status &= (uint8_t)~TIOCPKT_START;
	tty_packet(t, TIOCPKT_STOP);
}

void tty_start(struct tty *t)
{
	if (!t->stopped || t->tco_stopped)
		return;
	t->stopped = false;
	t->packet_status &= (uint8_t)~TIOCPKT_STOP;
	tty_packet(t, TIOCPKT_START);
	waitq_wake(&t->slave_wq, POLLOUT | POLLWRNORM);
}

void echo_raw(struct tty *t, const char *text)
{
	for (; *text; text++)
		(void)tty_out_cooked(t, (uint8_t)*text);
}

void echo_char(struct tty *t, uint8_t c)
{
	if (l_flag(t, ECHOCTL) && is_control(c) && c != '\t') {
		(void)tty_out_cooked(t, '^');
		(void)tty_out_cooked(t, c ^ 0100);
		return;
	}
	(void)tty_out_cooked(t, c);
}
