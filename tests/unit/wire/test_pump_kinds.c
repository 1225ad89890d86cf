/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pumps (wire/pump.h) whose descriptors are no pipes of their own: files, devices, sockets,
 * terminals, a fifo that blocks.
 */
#include "pump_world.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static void regular_files_are_read_and_written(void **state)
{
	struct world *w = *state;
	const int from = memfd_create("from", MFD_CLOEXEC), to = memfd_create("to", MFD_CLOEXEC);
	const int look = dup(to);

	fill_sent();
	assert_int_equal(write(from, sent, sizeof(sent)), sizeof(sent));
	assert_int_equal(lseek(from, 0, SEEK_SET), 0);
	add(&w->host, 1, from, PUMP_IN);
	add(&w->agent, 1, to, PUMP_OUT);
	UNTIL(w->host.done[1] == 1 && w->agent.done[1] == 1);
	assert_int_equal(pread(look, got, sizeof(got), 0), sizeof(got));
	assert_memory_equal(got, sent, sizeof(sent));
	assert_int_equal(lseek(look, 0, SEEK_END), sizeof(sent));
	(void)close(look);
}

static void a_device_that_is_always_ready_does_not_stop_the_rest(void **state)
{
	struct world *w = *state;
	int from, to, in, out;

	add(&w->host, 1, open("/dev/zero", O_RDONLY | O_CLOEXEC), PUMP_IN);
	add(&w->agent, 1, open("/dev/null", O_WRONLY | O_CLOEXEC), PUMP_OUT);
	pipe_in(&from, &in, 0);
	pipe_in(&out, &to, O_NONBLOCK);
	add(&w->agent, 2, from, PUMP_IN);
	add(&w->host, 2, to, PUMP_OUT);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(write(in, "x", 1), 1);
		UNTIL(read(out, got, 1) == 1);
	}
	(void)close(in);
	(void)close(out);
}

static void a_disk_that_is_full_ends_the_stream_with_its_error(void **state)
{
	struct world *w = *state;
	int from, in;

	pipe_in(&from, &in, 0);
	add(&w->agent, 1, from, PUMP_IN);
	add(&w->host, 1, open("/dev/full", O_WRONLY | O_CLOEXEC), PUMP_OUT);
	assert_int_equal(write(in, "x", 1), 1);
	UNTIL(w->host.done[1] == 1 && w->agent.done[1] == 1);
	assert_int_equal(write(in, "x", 1), -1);
	(void)close(in);
}

static void sockets_carry_streams(void **state)
{
	struct world *w = *state;
	int a[2], b[2];

	fill_sent();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
	add(&w->host, 1, a[0], PUMP_IN);
	add(&w->agent, 1, b[0], PUMP_OUT);
	(void)fcntl(a[1], F_SETFL, O_NONBLOCK);
	(void)fcntl(b[1], F_SETFL, O_NONBLOCK);
	for (size_t at = 0, n = 0; n < (1u << 20);) {
		ssize_t r = at < (1u << 20) ? write(a[1], sent + at, (1u << 20) - at) : 0;

		at += r > 0 ? (size_t)r : 0;
		assert_int_equal(loop_once(w->loop, 0), 0);
		r = read(b[1], got + n, sizeof(got) - n);
		n += r > 0 ? (size_t)r : 0;
	}
	assert_memory_equal(got, sent, 1u << 20);
	(void)close(b[1]);
	UNTIL(w->agent.done[1] == 1 && w->host.done[1] == 1);
	(void)close(a[1]);
}

static void open_terminal(int *ret_master, int *ret_slave)
{
	struct termios raw;
	char name[64];

	*ret_master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*ret_master >= 0);
	assert_int_equal(unlockpt(*ret_master), 0);
	assert_int_equal(ptsname_r(*ret_master, name, sizeof(name)), 0);
	*ret_slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*ret_slave >= 0);
	assert_int_equal(tcgetattr(*ret_slave, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(*ret_slave, TCSANOW, &raw), 0);
}

/* What a user's terminal (master) and a container's program (slave) have between them. */
struct terminals {
	int user, supervisor, agent, program;
};

static struct terminals open_terminals(struct world *w)
{
	struct terminals t;

	open_terminal(&t.user, &t.supervisor);
	open_terminal(&t.agent, &t.program);
	add(&w->host, 1, t.supervisor, PUMP_BOTH);
	add(&w->agent, 1, t.agent, PUMP_BOTH);
	(void)fcntl(t.user, F_SETFL, O_NONBLOCK);
	(void)fcntl(t.program, F_SETFL, O_NONBLOCK);
	return t;
}

static void a_terminal_speaks_both_ways_until_its_program_goes(void **state)
{
	struct world *w = *state;
	struct terminals t = open_terminals(w);

	assert_int_equal(write(t.user, "keys", 4), 4);
	UNTIL(read(t.program, got, sizeof(got)) == 4);
	assert_memory_equal(got, "keys", 4);
	assert_int_equal(write(t.program, "screen", 6), 6);
	UNTIL(read(t.user, got, sizeof(got)) == 6);
	assert_memory_equal(got, "screen", 6);
	assert_int_equal(write(t.program, "bye", 3), 3);
	(void)close(t.program);
	UNTIL(w->agent.done[1] == 1 && w->host.done[1] == 1);
	assert_int_equal(read(t.user, got, sizeof(got)), 3);
	assert_memory_equal(got, "bye", 3);
	assert_idle();
	(void)close(t.user);
}

static void a_user_that_goes_hangs_the_program_up(void **state)
{
	struct world *w = *state;
	struct terminals t = open_terminals(w);
	struct pollfd p = { t.program, POLLIN, 0 };

	assert_int_equal(write(t.user, "last", 4), 4);
	UNTIL(poll(&p, 1, 0) == 1);
	assert_int_equal(read(t.program, got, sizeof(got)), 4);
	(void)close(t.user);
	UNTIL(w->agent.done[1] == 1 && w->host.done[1] == 1);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_true(p.revents & POLLHUP);
	(void)close(t.program);
}

/* The program neither reads nor lives, its last words are long: they come all the same. */
static void what_a_program_said_before_it_went_is_read_though_it_left_keys_unread(void **state)
{
	struct world *w = *state;
	struct terminals t = open_terminals(w);
	size_t said = 0, keys = 0, n = 0;

	fill_sent();
	for (int quiet = 0; quiet < 50; quiet++) {
		const ssize_t r = write(t.user, sent, 4096);

		if (r > 0) {
			keys += (size_t)r;
			quiet = 0;
		}
		assert_int_equal(loop_once(w->loop, 0), 0);
	}
	assert_true(keys > 4096);
	for (ssize_t r; said < 20000 && (r = write(t.program, sent + said, 20000 - said)) > 0;)
		said += (size_t)r;
	(void)close(t.program);
	while (w->host.done[1] == 0 || n < said) {
		const ssize_t r = read(t.user, got + n, sizeof(got) - n);

		n += r > 0 ? (size_t)r : 0;
		if (n < said)
			assert_int_equal(loop_once(w->loop, 10), 0);
		else
			UNTIL(w->host.done[1] == 1);
	}
	assert_int_equal(n, said);
	assert_memory_equal(got, sent, said);
	assert_int_equal(w->agent.done[1], 1);
	(void)close(t.user);
}

/* The user stops to read for a while, then goes on: so does the program. */
static void a_terminal_that_was_full_goes_on(void **state)
{
	struct world *w = *state;
	struct terminals t = open_terminals(w);
	size_t said = 0, n = 0;

	fill_sent();
	for (int quiet = 0; quiet < 100;) {
		const ssize_t r = write(t.program, sent + said, sizeof(sent) - said);

		quiet = r > 0 ? 0 : quiet + 1;
		said += r > 0 ? (size_t)r : 0;
		assert_int_equal(loop_once(w->loop, 1), 0);
	}
	assert_in_range(said, AGENT_STREAM_CREDIT, sizeof(sent) - 1);
	for (const int64_t end = clock_ms() + 60000; n < sizeof(got) && clock_ms() < end;) {
		ssize_t r = said < sizeof(sent) ? write(t.program, sent + said, sizeof(sent) - said)
						: 0;

		said += r > 0 ? (size_t)r : 0;
		assert_int_equal(loop_once(w->loop, 1), 0);
		r = read(t.user, got + n, sizeof(got) - n);
		n += r > 0 ? (size_t)r : 0;
	}
	assert_int_equal(n, sizeof(got));
	assert_memory_equal(got, sent, sizeof(got));
	(void)close(t.program);
	(void)close(t.user);
}

static void draining_a_terminal_takes_its_last_words(void **state)
{
	struct world *w = *state;
	struct terminals t = open_terminals(w);

	settle();
	assert_int_equal(write(t.program, "bye", 3), 3);
	pump_drain(w->agent.pumps[1]);
	assert_int_equal(w->agent.done[1], 1);
	UNTIL(w->host.done[1] == 1);
	assert_int_equal(read(t.user, got, sizeof(got)), 3);
	(void)close(t.program);
	(void)close(t.user);
}

/* A fifo's description does not know RWF_NOWAIT: small writes behind events. */
static void a_pipe_that_blocks_does_not_block_us(void **state)
{
	struct world *w = *state;
	char dir[] = "/tmp/test_pump.XXXXXX", path[64];
	int from, to, in, out;
	size_t at = 0, n = 0;

	fill_sent();
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	out = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	to = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(out >= 0 && to >= 0);
	(void)unlink(path);
	(void)rmdir(dir);
	pipe_in(&from, &in, 0);
	(void)fcntl(in, F_SETFL, O_NONBLOCK);
	add(&w->agent, 1, from, PUMP_IN);
	add(&w->host, 1, to, PUMP_OUT);
	for (int quiet = 0; quiet < 100; quiet++) {
		const ssize_t r = write(in, sent + at, sizeof(sent) - at);

		if (r > 0) {
			at += (size_t)r;
			quiet = 0;
		}
		assert_int_equal(loop_once(w->loop, 0), 0);
	}
	assert_in_range(at, AGENT_STREAM_CREDIT, sizeof(sent) - 1);
	while (n < at) {
		const ssize_t r = read(out, got + n, sizeof(got) - n);

		n += r > 0 ? (size_t)r : 0;
		assert_int_equal(loop_once(w->loop, 0), 0);
	}
	assert_memory_equal(got, sent, at);
	(void)close(in);
	(void)close(out);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(regular_files_are_read_and_written),
		T(a_device_that_is_always_ready_does_not_stop_the_rest),
		T(a_disk_that_is_full_ends_the_stream_with_its_error),
		T(sockets_carry_streams),
		T(a_terminal_speaks_both_ways_until_its_program_goes),
		T(a_user_that_goes_hangs_the_program_up),
		T(what_a_program_said_before_it_went_is_read_though_it_left_keys_unread),
		T(a_terminal_that_was_full_goes_on),
		T(draining_a_terminal_takes_its_last_words),
		T(a_pipe_that_blocks_does_not_block_us),
	};

	return cmocka_run_group_tests_name("wire/pump_kinds", tests, NULL, NULL);
}
