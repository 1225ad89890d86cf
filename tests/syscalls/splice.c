/* SPDX-License-Identifier: Apache-2.0 */
/* splice(2), tee(2), vmsplice(2). */
#include <sys/socket.h>
#include <sys/uio.h>

#include "harness.h"

static int with(const char *name, const char *text)
{
	write_file(name, text);
	return OK(open(name, O_RDWR));
}

TEST(file_to_pipe_to_file)
{
	int in = with("a", "0123456789"), out = with("b", ""), fds[2];
	loff_t from = 2;
	char buf[16] = "";

	OK(pipe(fds));
	CHECK_EQ(splice(in, &from, fds[1], NULL, 5, 0), 5);
	CHECK_EQ(from, 7);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
	CHECK_EQ(splice(fds[0], NULL, out, NULL, 100, 0), 5);
	CHECK_EQ(lseek(out, 0, SEEK_CUR), 5);
	read_file("b", buf, sizeof(buf));
	CHECK_STR(buf, "23456");
	OK(lseek(in, 0, SEEK_END));
	CHECK_EQ(splice(in, NULL, fds[1], NULL, 5, 0), 0);
}

TEST(pipe_to_pipe)
{
	int a[2], b[2];
	char buf[16];

	OK(pipe(a));
	OK(pipe(b));
	CHECK_EQ(write(a[1], "hello world", 11), 11);
	CHECK_EQ(splice(a[0], NULL, b[1], NULL, 5, 0), 5);
	CHECK_EQ(read(b[0], buf, 16), 5);
	CHECK(!memcmp(buf, "hello", 5));
	CHECK_EQ(read(a[0], buf, 16), 6);
}

TEST(socket_ends)
{
	int fds[2], sv[2];
	char buf[16];

	OK(pipe(fds));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK_EQ(write(sv[0], "abc", 3), 3);
	CHECK_EQ(splice(sv[1], NULL, fds[1], NULL, 100, 0), 3);
	CHECK_EQ(splice(fds[0], NULL, sv[1], NULL, 100, 0), 3);
	CHECK_EQ(read(sv[0], buf, 16), 3);
	CHECK(!memcmp(buf, "abc", 3));
}

TEST(errors)
{
	int in = with("a", "0123456789"), out = with("b", ""), fds[2], other[2];
	loff_t at = 0, negative = -1;

	OK(pipe(fds));
	OK(pipe(other));
	CHECK_ERRNO(splice(in, NULL, out, NULL, 1, 0), EINVAL);
	CHECK_ERRNO(splice(99, NULL, fds[1], NULL, 1, 0), EBADF);
	CHECK_ERRNO(splice(in, NULL, 99, NULL, 1, 0), EBADF);
	CHECK_ERRNO(splice(fds[0], &at, out, NULL, 1, 0), ESPIPE);
	CHECK_ERRNO(splice(in, NULL, fds[1], &at, 1, 0), ESPIPE);
	CHECK_ERRNO(splice(fds[0], NULL, fds[1], NULL, 1, 0), EINVAL);
	CHECK_ERRNO(splice(in, NULL, fds[1], NULL, 1, 0x1000), EINVAL);
	CHECK_ERRNO(splice(in, NULL, fds[0], NULL, 1, 0), EBADF);
	CHECK_ERRNO(splice(in, &negative, fds[1], NULL, 1, 0), EINVAL);
	CHECK_ERRNO(splice(in, BAD_PTR, fds[1], NULL, 1, 0), EFAULT);
	CHECK_EQ(splice(in, NULL, fds[1], NULL, 0, 0), 0);
	CHECK_ERRNO(splice(fds[0], NULL, other[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_ERRNO(splice(fds[0], NULL, OK(open("b", O_WRONLY | O_APPEND)), NULL, 1, 0), EINVAL);
}

TEST(end_of_pipe)
{
	int a[2], b[2];

	OK(pipe(a));
	OK(pipe(b));
	OK(close(a[1]));
	CHECK_EQ(splice(a[0], NULL, b[1], NULL, 10, 0), 0);
	OK(close(b[0]));
	OK(pipe(a));
	CHECK_EQ(write(a[1], "x", 1), 1);
	on_signal(SIGPIPE, count_signal, 0);
	CHECK_ERRNO(splice(a[0], NULL, b[1], NULL, 10, 0), EPIPE);
	CHECK_EQ(signals_seen, 1);
}

TEST(blocked_until_there_is_something)
{
	int a[2], b[2];
	pid_t pid;

	OK(pipe(a));
	OK(pipe(b));
	CHILD (pid)
		CHECK_EQ(splice(a[0], NULL, b[1], NULL, 10, 0), 3);
	settle(pid);
	CHECK_EQ(write(a[1], "abc", 3), 3);
	wait_ok(pid);
}

TEST(tee_duplicates)
{
	int a[2], b[2];
	char buf[16];

	OK(pipe(a));
	OK(pipe(b));
	CHECK_EQ(write(a[1], "same", 4), 4);
	CHECK_EQ(tee(a[0], b[1], 100, 0), 4);
	CHECK_EQ(read(a[0], buf, 16), 4);
	CHECK(!memcmp(buf, "same", 4));
	CHECK_EQ(read(b[0], buf, 16), 4);
	CHECK(!memcmp(buf, "same", 4));
	CHECK_ERRNO(tee(a[0], b[1], 10, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_ERRNO(tee(a[0], a[1], 10, 0), EINVAL);
	CHECK_ERRNO(tee(with("f", "x"), b[1], 10, 0), EINVAL);
	CHECK_ERRNO(tee(99, b[1], 10, 0), EBADF);
	CHECK_ERRNO(tee(a[0], b[1], 10, 0x800), EINVAL);
	CHECK_EQ(write(a[1], "xyz", 3), 3);
	CHECK_EQ(tee(a[0], b[1], 2, 0), 2);
	CHECK_EQ(read(b[0], buf, 16), 2);
}

TEST(vmsplice_both_ways)
{
	int fds[2];
	char buf[16] = "";
	struct iovec out[2] = { { "abc", 3 }, { "defg", 4 } }, in = { buf, 16 };

	OK(pipe(fds));
	CHECK_EQ(vmsplice(fds[1], out, 2, SPLICE_F_GIFT | SPLICE_F_NONBLOCK), 7);
	CHECK_EQ(vmsplice(fds[0], &in, 1, 0), 7);
	CHECK(!memcmp(buf, "abcdefg", 7));
	CHECK_ERRNO(vmsplice(99, out, 1, 0), EBADF);
	CHECK_ERRNO(vmsplice(with("f", ""), out, 1, 0), EBADF);
	CHECK_ERRNO(vmsplice(fds[1], BAD_PTR, 1, 0), EFAULT);
	CHECK_ERRNO(vmsplice(fds[1], out, 1025, 0), EINVAL);
	CHECK_ERRNO(vmsplice(fds[1], out, 1, 0x800), EINVAL);
	CHECK_EQ(vmsplice(fds[1], out, 0, 0), 0);
}

TEST(large_through_a_small_pipe)
{
	enum { SIZE = 300000 };
	static char a[SIZE], b[SIZE];
	int in = with("a", ""), out = with("b", ""), fds[2];
	pid_t pid;
	ssize_t n;

	for (int i = 0; i < SIZE; i++)
		a[i] = (char)(i * 13 + i / 777);
	CHECK_EQ(write(in, a, SIZE), SIZE);
	OK(lseek(in, 0, SEEK_SET));
	OK(pipe(fds));
	CHILD (pid) {
		OK(close(fds[0]));
		for (size_t left = SIZE; left; left -= (size_t)n)
			n = OK(splice(in, NULL, fds[1], NULL, left, SPLICE_F_MORE));
	}
	OK(close(fds[1]));
	while ((n = OK(splice(fds[0], NULL, out, NULL, SIZE, SPLICE_F_MOVE))) > 0)
		;
	wait_ok(pid);
	CHECK_EQ(pread(out, b, SIZE, 0), SIZE);
	CHECK(!memcmp(a, b, SIZE));
}

static pid_t splicer(int from, int to)
{
	pid_t pid;

	CHILD (pid)
		CHECK_EQ(splice(from, NULL, to, NULL, 100, 0), 1);
	settle(pid);
	return pid;
}

static void one_ends(void)
{
	int status;

	OK(wait(&status));
	CHECK_EQ(status, 0);
}

static void fill_up(int fd)
{
	static char page[4096];

	OK(fcntl(fd, F_SETFL, O_NONBLOCK));
	while (write(fd, page, sizeof(page)) > 0)
		;
	OK(fcntl(fd, F_SETFL, 0));
}

static void drain(int fd)
{
	static char page[65536];

	OK(fcntl(fd, F_SETFL, O_NONBLOCK));
	while (read(fd, page, sizeof(page)) > 0)
		;
	OK(fcntl(fd, F_SETFL, 0));
}

/*
 * Two have seen the one byte and wait for something else: who comes too late goes on waiting, and
 * is not told that this is the end.
 */
TEST(who_comes_too_late_waits_on)
{
	int a[2], b[2], file = with("f", ""), sv[2];

	OK(pipe(a));
	OK(pipe(b));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	for (int i = 0; i < 2; i++) {
		const int busy = i ? sv[0] : b[1];

		fill_up(busy);
		CHECK_EQ(write(a[1], "1", 1), 1);
		splicer(a[0], busy);
		splicer(a[0], i ? file : busy);
		drain(i ? sv[1] : b[0]);
		one_ends();
		CHECK_EQ(write(a[1], "2", 1), 1);
		one_ends();
	}
}
