/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal's line discipline under a program that changes its settings as it likes, types,
 * writes, reads and flushes: no count leaves its bounds and nothing is read that was not written.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sentry/fs/devpts/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum op { OP_SETTINGS, OP_TYPE, OP_WRITE, OP_READ, OP_READ_MASTER, OP_FLUSH, OP_FLOW, OPS };

struct input {
	const uint8_t *at, *end;
};

static uint8_t next(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static unsigned int next_flags(struct input *in)
{
	const unsigned int low = next(in), high = next(in);

	return low | high << 8;
}

static void settings(struct tty *t, struct input *in)
{
	struct termios2 termios = t->termios;

	termios.c_iflag = next_flags(in);
	termios.c_oflag = next_flags(in);
	termios.c_lflag = next_flags(in);
	termios.c_cc[next(in) % sizeof(termios.c_cc)] = next(in);
	ldisc_set_termios(t, &termios);
	t->packet = next(in) & 1;
}

static void check(const struct tty *t)
{
	assert(t->in_tail <= t->canon_head || !(t->termios.c_lflag & ICANON));
	assert(t->canon_head <= t->in_head);
	assert(t->in_head - t->in_tail <= TTY_INPUT_SIZE);
	assert(t->out_head - t->out_tail <= TTY_OUTPUT_SIZE);
	assert(ldisc_room(t) <= TTY_INPUT_SIZE);
	assert(ldisc_input_count(t) <= TTY_INPUT_SIZE);
}

static void step(struct tty *t, struct input *in)
{
	uint8_t bytes[TTY_INPUT_SIZE];
	const enum op op = next(in) % OPS;
	size_t len;

	if (op == OP_SETTINGS) {
		settings(t, in);
		return;
	}
	len = next_flags(in) % (sizeof(bytes) + 1);
	switch (op) {
	case OP_TYPE:
		/* A run of one byte fills the queue. */
		for (const uint8_t c = next(in); len > 8 && ldisc_room(t); len--)
			ldisc_receive(t, c);
		for (; len && ldisc_room(t); len--)
			ldisc_receive(t, next(in));
		break;
	case OP_WRITE:
		for (const uint8_t c = next(in); len && tty_out_cooked(t, c); len--)
			;
		break;
	case OP_READ:
		assert(ldisc_take(t, bytes, len) <= len);
		break;
	case OP_READ_MASTER:
		assert(tty_out_take(t, bytes, len) <= len);
		break;
	case OP_FLUSH:
		ldisc_flush_input(t);
		tty_flush_output(t);
		break;
	default:
		t->tco_stopped = len & 1;
		len & 2 ? tty_stop(t) : tty_start(t);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	struct tty *t = tty_new(0);

	if (!t)
		return 0;
	while (in.at < in.end) {
		step(t, &in);
		check(t);
	}
	tty_unref(t);
	return 0;
}
