/* SPDX-License-Identifier: Apache-2.0 */
/* Standard streams: who holds which end, and what is left when one goes. */
#include "shim/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "lib/unit.h"
#include "shim/pump.h"

#define PATIENCE_MS 30000

struct world {
	struct loop *loop;
	struct streams streams;
	char dir[32];
	char in[64], out[64], file[64], uri[80];
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	(void)strcpy(w->dir, "/tmp/streams.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(loop_new(&w->loop), 0);
	(void)snprintf(w->in, sizeof(w->in), "%s/in", w->dir);
	(void)snprintf(w->out, sizeof(w->out), "%s/out", w->dir);
	(void)snprintf(w->file, sizeof(w->file), "%s/deep", w->dir);
	(void)snprintf(w->uri, sizeof(w->uri), "file://%s/file", w->file);
	assert_int_equal(mkfifo(w->in, 0600), 0);
	assert_int_equal(mkfifo(w->out, 0600), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char path[80];

	streams_done(&w->streams);
	loop_free(w->loop);
	(void)snprintf(path, sizeof(path), "%s/file", w->file);
	(void)unlink(path);
	(void)rmdir(w->file);
	(void)unlink(w->in);
	(void)unlink(w->out);
	(void)rmdir(w->dir);
	free(w);
	return 0;
}

static void open_streams(struct world *w, const char *in, const char *out, bool terminal)
{
	const char *const paths[3] = { in, out, "" };
	struct err err = { 0 };

	assert_int_equal(streams_init(&w->streams, w->loop, paths, terminal, &err), 0);
	assert_int_equal(streams_open(&w->streams, false, &err), 0);
}

static void a_missing_fifo_is_named(void **state)
{
	struct world *w = *state;
	const char *const paths[3] = { "", "/nowhere/out", "" };
	struct err err = { 0 };

	assert_int_equal(streams_init(&w->streams, w->loop, paths, false, &err), 0);
	assert_int_equal(streams_open(&w->streams, false, &err), -ENOENT);
	assert_says(err, "/nowhere/out");
}

static void a_name_that_is_too_long_is_refused(void **state)
{
	struct world *w = *state;
	AUTO_FREE char *name = calloc(1, STREAM_PATH_MAX + 1);
	const char *const paths[3] = { "", name, "" };
	struct err err = { 0 };

	memset(name, 'n', STREAM_PATH_MAX);
	assert_int_equal(streams_init(&w->streams, w->loop, paths, false, &err), -EINVAL);
}

static void a_file_that_is_a_fifo_is_not_waited_for(void **state)
{
	struct world *w = *state;
	char uri[80];
	const char *const paths[3] = { "", uri, "" };
	struct err err = { 0 };

	(void)snprintf(uri, sizeof(uri), "file://%s", w->out);
	assert_int_equal(streams_init(&w->streams, w->loop, paths, false, &err), 0);
	(void)alarm(PATIENCE_MS / 1000);
	assert_int_equal(streams_open(&w->streams, false, &err), -ENXIO);
	(void)alarm(0);
	assert_says(err, w->out);
}

static void output_waits_for_a_reader_that_comes_later(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int reader = -EBADF;
	AUTO_CLOSE int writer = -EBADF;
	char text[16] = "";

	open_streams(w, "", w->out, false);
	writer = dup(w->streams.theirs[1]);
	streams_given(&w->streams);
	/* The process writes and ends before anybody reads. */
	assert_int_equal(write(writer, "said", 4), 4);
	(void)close(TAKE_FD(writer));
	reader = open(w->out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(read(reader, text, sizeof(text)), 4);
	assert_string_equal(text, "said");
	/* No end is kept that would hold back the end. */
	assert_int_equal(read(reader, text, sizeof(text)), 0);
}

/* Opens as containerd does, waiting for a writer; 0 if it hears `text` and then the end. */
static pid_t start_reader(const char *path, const char *text)
{
	const pid_t pid = fork();
	char seen[16] = "";
	int fd;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	(void)alarm(PATIENCE_MS / 1000);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	_exit(fd < 0 || read(fd, seen, sizeof(seen)) != (ssize_t)strlen(text) ||
	      strcmp(seen, text) != 0 || read(fd, seen, sizeof(seen)) != 0);
}

static void output_is_not_opened_before_its_reader_has_come(void **state)
{
	struct world *w = *state;
	const char *const paths[3] = { w->in, w->out, "" };
	const int64_t until = clock_ms() + PATIENCE_MS;
	struct err err = { 0 };
	pid_t reader;
	int status;
	int r;

	assert_int_equal(streams_init(&w->streams, w->loop, paths, false, &err), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(streams_open(&w->streams, true, &err), -EAGAIN);
		assert_true(w->streams.theirs[1] < 0 && w->streams.keep[1] < 0);
	}
	reader = start_reader(w->out, "said");
	do {
		r = streams_open(&w->streams, true, &err);
	} while (r == -EAGAIN && clock_ms() < until);
	assert_int_equal(r, 0);
	/* The process writes and ends before the reader has run again. */
	assert_int_equal(write(w->streams.theirs[1], "said", 4), 4);
	streams_given(&w->streams);
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_int_equal(status, 0);
}

static void a_reader_that_leaves_is_no_broken_pipe(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int reader = open(w->out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	open_streams(w, "", w->out, false);
	(void)close(TAKE_FD(reader));
	assert_int_equal(write(w->streams.theirs[1], "x", 1), 1);
}

static void input_ends_when_it_is_closed_and_its_writer_has_gone(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int writer = -EBADF;
	char text[16];
	int reader;

	open_streams(w, w->in, "", false);
	reader = w->streams.theirs[0];
	assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
	writer = open(w->in, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(write(writer, "typed", 5), 5);
	(void)close(TAKE_FD(writer));
	assert_int_equal(read(reader, text, sizeof(text)), 5);
	assert_int_equal(read(reader, text, sizeof(text)), -1);
	assert_int_equal(errno, EAGAIN);
	streams_close_stdin(&w->streams);
	assert_int_equal(read(reader, text, sizeof(text)), 0);
}

static void input_that_was_closed_before_it_was_opened_ends(void **state)
{
	struct world *w = *state;
	const char *const paths[3] = { w->in, "", "" };
	AUTO_CLOSE int writer = -EBADF;
	struct err err = { 0 };
	char text[16];

	assert_int_equal(streams_init(&w->streams, w->loop, paths, false, &err), 0);
	streams_close_stdin(&w->streams);
	assert_int_equal(streams_open(&w->streams, false, &err), 0);
	assert_int_equal(fcntl(w->streams.theirs[0], F_SETFL, O_NONBLOCK), 0);
	writer = open(w->in, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(write(writer, "typed", 5), 5);
	(void)close(TAKE_FD(writer));
	assert_int_equal(read(w->streams.theirs[0], text, sizeof(text)), 5);
	assert_int_equal(read(w->streams.theirs[0], text, sizeof(text)), 0);
}

static void a_file_gets_all_that_is_left_at_the_end(void **state)
{
	struct world *w = *state;
	char path[80], text[9000];
	AUTO_CLOSE int file = -EBADF;

	open_streams(w, "", w->uri, false);
	memset(text, 'x', sizeof(text));
	assert_int_equal(write(w->streams.theirs[1], text, sizeof(text)), sizeof(text));
	assert_int_equal(loop_once(w->loop, 0), 0);
	streams_given(&w->streams);
	streams_done(&w->streams);
	(void)snprintf(path, sizeof(path), "%s/file", w->file);
	file = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(lseek(file, 0, SEEK_END), sizeof(text));
}

static void not_over(void *arg)
{
	(void)arg;
	fail_msg("the pump has ended");
}

/* A source that somebody fills as fast as it is read. */
static void a_flush_does_not_wait_for_who_goes_on_writing(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int from = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int to = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct pump *pump = NULL;

	assert_int_equal(pump_new(w->loop, from, to, not_over, NULL, &pump), 0);
	(void)alarm(PATIENCE_MS / 1000);
	pump_flush(pump);
	(void)alarm(0);
	pump_free(pump);
}

static int open_terminal(int *ret_slave)
{
	const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	*ret_slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*ret_slave >= 0);
	return master;
}

/* What comes next is `text`; or, with NULL, the end. */
static void expect_output(struct world *w, int reader, const char *text)
{
	const int64_t end = clock_ms() + PATIENCE_MS;
	char seen[64] = "";
	ssize_t n;

	while ((n = read(reader, seen, sizeof(seen) - 1)) < 0 && clock_ms() < end)
		assert_int_equal(loop_once(w->loop, 50), 0);
	assert_int_equal(n, text ? strlen(text) : 0);
	assert_string_equal(seen, text ? text : "");
}

/* More than a pipe and a terminal hold; `reader`, if there is one, reads it slowly. */
static void write_much(struct world *w, int fd, int reader)
{
	const int64_t end = clock_ms() + PATIENCE_MS;
	static char text[300000], seen[1000];
	size_t at = 0;

	memset(text, 'x', sizeof(text));
	assert_int_equal(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	while (at < sizeof(text) && clock_ms() < end) {
		const ssize_t n = write(fd, text + at, sizeof(text) - at);

		at += n > 0 ? (size_t)n : 0;
		if (reader >= 0)
			(void)!read(reader, seen, sizeof(seen));
		assert_int_equal(loop_once(w->loop, n > 0 || reader >= 0 ? 0 : 50), 0);
	}
	assert_int_equal(at, sizeof(text));
}

static void a_file_that_takes_nothing_stops_nobody(void **state)
{
	struct world *w = *state;

	open_streams(w, "", "file:///dev/full", false);
	write_much(w, w->streams.theirs[1], -EBADF);
}

static void a_logger_that_has_gone_stops_no_terminal(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int slave = -EBADF;
	struct err err = { 0 };
	const int master = open_terminal(&slave);

	(void)signal(SIGPIPE, SIG_IGN);
	open_streams(w, "", "binary:///bin/true", true);
	assert_int_equal(streams_take_master(&w->streams, master, &err), 0);
	streams_given(&w->streams);
	write_much(w, slave, -EBADF);
}

/* The target hangs up while nothing waits for it, and is there again. */
static void a_client_that_left_and_came_back_gets_all(void **state)
{
	struct world *w = *state;
	int ends[2], pair[2];
	struct pump *pump = NULL;
	char byte;

	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	ends[0] = open(w->out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ends[1] = open(w->out, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(pump_new(w->loop, pair[0], ends[1], not_over, NULL, &pump), 0);
	(void)close(ends[0]);
	assert_int_equal(loop_once(w->loop, 0), 0);
	ends[0] = open(w->out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	write_much(w, pair[1], ends[0]);
	while (loop_once(w->loop, 0) == 0 && read(ends[0], &byte, 1) == 1)
		;
	pump_free(pump);
	for (int i = 0; i < 2; i++) {
		(void)close(ends[i]);
		(void)close(pair[i]);
	}
}

static void a_terminal_that_nobody_has_open_for_a_while_goes_on(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int reader = open(w->out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	AUTO_CLOSE int slave = -EBADF;
	struct err err = { 0 };
	const int master = open_terminal(&slave);
	char name[64];

	(void)snprintf(name, sizeof(name), "%s", ptsname(master));
	open_streams(w, "", w->out, true);
	assert_int_equal(streams_take_master(&w->streams, master, &err), 0);
	assert_int_equal(write(slave, "one", 3), 3);
	expect_output(w, reader, "one");
	(void)close(TAKE_FD(slave));
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_once(w->loop, 0), 0);
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_int_equal(write(slave, "two", 3), 3);
	expect_output(w, reader, "two");
	(void)close(TAKE_FD(slave));
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_once(w->loop, 0), 0);
	streams_ended(&w->streams);
	expect_output(w, reader, NULL);
}

static void a_terminal_that_others_have_open_ends_with_its_process(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int reader = open(w->out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	AUTO_CLOSE int slave = -EBADF;
	const int64_t end = clock_ms() + PATIENCE_MS;
	static char text[10000], seen[1000];
	size_t written = 0, got = 0;
	struct err err = { 0 };
	const int master = open_terminal(&slave);
	ssize_t n;

	open_streams(w, "", w->out, true);
	assert_int_equal(streams_take_master(&w->streams, master, &err), 0);
	assert_int_equal(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	memset(text, 'x', sizeof(text));
	while ((n = write(slave, text, sizeof(text) - written)) > 0)
		written += (size_t)n;
	assert_true(written > 4096);
	streams_ended(&w->streams);
	while ((n = read(reader, seen, sizeof(seen))) != 0 && clock_ms() < end) {
		got += n > 0 ? (size_t)n : 0;
		assert_int_equal(loop_once(w->loop, n > 0 ? 0 : 50), 0);
	}
	assert_int_equal(n, 0);
	assert_int_equal(got, written);
	assert_true(streams_carried(&w->streams));
}

static void a_terminal_is_carried_both_ways_and_its_end_is_seen(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int slave = -EBADF;
	AUTO_CLOSE int reader = open(w->out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	AUTO_CLOSE int writer = -EBADF;
	struct err err = { 0 };
	char text[64] = "";
	const int master = open_terminal(&slave);

	open_streams(w, w->in, w->out, true);
	assert_int_equal(streams_take_master(&w->streams, master, &err), 0);
	assert_int_equal(streams_resize(&w->streams, 70000, 1), -ERANGE);
	assert_int_equal(streams_resize(&w->streams, 25, 80), 0);
	writer = open(w->in, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(write(writer, "typed\n", 6), 6);
	assert_int_equal(loop_once(w->loop, 1000), 0);
	assert_int_equal(read(slave, text, sizeof(text)), 6);
	assert_int_equal(write(slave, "shown", 5), 5);
	(void)close(TAKE_FD(slave));
	streams_ended(&w->streams);
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_once(w->loop, 0), 0);
	assert_true(read(reader, text, sizeof(text)) >= 5);
	assert_non_null(strstr(text, "shown"));
	expect_output(w, reader, NULL);
}

/* As the kernel has it that is still about to move what was written. */
static void what_comes_late_at_the_end_is_carried(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int reader = open(w->out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	AUTO_CLOSE int slave = -EBADF;
	struct err err = { 0 };
	const int master = open_terminal(&slave);

	open_streams(w, "", w->out, true);
	assert_int_equal(streams_take_master(&w->streams, master, &err), 0);
	streams_ended(&w->streams);
	assert_int_equal(write(slave, "late", 4), 4);
	expect_output(w, reader, "late");
	expect_output(w, reader, NULL);
}

static void what_is_given_up_shows_its_reader_the_end(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int reader = open(w->out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct err err = { 0 };
	char text[16];

	open_streams(w, w->in, w->out, true);
	assert_int_equal(read(reader, text, sizeof(text)), -1);
	assert_int_equal(errno, EAGAIN);
	streams_abort(&w->streams);
	assert_int_equal(read(reader, text, sizeof(text)), 0);
	/* Whoever wants to try again may. */
	assert_int_equal(streams_open(&w->streams, false, &err), 0);
	assert_int_equal(read(reader, text, sizeof(text)), -1);
	assert_int_equal(errno, EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_missing_fifo_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(a_name_that_is_too_long_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(output_waits_for_a_reader_that_comes_later, setup,
						teardown),
		cmocka_unit_test_setup_teardown(output_is_not_opened_before_its_reader_has_come,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_reader_that_leaves_is_no_broken_pipe, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			input_ends_when_it_is_closed_and_its_writer_has_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_gets_all_that_is_left_at_the_end, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_comes_late_at_the_end_is_carried, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_flush_does_not_wait_for_who_goes_on_writing,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_terminal_that_others_have_open_ends_with_its_process, setup, teardown),
		cmocka_unit_test_setup_teardown(a_terminal_is_carried_both_ways_and_its_end_is_seen,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_terminal_that_nobody_has_open_for_a_while_goes_on,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_takes_nothing_stops_nobody, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_logger_that_has_gone_stops_no_terminal, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_client_that_left_and_came_back_gets_all, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_file_that_is_a_fifo_is_not_waited_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(input_that_was_closed_before_it_was_opened_ends,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_given_up_shows_its_reader_the_end, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
