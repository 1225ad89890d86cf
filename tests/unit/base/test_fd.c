/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"

static int temp_dir(char path[static 32])
{
	(void)snprintf(path, 32, "/tmp/test_fd.XXXXXX");
	assert_non_null(mkdtemp(path));
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int file_of(size_t size)
{
	const int fd = memfd_create("file", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void a_file_past_the_limit_is_refused_and_one_at_it_is_read(void **state)
{
	static const size_t limits[] = { 1, 4095, 4096, 4097, 10000 };

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct buf fits = { .max = limits[i] }, tight = { .max = limits[i] };
		const int at = file_of(limits[i]), past = file_of(limits[i] + 1);

		assert_int_equal(fd_read_all(at, &fits), 0);
		assert_int_equal(fits.len, limits[i]);
		assert_int_equal(fd_read_all(past, &tight), -E2BIG);
		buf_done(&fits);
		buf_done(&tight);
		(void)close(at);
		(void)close(past);
	}
}

static void resolution_stays_below_the_root(void **state)
{
	char path[32];
	const int dir = temp_dir(path);
	int fd;

	(void)state;
	assert_int_equal(symlinkat("/etc", dir, "link"), 0);
	assert_int_equal(fd_open_resolve(dir, "link/passwd", O_PATH, 0, RESOLVE_IN_ROOT), -ENOENT);
	assert_int_equal(fd_open_resolve(dir, "../etc", O_PATH, 0, RESOLVE_BENEATH), -EXDEV);
	fd = fd_open_resolve(dir, "../../..", O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	(void)close(fd);
	assert_int_equal(unlinkat(dir, "link", 0), 0);
	(void)close(dir);
	assert_int_equal(rmdir(path), 0);
}

static void write_file_neither_creates_nor_follows(void **state)
{
	char path[32];
	const int dir = temp_dir(path);

	(void)state;
	assert_int_equal(fd_write_file(dir, "none", "x"), -ENOENT);
	assert_int_equal(symlinkat("/dev/null", dir, "link"), 0);
	assert_int_equal(fd_write_file(dir, "link", "x"), -ELOOP);
	assert_int_equal(unlinkat(dir, "link", 0), 0);
	(void)close(dir);
	assert_int_equal(rmdir(path), 0);
}

static void replace_file_is_whole_or_nothing(void **state)
{
	char path[32], long_name[300];
	const int dir = temp_dir(path);
	struct buf text = { 0 };

	(void)state;
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(fd_replace_file(dir, long_name, "x", 1, 0600), -ENAMETOOLONG);
	assert_int_equal(fd_replace_file(dir, "f", "old", 3, 0600), 0);
	assert_int_equal(fd_replace_file(dir, "f", "newer", 5, 0600), 0);
	assert_int_equal(fd_read_file(dir, "f", &text), 0);
	assert_string_equal(text.data, "newer");
	/* A directory in its place: the temporary file does not stay. */
	assert_int_equal(mkdirat(dir, "d", 0700), 0);
	assert_int_equal(fd_replace_file(dir, "d", "x", 1, 0600), -EISDIR);
	assert_int_equal(unlinkat(dir, "d", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(dir, "f", 0), 0);
	buf_done(&text);
	(void)close(dir);
	assert_int_equal(rmdir(path), 0);
}

static void descriptors_travel_and_too_many_are_closed(void **state)
{
	int pair[2], fds[3], got[3];
	size_t nfds = 1;
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (int i = 0; i < 3; i++)
		fds[i] = file_of(1);
	assert_int_equal(fd_send(pair[0], "x", 1, fds, 1), 0);
	assert_int_equal(fd_recv(pair[1], &byte, 1, got, &nfds), 1);
	assert_int_equal(nfds, 1);
	assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
	(void)close(got[0]);
	/* Three where one was expected: none stays open. */
	const int next = dup(0);

	(void)close(next);
	assert_int_equal(fd_send(pair[0], "x", 1, fds, 3), 0);
	nfds = 1;
	assert_int_equal(fd_recv(pair[1], &byte, 1, got, &nfds), -EPROTO);
	const int same = dup(0);

	assert_int_equal(same, next);
	(void)close(same);
	assert_int_equal(fd_send(pair[0], "x", 1, fds, FD_PASS_MAX + 1), -EINVAL);
	(void)close(pair[0]);
	nfds = 1;
	assert_int_equal(fd_recv(pair[1], &byte, 1, got, &nfds), 0);
	assert_int_equal(nfds, 0);
	(void)close(pair[1]);
	for (int i = 0; i < 3; i++)
		(void)close(fds[i]);
}

/* Told from a peer that sends too many. */
static void a_table_that_is_full_takes_none(void **state)
{
	struct rlimit before, few;
	int pair[2], got[2];
	size_t nfds = 2;
	const int one = file_of(1);
	char byte = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fd_send(pair[0], "x", 1, (const int[]){ one, one }, 2), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	got[0] = dup(0);
	(void)close(got[0]);
	few = (struct rlimit){ (rlim_t)got[0] + 1, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(fd_recv(pair[1], &byte, 1, got, &nfds), -EMFILE);
	assert_int_equal(nfds, 0);
	assert_int_equal(byte, 'x');
	got[1] = dup(0);
	assert_true(got[1] >= 0);
	(void)close(got[1]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(one);
}

static void a_standard_descriptor_is_lifted_and_its_number_free(void **state)
{
	const int kept = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
	int low = STDIN_FILENO, none = -EBADF, high;

	(void)state;
	assert_int_equal(fd_lift(&low), 0);
	assert_true(low > STDERR_FILENO);
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), -1);
	assert_int_equal(fcntl(low, F_GETFD), FD_CLOEXEC);
	high = low;
	assert_int_equal(fd_lift(&high), 0);
	assert_int_equal(high, low);
	assert_int_equal(fd_lift(&none), -EBADF);
	assert_int_equal(dup2(kept, STDIN_FILENO), STDIN_FILENO);
	(void)close(kept);
	(void)close(low);
}

static void all_but_a_few_are_closed(void **state)
{
	pid_t pid = fork();
	int status = 0;

	(void)state;
	if (pid == 0) {
		int keep[] = { 40, -EBADF, 1, 20, 40 };
		bool right = true;

		for (int fd = 20; fd <= 60; fd += 20)
			right = right && dup2(STDOUT_FILENO, fd) == fd;
		right = right && fd_keep_only(3, keep, sizeof(keep) / sizeof(keep[0])) == 0;
		for (int fd = 0; fd < 100; fd++)
			right = right &&
				(fcntl(fd, F_GETFD) >= 0) == (fd < 3 || fd == 20 || fd == 40);
		_exit(right ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A pipe that has been written to: `end` as well, or somebody may write on. */
static int read_pipe(bool end, size_t max, struct buf *b)
{
	int pair[2], r;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(write(pair[1], "eight by", 8), 8);
	if (end)
		close(pair[1]);
	b->max = max;
	r = fd_read_within(pair[0], end ? 60000 : 20, b);
	if (!end)
		close(pair[1]);
	close(pair[0]);
	return r;
}

static void who_does_not_end_is_not_waited_for_longer_than_said(void **state)
{
	AUTO_BUF struct buf whole = { 0 };
	AUTO_BUF struct buf open = { 0 };
	AUTO_BUF struct buf small = { 0 };

	(void)state;
	assert_int_equal(read_pipe(true, 8, &whole), 0);
	assert_string_equal(whole.data, "eight by");
	assert_int_equal(read_pipe(false, 8, &open), -ETIMEDOUT);
	assert_int_equal(read_pipe(true, 7, &small), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_past_the_limit_is_refused_and_one_at_it_is_read),
		cmocka_unit_test(resolution_stays_below_the_root),
		cmocka_unit_test(write_file_neither_creates_nor_follows),
		cmocka_unit_test(replace_file_is_whole_or_nothing),
		cmocka_unit_test(descriptors_travel_and_too_many_are_closed),
		cmocka_unit_test(all_but_a_few_are_closed),
		cmocka_unit_test(who_does_not_end_is_not_waited_for_longer_than_said),
		cmocka_unit_test(a_table_that_is_full_takes_none),
		cmocka_unit_test(a_standard_descriptor_is_lifted_and_its_number_free),
	};

	return cmocka_run_group_tests_name("base/fd", tests, NULL, NULL);
}
