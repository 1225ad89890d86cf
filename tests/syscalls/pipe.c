/* SPDX-License-Identifier: Apache-2.0 */
/* pipe(2), pipe2(2), fifos: order, atomicity, end of file, EPIPE, blocking. */
#include <poll.h>

#include "harness.h"

TEST(bytes_keep_their_order)
{
	int fds[2];
	char buf[16];

	OK(pipe(fds));
	CHECK_EQ(write(fds[1], "abc", 3), 3);
	CHECK_EQ(write(fds[1], "def", 3), 3);
	CHECK_EQ(read(fds[0], buf, 2), 2);
	CHECK(!memcmp(buf, "ab", 2));
	CHECK_EQ(read(fds[0], buf, 16), 4);
	CHECK(!memcmp(buf, "cdef", 4));
}

TEST(wrong_ends)
{
	int fds[2];
	char c = 'c';

	OK(pipe(fds));
	CHECK_ERRNO(read(fds[1], &c, 1), EBADF);
	CHECK_ERRNO(write(fds[0], &c, 1), EBADF);
	CHECK_EQ(fcntl(fds[0], F_GETFL), O_RDONLY);
	CHECK_EQ(fcntl(fds[1], F_GETFL), O_WRONLY);
}

TEST(end_of_file)
{
	int fds[2];
	char c;

	OK(pipe(fds));
	CHECK_EQ(write(fds[1], "x", 1), 1);
	OK(close(fds[1]));
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(read(fds[0], &c, 1), 0);
	CHECK_EQ(read(fds[0], &c, 1), 0);
}

TEST(broken_pipe)
{
	int fds[2];
	pid_t pid;

	OK(pipe(fds));
	OK(close(fds[0]));
	CHILD (pid) {
		write(fds[1], "x", 1);
		_exit(5);
	}
	wait_signal(pid, SIGPIPE);
	on_signal(SIGPIPE, count_signal, 0);
	CHECK_ERRNO(write(fds[1], "x", 1), EPIPE);
	CHECK_EQ(signals_seen, 1);
	on_signal(SIGPIPE, SIG_IGN, 0);
	CHECK_ERRNO(write(fds[1], "x", 1), EPIPE);
	CHECK_EQ(write(fds[1], "", 0), 0);
}

TEST(flags_of_pipe2)
{
	int fds[2];
	char c;

	OK(pipe2(fds, O_CLOEXEC | O_NONBLOCK));
	CHECK_EQ(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(fds[1], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(fds[0], F_GETFL), O_RDONLY | O_NONBLOCK);
	CHECK_ERRNO(read(fds[0], &c, 1), EAGAIN);
	CHECK_ERRNO(pipe2(fds, O_APPEND), EINVAL);
	CHECK_ERRNO(syscall(SYS_pipe, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_pipe2, KERNEL_PTR, 0), EFAULT);
}

TEST(capacity_and_eagain)
{
	int fds[2];
	static char buf[65536 + 1];
	long total = 0;
	ssize_t n;

	OK(pipe2(fds, O_NONBLOCK));
	CHECK_EQ(write(fds[1], buf, sizeof(buf)), 65536);
	CHECK_ERRNO(write(fds[1], buf, 1), EAGAIN);
	CHECK_EQ(read(fds[0], buf, 4096), 4096);
	/* An atomic write fits into the page that is free now. */
	CHECK_EQ(write(fds[1], buf, 4096), 4096);
	CHECK_ERRNO(write(fds[1], buf, 4096), EAGAIN);
	while ((n = read(fds[0], buf, sizeof(buf))) > 0)
		total += n;
	CHECK_EQ(total, 65536);
}

TEST(small_writes_are_atomic)
{
	enum { WRITERS = 3, RECORDS = 400, SIZE = 512 };
	static char buf[SIZE];
	int fds[2], counts[WRITERS] = { 0 };
	pid_t pids[WRITERS];

	OK(pipe(fds));
	for (int i = 0; i < WRITERS; i++) {
		CHILD (pids[i]) {
			memset(buf, 'a' + i, SIZE);
			for (int n = 0; n < RECORDS; n++)
				CHECK_EQ(write(fds[1], buf, SIZE), SIZE);
		}
	}
	OK(close(fds[1]));
	for (;;) {
		size_t have = 0;
		ssize_t n = 0;

		while (have < SIZE && (n = read(fds[0], buf + have, SIZE - have)) > 0)
			have += (size_t)n;
		if (!have)
			break;
		CHECK_EQ(have, SIZE);
		for (int i = 1; i < SIZE; i++)
			CHECK_EQ(buf[i], buf[0]);
		counts[buf[0] - 'a']++;
	}
	for (int i = 0; i < WRITERS; i++) {
		wait_ok(pids[i]);
		CHECK_EQ(counts[i], RECORDS);
	}
}

TEST(blocked_reader_is_woken)
{
	int fds[2];
	char c;
	pid_t pid;

	OK(pipe(fds));
	CHILD (pid) {
		CHECK_EQ(read(fds[0], &c, 1), 1);
		CHECK_EQ(c, 'w');
	}
	settle(pid);
	CHECK_EQ(write(fds[1], "w", 1), 1);
	wait_ok(pid);
}

TEST(blocked_writer_is_woken)
{
	static char buf[200000];
	int fds[2];
	long total = 0;
	pid_t pid;
	ssize_t n;

	OK(pipe(fds));
	CHILD (pid) {
		OK(close(fds[0]));
		CHECK_EQ(write(fds[1], buf, sizeof(buf)), sizeof(buf));
	}
	OK(close(fds[1]));
	settle(pid);
	while ((n = read(fds[0], buf, 3000)) > 0)
		total += n;
	CHECK_EQ(total, 200000);
	wait_ok(pid);
}

TEST(blocked_writer_gets_epipe)
{
	static char buf[200000];
	int fds[2];
	pid_t pid;

	OK(pipe(fds));
	CHILD (pid) {
		OK(close(fds[0]));
		on_signal(SIGPIPE, SIG_IGN, 0);
		/* What fitted is counted, the next write fails. */
		CHECK_EQ(write(fds[1], buf, sizeof(buf)), 65536);
		CHECK_ERRNO(write(fds[1], buf, 1), EPIPE);
	}
	settle(pid);
	OK(close(fds[0]));
	wait_ok(pid);
}

TEST(interrupted_read)
{
	int fds[2];
	char c;
	pid_t pid;

	OK(pipe(fds));
	CHILD (pid) {
		on_signal(SIGUSR1, count_signal, 0);
		CHECK_ERRNO(read(fds[0], &c, 1), EINTR);
		CHECK_EQ(signals_seen, 1);
	}
	settle(pid);
	OK(kill(pid, SIGUSR1));
	wait_ok(pid);
}

TEST(interrupted_write_counts)
{
	static char buf[200000];
	int fds[2];
	pid_t pid;

	OK(pipe(fds));
	CHILD (pid) {
		on_signal(SIGUSR1, count_signal, 0);
		CHECK_EQ(write(fds[1], buf, sizeof(buf)), 65536);
		CHECK_ERRNO(write(fds[1], buf, 1), EINTR);
	}
	settle(pid);
	OK(kill(pid, SIGUSR1));
	settle(pid);
	OK(kill(pid, SIGUSR1));
	wait_ok(pid);
}

TEST(fifo_opening_waits_for_the_other_end)
{
	pid_t pid;
	int fd;
	char c;

	OK(mkfifo("p", 0600));
	CHILD (pid) {
		fd = OK(open("p", O_WRONLY));
		CHECK_EQ(write(fd, "f", 1), 1);
	}
	settle(pid);
	fd = OK(open("p", O_RDONLY));
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(c, 'f');
	CHECK_EQ(read(fd, &c, 1), 0);
	wait_ok(pid);
}

TEST(fifo_without_blocking)
{
	int r, w;
	char c;

	OK(mkfifo("p", 0600));
	CHECK_ERRNO(open("p", O_WRONLY | O_NONBLOCK), ENXIO);
	r = OK(open("p", O_RDONLY | O_NONBLOCK));
	CHECK_EQ(read(r, &c, 1), 0);
	w = OK(open("p", O_WRONLY | O_NONBLOCK));
	CHECK_ERRNO(read(r, &c, 1), EAGAIN);
	CHECK_EQ(write(w, "1", 1), 1);
	CHECK_EQ(read(r, &c, 1), 1);
	OK(close(w));
	CHECK_EQ(read(r, &c, 1), 0);
	OK(open("p", O_RDWR));
}

TEST(fifo_open_is_interrupted)
{
	pid_t pid;

	OK(mkfifo("p", 0600));
	CHILD (pid) {
		on_signal(SIGUSR1, count_signal, 0);
		CHECK_ERRNO(open("p", O_RDONLY), EINTR);
	}
	settle(pid);
	OK(kill(pid, SIGUSR1));
	wait_ok(pid);
}

TEST(poll_states)
{
	int fds[2];
	struct pollfd p[2];

	OK(pipe(fds));
	p[0] = (struct pollfd){ fds[0], POLLIN, 0 };
	p[1] = (struct pollfd){ fds[1], POLLOUT, 0 };
	CHECK_EQ(poll(p, 2, 0), 1);
	CHECK_EQ(p[0].revents, 0);
	CHECK_EQ(p[1].revents, POLLOUT);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(poll(p, 1, 0), 1);
	CHECK_EQ(p[0].revents, POLLIN);
	OK(close(fds[1]));
	CHECK_EQ(poll(p, 1, 0), 1);
	CHECK_EQ(p[0].revents, POLLIN | POLLHUP);
	OK(pipe(fds));
	OK(close(fds[0]));
	p[1].fd = fds[1];
	CHECK_EQ(poll(p + 1, 1, 0), 1);
	CHECK_EQ(p[1].revents, POLLOUT | POLLERR);
}

TEST(packet_mode)
{
	int fds[2];
	char buf[16];

	if (pipe2(fds, O_DIRECT))
		SKIP("no packet mode: %s", test_errno_name(errno));
	CHECK_EQ(write(fds[1], "abc", 3), 3);
	CHECK_EQ(write(fds[1], "de", 2), 2);
	CHECK_EQ(read(fds[0], buf, 16), 3);
	CHECK_EQ(read(fds[0], buf, 1), 1);
	CHECK_EQ(buf[0], 'd');
	OK(fcntl(fds[0], F_SETFL, O_NONBLOCK));
	CHECK_ERRNO(read(fds[0], buf, 1), EAGAIN);
}

TEST(reopened_through_proc)
{
	int fds[2], again;
	char path[64], c;

	OK(pipe(fds));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	again = OK(open(path, O_WRONLY));
	CHECK_EQ(write(again, "r", 1), 1);
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(c, 'r');
}
