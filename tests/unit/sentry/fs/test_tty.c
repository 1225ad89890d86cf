/* SPDX-License-Identifier: Apache-2.0 */
/* The line discipline of terminals: what readers of the slave and of the master get. */
#include "lib/unit.h"

#include "sentry/fs/devpts/internal.h"

static struct tty *t;

static int setup(void **state)
{
	t = tty_new(0);
	return t ? 0 : -1;
}

static int teardown(void **state)
{
	tty_unref(t);
	return 0;
}

static void type(const char *text)
{
	for (; *text; text++) {
		assert_true(ldisc_room(t) > 0);
		ldisc_receive(t, (uint8_t)*text);
	}
}

static void assert_input(const char *want)
{
	char got[256] = "";

	assert_true(ldisc_input_ready(t, false));
	got[ldisc_take(t, (uint8_t *)got, sizeof(got) - 1)] = '\0';
	assert_string_equal(got, want);
}

static void assert_screen(const char *want)
{
	char got[512] = "";

	got[tty_out_take(t, (uint8_t *)got, sizeof(got) - 1)] = '\0';
	assert_string_equal(got, want);
}

static void change(unsigned int clear, unsigned int set)
{
	struct termios2 termios = t->termios;

	termios.c_lflag = (termios.c_lflag & ~clear) | set;
	ldisc_set_termios(t, &termios);
}

static void a_line_is_readable_when_it_ends(void **state)
{
	type("ab");
	assert_false(ldisc_input_ready(t, false));
	type("c\rnext");
	assert_int_equal(ldisc_input_count(t), 4);
	assert_input("abc\n");
	assert_false(ldisc_input_ready(t, false));
	assert_screen("abc\r\nnext");
}

static void a_short_read_leaves_the_rest_of_the_line(void **state)
{
	uint8_t two[2];

	type("abcd\n");
	assert_int_equal(ldisc_take(t, two, 2), 2);
	assert_memory_equal(two, "ab", 2);
	assert_input("cd\n");
}

static void end_of_file_ends_a_line_without_a_byte(void **state)
{
	type("ab\004\004");
	assert_int_equal(ldisc_input_count(t), 2);
	assert_input("ab");
	assert_true(ldisc_input_ready(t, false));
	assert_input("");
	assert_false(ldisc_input_ready(t, false));
	assert_screen("ab");
}

/* A read that takes exactly the bytes before the end-of-file character takes that too. */
static void an_exact_read_takes_the_end_of_file_with_it(void **state)
{
	uint8_t two[2];

	type("ab\004");
	assert_int_equal(ldisc_take(t, two, 2), 2);
	assert_false(ldisc_input_ready(t, false));
}

static void erase_and_kill_edit_the_line_and_the_screen(void **state)
{
	type("abx\177c\n");
	assert_input("abc\n");
	assert_screen("abx\b \bc\r\n");
	type("one two\027\027x\n");
	assert_input("x\n");
	(void)tty_out_take(t, (uint8_t[256]){ 0 }, 256);
	type("ab\025c\n");
	assert_input("c\n");
	assert_screen("ab\b \b\b \bc\r\n");
	type("\177\177\n"); /* nothing to erase: not even the line before */
	assert_input("\n");
}

static void a_control_character_takes_two_columns(void **state)
{
	type("\026\003x\177\177\n");
	assert_screen("^\b^Cx\b \b\b \b\b \b\r\n");
	assert_input("\n");
}

static void the_literal_next_key_quotes(void **state)
{
	type("a\026\003b\026\004\n");
	assert_input("a\003b\004\n");
}

static void without_canonical_mode_bytes_come_at_once(void **state)
{
	change(ICANON | ECHO, 0);
	type("a\004\177");
	assert_input("a\004\177");
	t->termios.c_cc[VMIN] = 3;
	type("ab");
	assert_false(ldisc_input_ready(t, true));
	assert_true(ldisc_input_ready(t, false));
	type("c");
	assert_true(ldisc_input_ready(t, true));
	assert_screen("");
}

static void what_waits_survives_a_change_of_mode(void **state)
{
	type("part");
	change(ICANON, 0);
	assert_input("part");
	type("bytes");
	change(0, ICANON);
	assert_input("bytes");
}

static void a_full_line_still_takes_its_end(void **state)
{
	uint8_t line[TTY_INPUT_SIZE + 1];

	change(ECHO, 0);
	for (unsigned int i = 0; i < 2 * TTY_INPUT_SIZE; i++)
		type("x");
	type("\n");
	assert_int_equal(ldisc_take(t, line, sizeof(line)), TTY_INPUT_SIZE);
	assert_int_equal(line[TTY_INPUT_SIZE - 1], '\n');
	assert_int_equal(line[TTY_INPUT_SIZE - 2], 'x');
}

static void input_that_nobody_reads_stops_the_writer(void **state)
{
	unsigned int taken = 0;

	change(ICANON | ECHO, 0);
	while (ldisc_room(t)) {
		ldisc_receive(t, 'x');
		taken++;
	}
	assert_int_equal(taken, TTY_INPUT_SIZE - 1);
}

static void stop_and_start_hold_the_output(void **state)
{
	type("\023");
	assert_true(t->stopped);
	type("\021");
	assert_false(t->stopped);
	t->termios.c_iflag |= IXANY;
	type("\023a");
	assert_false(t->stopped);
}

static void packet_mode_tells_the_master(void **state)
{
	t->packet = true;
	type("\023");
	assert_int_equal(t->packet_status, TIOCPKT_STOP);
	type("\021");
	assert_int_equal(t->packet_status, TIOCPKT_START);
	t->packet_status = 0;
	type("x\003");
	assert_int_equal(t->packet_status, TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE);
	assert_screen("^C");
}

static void output_is_processed(void **state)
{
	for (const char *p = "a\tb\n"; *p; p++)
		assert_true(tty_out_cooked(t, (uint8_t)*p));
	assert_screen("a\tb\r\n");
	t->termios.c_oflag |= XTABS;
	for (const char *p = "a\tb"; *p; p++)
		assert_true(tty_out_cooked(t, (uint8_t)*p));
	assert_screen("a       b");
	t->termios.c_oflag &= ~(unsigned int)OPOST;
	assert_true(tty_out_cooked(t, '\n'));
	assert_screen("\n");
}

static void a_full_output_refuses(void **state)
{
	unsigned int taken = 0;

	while (tty_out_cooked(t, 'x'))
		taken++;
	assert_in_range(taken, TTY_OUTPUT_SIZE - TTY_CELL_MAX, TTY_OUTPUT_SIZE);
	type("echo is lost\n");
	assert_input("echo is lost\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(a_line_is_readable_when_it_ends),
		CASE(a_short_read_leaves_the_rest_of_the_line),
		CASE(end_of_file_ends_a_line_without_a_byte),
		CASE(an_exact_read_takes_the_end_of_file_with_it),
		CASE(erase_and_kill_edit_the_line_and_the_screen),
		CASE(a_control_character_takes_two_columns),
		CASE(the_literal_next_key_quotes),
		CASE(without_canonical_mode_bytes_come_at_once),
		CASE(what_waits_survives_a_change_of_mode),
		CASE(a_full_line_still_takes_its_end),
		CASE(input_that_nobody_reads_stops_the_writer),
		CASE(stop_and_start_hold_the_output),
		CASE(packet_mode_tells_the_master),
		CASE(output_is_processed),
		CASE(a_full_output_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
