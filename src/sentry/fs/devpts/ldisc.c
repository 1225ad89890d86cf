/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devpts/ldisc.c - the line discipline N_TTY: from bytes of the master to lines for
 * readers of the slave (termios(3)).
 *
 * An end-of-file character is kept as a NUL whose bit says that it ends a line; readers never see
 * it.
 */
#include <ctype.h>
#include <string.h>

#include "sentry/fs/devpts/internal.h"

#define EOF_MARK '\0'

static uint8_t byte_at(const struct tty *t, uint64_t at)
{
	return t->input[at % TTY_INPUT_SIZE];
}

static bool ends_line(const struct tty *t, uint64_t at)
{
	const uint64_t bit = at % TTY_INPUT_SIZE;

	return t->line_end[bit / 64] >> bit % 64 & 1;
}

static void mark_line_end(struct tty *t, uint64_t at, bool ends)
{
	const uint64_t bit = at % TTY_INPUT_SIZE;

	if (ends)
		t->line_end[bit / 64] |= 1ull << bit % 64;
	else
		t->line_end[bit / 64] &= ~(1ull << bit % 64);
}

size_t ldisc_input_count(const struct tty *t)
{
	size_t n;

	if (!l_flag(t, ICANON))
		return (size_t)(t->in_head - t->in_tail);
	n = (size_t)(t->canon_head - t->in_tail);
	for (uint64_t at = t->in_tail; at < t->canon_head; at++)
		n -= ends_line(t, at) && byte_at(t, at) == EOF_MARK;
	return n;
}

/* Without a finished line a full queue still takes bytes: the line's end must get in. */
size_t ldisc_room(const struct tty *t)
{
	const size_t left = TTY_INPUT_SIZE - 1 - (size_t)(t->in_head - t->in_tail);

	if (l_flag(t, ICANON) && t->canon_head == t->in_tail)
		return TTY_INPUT_SIZE;
	return left > TTY_INPUT_SIZE ? 0 : left;
}

bool ldisc_input_ready(const struct tty *t, bool for_poll)
{
	uint64_t want = 1;

	if (l_flag(t, ICANON))
		return t->canon_head != t->in_tail;
	if (for_poll && !t->termios.c_cc[VTIME] && t->termios.c_cc[VMIN])
		want = t->termios.c_cc[VMIN];
	return t->in_head - t->in_tail >= want;
}

static size_t take_line(struct tty *t, uint8_t *dst, size_t len)
{
	size_t n = 0;

	while (t->in_tail < t->canon_head) {
		const uint8_t c = byte_at(t, t->in_tail);
		const bool end = ends_line(t, t->in_tail);

		if (end && c == EOF_MARK) {
			mark_line_end(t, t->in_tail++, false);
			break;
		}
		if (n == len)
			break;
		mark_line_end(t, t->in_tail++, false);
		dst[n++] = c;
		if (end)
			break;
	}
	return n;
}

size_t ldisc_take(struct tty *t, uint8_t *dst, size_t len)
{
	size_t n = 0;

	if (l_flag(t, ICANON)) {
		n = take_line(t, dst, len);
	} else {
		while (n < len && t->in_tail < t->in_head) {
			mark_line_end(t, t->in_tail, false);
			dst[n++] = byte_at(t, t->in_tail++);
		}
		if (t->canon_head < t->in_tail)
			t->canon_head = t->in_tail;
	}
	waitq_wake(&t->master_wq, POLLOUT | POLLWRNORM);
	return n;
}

void ldisc_flush_input(struct tty *t)
{
	t->in_tail = t->canon_head = t->in_head;
	memset(t->line_end, 0, sizeof(t->line_end));
	t->lnext = t->erasing = false;
	waitq_wake(&t->master_wq, POLLOUT | POLLWRNORM);
}

/* n_tty_set_termios(): what waits becomes one line, or bytes, when ICANON changes. */
void ldisc_set_termios(struct tty *t, const struct termios2 *termios)
{
	const unsigned int changed = t->termios.c_lflag ^ termios->c_lflag;
	const bool was_flow = i_flag(t, IXON);

	t->termios = *termios;
	if (changed & ICANON) {
		memset(t->line_end, 0, sizeof(t->line_end));
		t->canon_head = t->in_tail;
		if (l_flag(t, ICANON) && t->in_head != t->in_tail) {
			mark_line_end(t, t->in_head - 1, true);
			t->canon_head = t->in_head;
		}
		t->erasing = t->lnext = false;
	}
	if (was_flow && !i_flag(t, IXON) && !t->tco_stopped)
		tty_start(t);
	waitq_wake(&t->slave_wq, WAIT_ALL);
}

static void wake_readers(struct tty *t)
{
	if (ldisc_input_ready(t, false))
		waitq_wake(&t->slave_wq, POLLIN | POLLRDNORM);
}

/* The last place of the queue is kept for a line's end. */
static void put(struct tty *t, uint8_t c)
{
	if (t->in_head - t->in_tail >= TTY_INPUT_SIZE - 1) {
		if (i_flag(t, IMAXBEL))
			echo_raw(t, "\a");
		return;
	}
	mark_line_end(t, t->in_head, false);
	t->input[t->in_head++ % TTY_INPUT_SIZE] = c;
	if (!l_flag(t, ICANON))
		wake_readers(t);
}

static void put_line_end(struct tty *t, uint8_t c)
{
	if (t->in_head - t->in_tail >= TTY_INPUT_SIZE)
		t->in_head--;
	mark_line_end(t, t->in_head, true);
	t->input[t->in_head++ % TTY_INPUT_SIZE] = c;
	t->canon_head = t->in_head;
	wake_readers(t);
}

static void finish_erasing(struct tty *t)
{
	if (t->erasing) {
		echo_raw(t, "/");
		t->erasing = false;
	}
}

static bool is_control(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

static bool is_continuation(const struct tty *t, uint8_t c)
{
	return i_flag(t, IUTF8) && (c & 0xc0) == 0x80;
}

/* Columns of the bytes from the last tab, or from the line's start, up to the end. */
static unsigned int columns_since_tab(const struct tty *t)
{
	unsigned int columns = 0;

	for (uint64_t at = t->in_head; at > t->canon_head; at--) {
		const uint8_t c = byte_at(t, at - 1);

		if (c == '\t')
			return columns;
		if (is_control(c))
			columns += l_flag(t, ECHOCTL) ? 2 : 0;
		else if (!is_continuation(t, c))
			columns++;
	}
	return columns + t->canon_column;
}

static void echo_erase(struct tty *t, uint8_t c)
{
	if (c == '\t') {
		unsigned int back = 8 - (columns_since_tab(t) & 7);

		while (back--)
			echo_raw(t, "\b");
		return;
	}
	if (is_control(c) && !l_flag(t, ECHOCTL))
		return;
	echo_raw(t, is_control(c) ? "\b \b\b \b" : "\b \b");
}

/* Take the last character (of one or more bytes) out of the line: its first byte. */
static uint8_t unput(struct tty *t)
{
	uint8_t c;

	do
		c = byte_at(t, --t->in_head);
	while (is_continuation(t, c) && t->in_head > t->canon_head);
	return c;
}

enum erase_kind { ERASE_CHAR, ERASE_WORD, ERASE_LINE };

static void erase(struct tty *t, uint8_t key, enum erase_kind kind)
{
	bool in_word = false;

	while (t->in_head > t->canon_head) {
		const uint64_t before = t->in_head;
		const uint8_t c = unput(t);

		if (kind == ERASE_WORD) {
			if (isalnum(c) || c == '_') {
				in_word = true;
			} else if (in_word) {
				t->in_head = before;
				break;
			}
		}
		if (l_flag(t, ECHO)) {
			if (l_flag(t, ECHOPRT)) {
				if (!t->erasing)
					echo_raw(t, "\\");
				t->erasing = true;
				echo_char(t, c);
			} else if (kind == ERASE_CHAR && !l_flag(t, ECHOE)) {
				echo_char(t, key);
			} else {
				echo_erase(t, c);
			}
		}
		if (kind == ERASE_CHAR)
			break;
	}
	if (t->in_head == t->canon_head && l_flag(t, ECHO))
		finish_erasing(t);
}

static void erase_line(struct tty *t, uint8_t key)
{
	if (t->in_head == t->canon_head)
		return;
	if (!l_flag(t, ECHO)) {
		t->in_head = t->canon_head;
	} else if (!l_flag(t, ECHOK) || !l_flag(t, ECHOKE) || !l_flag(t, ECHOE)) {
		t->in_head = t->canon_head;
		finish_erasing(t);
		echo_char(t, key);
		if (l_flag(t, ECHOK))
			echo_raw(t, "\n");
	} else {
		erase(t, key, ERASE_LINE);
	}
}

static void reprint(struct tty *t, uint8_t key)
{
	finish_erasing(t);
	echo_char(t, key);
	echo_raw(t, "\n");
	for (uint64_t at = t->canon_head; at < t->in_head; at++)
		echo_char(t, byte_at(t, at));
}

static bool is_key(const struct tty *t, unsigned int which, uint8_t c)
{
	return c && t->termios.c_cc[which] == c;
}

/* INTR, QUIT, SUSP. */
static bool signal_key(struct tty *t, uint8_t c)
{
	int sig;

	if (is_key(t, VINTR, c))
		sig = SIGINT;
	else if (is_key(t, VQUIT, c))
		sig = SIGQUIT;
	else if (is_key(t, VSUSP, c))
		sig = SIGTSTP;
	else
		return false;
	if (!l_flag(t, NOFLSH)) {
		ldisc_flush_input(t);
		tty_flush_output(t);
		tty_packet(t, TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE);
	}
	tty_signal(t, sig);
	if (i_flag(t, IXON))
		tty_start(t);
	if (l_flag(t, ECHO))
		echo_char(t, c);
	return true;
}

/* Keys that edit the line. */
static bool edit_key(struct tty *t, uint8_t c)
{
	if (is_key(t, VERASE, c)) {
		erase(t, c, ERASE_CHAR);
	} else if (is_key(t, VKILL, c)) {
		erase_line(t, c);
	} else if (is_key(t, VWERASE, c) && l_flag(t, IEXTEN)) {
		erase(t, c, ERASE_WORD);
	} else if (is_key(t, VLNEXT, c) && l_flag(t, IEXTEN)) {
		t->lnext = true;
		if (l_flag(t, ECHO)) {
			finish_erasing(t);
			if (l_flag(t, ECHOCTL))
				echo_raw(t, "^\b");
		}
	} else if (is_key(t, VREPRINT, c) && l_flag(t, ECHO) && l_flag(t, IEXTEN)) {
		reprint(t, c);
	} else {
		return false;
	}
	return true;
}

static void echo_input(struct tty *t, uint8_t c)
{
	finish_erasing(t);
	if (c == '\n') {
		echo_raw(t, "\n");
		return;
	}
	if (t->in_head == t->canon_head)
		t->canon_column = t->column;
	echo_char(t, c);
}

/* NL, EOF, EOL, EOL2. */
static bool line_end_key(struct tty *t, uint8_t c)
{
	if (c == '\n') {
		if (l_flag(t, ECHO) || l_flag(t, ECHONL))
			echo_input(t, c);
		put_line_end(t, c);
	} else if (is_key(t, VEOF, c)) {
		put_line_end(t, EOF_MARK);
	} else if (is_key(t, VEOL, c) || (is_key(t, VEOL2, c) && l_flag(t, IEXTEN))) {
		if (l_flag(t, ECHO))
			echo_input(t, c);
		put_line_end(t, c);
	} else {
		return false;
	}
	return true;
}

/* START and STOP; any other key starts again with IXANY. */
static bool flow_key(struct tty *t, uint8_t c)
{
	if (is_key(t, VSTART, c)) {
		tty_start(t);
		return true;
	}
	if (is_key(t, VSTOP, c)) {
		tty_stop(t);
		return true;
	}
	if (t->stopped && i_flag(t, IXANY))
		tty_start(t);
	return false;
}

/* INLCR, IGNCR, ICRNL: false when the byte vanishes. */
static bool map_newline(const struct tty *t, uint8_t *c)
{
	if (*c == '\r') {
		if (i_flag(t, IGNCR))
			return false;
		if (i_flag(t, ICRNL))
			*c = '\n';
	} else if (*c == '\n' && i_flag(t, INLCR)) {
		*c = '\r';
	}
	return true;
}

void ldisc_receive(struct tty *t, uint8_t c)
{
	const bool literal = t->lnext;

	if (i_flag(t, ISTRIP))
		c &= 0x7f;
	if (i_flag(t, IUCLC) && l_flag(t, IEXTEN))
		c = (uint8_t)tolower(c);
	if (l_flag(t, EXTPROC)) {
		put(t, c);
		return;
	}
	t->lnext = false;
	if (!literal) {
		if (i_flag(t, IXON) && flow_key(t, c))
			return;
		if (l_flag(t, ISIG) && signal_key(t, c))
			return;
		if (!map_newline(t, &c))
			return;
		if (l_flag(t, ICANON) && (edit_key(t, c) || line_end_key(t, c)))
			return;
	}
	if (l_flag(t, ECHO))
		echo_input(t, c);
	if (c == 0xff && i_flag(t, PARMRK))
		put(t, c);
	put(t, c);
}
