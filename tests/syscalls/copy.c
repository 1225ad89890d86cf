/* SPDX-License-Identifier: Apache-2.0 */
/* copy_file_range(2) and sendfile(2). */
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "harness.h"

/* Since Linux 5.19 files of different kinds of file systems are not copied by the kernel. */
TEST(other_kind_of_file_system)
{
	int in = OK(open("/proc/self/status", O_RDONLY)),
	    out = OK(open("file", O_RDWR | O_CREAT, 0600));

	CHECK_ERRNO(copy_file_range(in, NULL, out, NULL, 10, 0), EXDEV);
}

static int with(const char *name, const char *text)
{
	write_file(name, text);
	return OK(open(name, O_RDWR));
}

static long cfr(int in, loff_t *in_off, int out, loff_t *out_off, size_t len, unsigned int flags)
{
	return syscall(SYS_copy_file_range, in, in_off, out, out_off, len, flags);
}

static void content_is(const char *name, const char *want)
{
	char buf[256];

	read_file(name, buf, sizeof(buf));
	CHECK_STR(buf, want);
}

TEST(range_by_offsets)
{
	int in = with("a", "0123456789"), out = with("b", "");
	loff_t from = 2, to = 0;

	CHECK_EQ(cfr(in, &from, out, &to, 5, 0), 5);
	CHECK_EQ(from, 7);
	CHECK_EQ(to, 5);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
	CHECK_EQ(lseek(out, 0, SEEK_CUR), 0);
	content_is("b", "23456");
}

TEST(range_by_positions)
{
	int in = with("a", "0123456789"), out = with("b", "");

	OK(lseek(in, 6, SEEK_SET));
	CHECK_EQ(cfr(in, NULL, out, NULL, 100, 0), 4);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 10);
	CHECK_EQ(lseek(out, 0, SEEK_CUR), 4);
	CHECK_EQ(cfr(in, NULL, out, NULL, 100, 0), 0);
	content_is("b", "6789");
}

TEST(range_errors)
{
	int in = with("a", "0123456789"), out = with("b", ""), fds[2], append,
	    dir = OK(open(".", O_RDONLY));
	loff_t from = 0, to = 5;

	OK(pipe(fds));
	append = OK(open("b", O_WRONLY | O_APPEND));
	CHECK_ERRNO(cfr(in, NULL, out, NULL, 1, 1), EINVAL);
	CHECK_ERRNO(cfr(99, NULL, out, NULL, 1, 0), EBADF);
	CHECK_ERRNO(cfr(in, NULL, OK(open("b", O_RDONLY)), NULL, 1, 0), EBADF);
	CHECK_ERRNO(cfr(OK(open("a", O_WRONLY)), NULL, out, NULL, 1, 0), EBADF);
	CHECK_ERRNO(cfr(in, NULL, append, NULL, 1, 0), EBADF);
	CHECK_ERRNO(cfr(fds[0], NULL, out, NULL, 1, 0), EINVAL);
	CHECK_ERRNO(cfr(dir, NULL, out, NULL, 1, 0), EISDIR);
	/* Ranges of one file must not overlap. */
	CHECK_ERRNO(cfr(in, &from, in, &to, 6, 0), EINVAL);
	CHECK_EQ(cfr(in, &from, in, &to, 5, 0), 5);
	content_is("a", "0123401234");
	CHECK_ERRNO(cfr(in, BAD_PTR, out, NULL, 1, 0), EFAULT);
}

TEST(range_grows_the_target)
{
	int in = with("a", "abc"), out = with("b", "");
	loff_t from = 0, to = 10;
	struct stat st;

	CHECK_EQ(cfr(in, &from, out, &to, 3, 0), 3);
	OK(fstat(out, &st));
	CHECK_EQ(st.st_size, 13);
}

TEST(sendfile_to_a_file)
{
	int in = with("a", "0123456789"), out = with("b", "");
	off_t at = 3;

	CHECK_EQ(sendfile(out, in, &at, 4), 4);
	CHECK_EQ(at, 7);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
	CHECK_EQ(lseek(out, 0, SEEK_CUR), 4);
	CHECK_EQ(sendfile(out, in, NULL, 100), 10);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 10);
	CHECK_EQ(sendfile(out, in, NULL, 100), 0);
	content_is("b", "34560123456789");
}

TEST(sendfile_to_pipe_and_socket)
{
	int in = with("a", "0123456789"), fds[2], sv[2];
	char buf[16];
	off_t at = 0;

	OK(pipe(fds));
	CHECK_EQ(sendfile(fds[1], in, &at, 10), 10);
	CHECK_EQ(read(fds[0], buf, 16), 10);
	CHECK(!memcmp(buf, "0123456789", 10));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	at = 5;
	CHECK_EQ(sendfile(sv[0], in, &at, 10), 5);
	CHECK_EQ(read(sv[1], buf, 16), 5);
	CHECK(!memcmp(buf, "56789", 5));
}

TEST(sendfile_errors)
{
	int in = with("a", "0123456789"), out = with("b", ""), fds[2], sv[2];
	off_t at = 0, negative = -1;

	OK(pipe(fds));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK_ERRNO(sendfile(99, in, &at, 1), EBADF);
	CHECK_ERRNO(sendfile(out, 99, &at, 1), EBADF);
	CHECK_ERRNO(sendfile(out, OK(open("a", O_WRONLY)), &at, 1), EBADF);
	CHECK_ERRNO(sendfile(OK(open("b", O_RDONLY)), in, &at, 1), EBADF);
	CHECK_ERRNO(sendfile(out, sv[0], NULL, 1), EINVAL);
	CHECK_ERRNO(sendfile(out, fds[0], &at, 1), ESPIPE);
	CHECK_ERRNO(sendfile(out, in, &negative, 1), EINVAL);
	CHECK_ERRNO(sendfile(out, in, BAD_PTR, 1), EFAULT);
	CHECK_ERRNO(sendfile(OK(open("b", O_WRONLY | O_APPEND)), in, &at, 1), EINVAL);
}

TEST(sendfile_to_a_full_pipe)
{
	int in = with("a", ""), fds[2];
	off_t at = 0;

	OK(ftruncate(in, 200000));
	OK(pipe2(fds, O_NONBLOCK));
	CHECK_EQ(sendfile(fds[1], in, &at, 200000), 65536);
	CHECK_EQ(at, 65536);
	CHECK_ERRNO(sendfile(fds[1], in, &at, 1000), EAGAIN);
	CHECK_EQ(at, 65536);
}

TEST(large_copies)
{
	enum { SIZE = 3000000 };
	static char a[SIZE], b[SIZE];
	int in = with("a", ""), out = with("b", "");
	loff_t from = 0, to = 0;

	for (int i = 0; i < SIZE; i++)
		a[i] = (char)(i * 31 + i / 1000);
	CHECK_EQ(write(in, a, SIZE), SIZE);
	while (from < SIZE)
		CHECK(OK(cfr(in, &from, out, &to, SIZE, 0)) > 0);
	CHECK_EQ(pread(out, b, SIZE, 0), SIZE);
	CHECK(!memcmp(a, b, SIZE));
}
