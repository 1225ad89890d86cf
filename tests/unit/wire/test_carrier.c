/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carriers by themselves: what they carry, when they end. That a pipe which somebody has locked
 * keeps only its carrier waiting, real pipes and machines show
 * (tests/integration/test_vm_pipes.py).
 */
#include "lib/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "wire/carrier.h"

#define PATIENCE_MS 60000
#define BIG	    (1u << 20)

static struct carry_task task;
static char bytes[BIG], got[BIG];

/* A carrier of `fd` (taken over); ours is the test's end of the socket. */
static pid_t make_task(int fd, bool to_sock, bool waits, int *ret_ours)
{
	int theirs;
	pid_t pid;

	assert_int_equal(carrier_pair(ret_ours, &theirs, NULL), 0);
	memset(&task, 0, sizeof(task));
	task.fd = fd;
	task.sock = theirs;
	task.to_sock = to_sock;
	task.waits = waits;
	pid = carrier_make(&task, NULL);
	assert_true(pid > 0);
	(void)close(theirs);
	(void)close(fd);
	return pid;
}

static pid_t make(int fd, bool to_sock, int *ret_ours)
{
	return make_task(fd, to_sock, false, ret_ours);
}

static void assert_ends(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
}

static void assert_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

static void a_reader_that_is_gone_ends_it(void **state)
{
	int pair[2], ours;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = make(pair[1], false, &ours);
	(void)close(pair[0]);
	assert_readable(ours);
	assert_int_equal(read(ours, got, 1), 0);
	assert_ends(pid);
	(void)close(ours);
}

static void a_disk_that_is_full_ends_it(void **state)
{
	int ours;
	const pid_t pid = make(open("/dev/full", O_WRONLY | O_CLOEXEC), false, &ours);

	(void)state;
	assert_int_equal(send(ours, "x", 1, MSG_NOSIGNAL), 1);
	assert_readable(ours);
	assert_int_equal(read(ours, got, 1), 0);
	assert_ends(pid);
	(void)close(ours);
}

static void who_wants_no_more_ends_it_though_nothing_comes(void **state)
{
	int pair[2], ours;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = make(pair[0], true, &ours);
	(void)close(ours);
	assert_ends(pid);
	(void)close(pair[1]);
}

/* Half of it lies in socket and pipe, nobody reads: it is all there when the carrier has ended. */
static void all_is_written_before_it_ends(void **state)
{
	const int file = memfd_create("out", MFD_CLOEXEC);
	const int copy = fcntl(file, F_DUPFD_CLOEXEC, 0);
	int ours;
	const pid_t pid = make(file, false, &ours);

	(void)state;
	for (size_t i = 0; i < BIG; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	assert_int_equal(fd_write_all(ours, bytes, BIG), 0);
	assert_int_equal(shutdown(ours, SHUT_WR), 0);
	assert_readable(ours);
	assert_int_equal(read(ours, got, 1), 0);
	assert_int_equal(pread(copy, got, BIG, 0), BIG);
	assert_memory_equal(got, bytes, BIG);
	assert_ends(pid);
	(void)close(ours);
	(void)close(copy);
}

static void a_file_is_read_to_its_end(void **state)
{
	const int file = memfd_create("in", MFD_CLOEXEC);
	size_t len = 0;
	ssize_t n;
	int ours;
	pid_t pid;

	(void)state;
	memset(bytes, 'x', BIG);
	assert_int_equal(fd_write_all(file, bytes, BIG), 0);
	assert_int_equal(lseek(file, 0, SEEK_SET), 0);
	pid = make(file, true, &ours);
	while ((n = read(ours, got + len, BIG - len)) > 0)
		len += (size_t)n;
	assert_int_equal(len, BIG);
	assert_memory_equal(got, bytes, BIG);
	assert_ends(pid);
	(void)close(ours);
}

/* As of a process that has nothing to do. */
static void await_sleep(pid_t pid)
{
	char path[64], text[512];

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	for (const char *state = NULL; !state || state[2] != 'S';) {
		const int fd = open(path, O_RDONLY | O_CLOEXEC);
		const ssize_t n = read(fd, text, sizeof(text) - 1);

		assert_true(n > 0);
		text[n] = '\0';
		(void)close(fd);
		state = strrchr(text, ')');
		assert_true(state && state[2] != 'Z');
	}
}

static void nothing_is_read_before_it_is_wanted(void **state)
{
	const int file = memfd_create("in", MFD_CLOEXEC);
	const int copy = fcntl(file, F_DUPFD_CLOEXEC, 0);
	int ours;
	pid_t pid;

	(void)state;
	assert_int_equal(fd_write_all(file, bytes, BIG), 0);
	assert_int_equal(lseek(file, 0, SEEK_SET), 0);
	for (int wanted = 0; wanted < 2; wanted++) {
		pid = make_task(fcntl(file, F_DUPFD_CLOEXEC, 0), true, true, &ours);
		await_sleep(pid);
		assert_int_equal(lseek(copy, 0, SEEK_CUR), 0);
		if (wanted)
			assert_int_equal(send(ours, "", 1, MSG_NOSIGNAL), 1);
		for (size_t len = 0; wanted && len < BIG;) {
			const ssize_t n = read(ours, got + len, BIG - len);

			assert_true(n > 0);
			len += (size_t)n;
		}
		(void)close(ours);
		assert_ends(pid);
	}
	assert_memory_equal(got, bytes, BIG);
	(void)close(copy);
	(void)close(file);
}

/* Keys of a terminal reach the whole foreground group. */
static void signals_are_for_who_has_made_it(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1 };
	int pair[2], ours;
	pid_t pid;
	char byte;

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = make(pair[0], true, &ours);
	/* It has begun. */
	assert_int_equal(write(pair[1], "a", 1), 1);
	assert_int_equal(read(ours, &byte, 1), 1);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		assert_int_equal(kill(pid, signals[i]), 0);
	assert_int_equal(write(pair[1], "b", 1), 1);
	assert_int_equal(read(ours, &byte, 1), 1);
	assert_int_equal(byte, 'b');
	(void)close(pair[1]);
	assert_ends(pid);
	(void)close(ours);
}

/* The maker, in a process of its own, says `pid` and waits to be killed. */
static void maker(int fd, int sock, int says)
{
	pid_t pid;

	task.fd = fd;
	task.sock = sock;
	task.to_sock = true;
	task.parent = getpid();
	pid = carrier_make(&task, NULL);
	(void)!write(says, &pid, sizeof(pid));
	for (;;)
		(void)pause();
}

static void it_ends_with_the_parent_that_it_was_told(void **state)
{
	int pipe_fds[2], says[2], ours, theirs;
	pid_t parent, pid;
	char byte;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L), 0);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(pipe2(says, O_CLOEXEC), 0);
	assert_int_equal(carrier_pair(&ours, &theirs, NULL), 0);
	parent = fork();
	if (parent == 0)
		maker(pipe_fds[0], theirs, says[1]);
	(void)close(theirs);
	assert_int_equal(read(says[0], &pid, sizeof(pid)), sizeof(pid));
	assert_int_equal(write(pipe_fds[1], "a", 1), 1);
	assert_int_equal(read(ours, &byte, 1), 1);
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	assert_readable(ours);
	assert_int_equal(read(ours, &byte, 1), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(ours);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_that_is_gone_ends_it),
		cmocka_unit_test(a_disk_that_is_full_ends_it),
		cmocka_unit_test(who_wants_no_more_ends_it_though_nothing_comes),
		cmocka_unit_test(all_is_written_before_it_ends),
		cmocka_unit_test(a_file_is_read_to_its_end),
		cmocka_unit_test(nothing_is_read_before_it_is_wanted),
		cmocka_unit_test(signals_are_for_who_has_made_it),
		cmocka_unit_test(it_ends_with_the_parent_that_it_was_told),
	};

	return cmocka_run_group_tests_name("wire/carrier", tests, NULL, NULL);
}
