/* SPDX-License-Identifier: Apache-2.0 */
/* read(2), write(2), pread(2), pwrite(2), readv(2), writev(2), preadv2(2), pwritev2(2), O_APPEND.
 */
#include <sys/resource.h>
#include <sys/uio.h>

#include "harness.h"

static int fresh(void)
{
	return OK(open("f", O_CREAT | O_RDWR | O_TRUNC, 0600));
}

TEST(offset_moves)
{
	int fd = fresh();
	char buf[16];

	CHECK_EQ(write(fd, "hello", 5), 5);
	CHECK_EQ(write(fd, " world", 6), 6);
	CHECK_EQ(read(fd, buf, 16), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(read(fd, buf, 5), 5);
	CHECK(!memcmp(buf, "hello", 5));
	CHECK_EQ(read(fd, buf, 16), 6);
	CHECK(!memcmp(buf, " world", 6));
	CHECK_EQ(read(fd, buf, 16), 0);
}

TEST(pread_and_pwrite_leave_the_offset)
{
	int fd = fresh();
	char buf[8];

	CHECK_EQ(pwrite(fd, "xyz", 3, 5), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	CHECK_EQ(read(fd, buf, 8), 8);
	CHECK(!memcmp(buf, "\0\0\0\0\0xyz", 8));
	CHECK_EQ(pread(fd, buf, 8, 6), 2);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 8);
	CHECK_EQ(pread(fd, buf, 8, 100), 0);
	CHECK_ERRNO(pread(fd, buf, 1, -1), EINVAL);
	CHECK_ERRNO(pwrite(fd, buf, 1, -1), EINVAL);
	CHECK_ERRNO(pwrite(fd, buf, 8, INT64_MAX - 2), EINVAL);
}

TEST(positioned_on_a_pipe)
{
	int fds[2];
	char c = 'c';

	OK(pipe(fds));
	CHECK_ERRNO(pread(fds[0], &c, 1, 0), ESPIPE);
	CHECK_ERRNO(pwrite(fds[1], &c, 1, 0), ESPIPE);
}

TEST(append)
{
	int a = OK(open("f", O_CREAT | O_WRONLY | O_APPEND, 0600)), b = OK(open("f", O_RDWR));
	char buf[16];

	CHECK_EQ(write(a, "one", 3), 3);
	CHECK_EQ(write(b, "TWO", 3), 3);
	CHECK_EQ(lseek(b, 10, SEEK_SET), 10);
	CHECK_EQ(write(b, "x", 1), 1);
	CHECK_EQ(lseek(a, 0, SEEK_SET), 0);
	CHECK_EQ(write(a, "end", 3), 3);
	CHECK_EQ(lseek(a, 0, SEEK_CUR), 14);
	/* Linux: pwrite on an O_APPEND file appends, too. */
	CHECK_EQ(pwrite(a, "!", 1, 0), 1);
	CHECK_EQ(pread(b, buf, 16, 0), 15);
	CHECK(!memcmp(buf, "TWO\0\0\0\0\0\0\0xend!", 15));
}

TEST(append_from_several_processes)
{
	enum { WRITERS = 4, LINES = 200 };
	static char all[WRITERS * LINES * 8 + 1];
	int counts[WRITERS] = { 0 };
	pid_t pids[WRITERS];

	for (int i = 0; i < WRITERS; i++) {
		CHILD (pids[i]) {
			int fd = OK(open("log", O_CREAT | O_WRONLY | O_APPEND, 0600));
			char line[9];

			for (int n = 0; n < LINES; n++) {
				snprintf(line, sizeof(line), "%d %05d\n", i, n);
				CHECK_EQ(write(fd, line, 8), 8);
			}
		}
	}
	for (int i = 0; i < WRITERS; i++)
		wait_ok(pids[i]);
	CHECK_EQ(read_file("log", all, sizeof(all)), WRITERS * LINES * 8);
	for (char *p = all; *p; p += 8) {
		int writer = p[0] - '0';

		CHECK(writer >= 0 && writer < WRITERS);
		CHECK_EQ(atoi(p + 2), counts[writer]);
		counts[writer]++;
	}
}

TEST(shared_offset_after_fork)
{
	int fd = fresh();
	char buf[8] = "";
	pid_t pid;

	CHILD (pid)
		CHECK_EQ(write(fd, "abc", 3), 3);
	wait_ok(pid);
	CHECK_EQ(write(fd, "def", 3), 3);
	CHECK_EQ(pread(fd, buf, 8, 0), 6);
	CHECK_STR(buf, "abcdef");
}

TEST(vectors)
{
	int fd = fresh();
	char a[3], b[4], c[10];
	struct iovec out[3] = { { "ab", 2 }, { "", 0 }, { "cdef", 4 } };
	struct iovec in[3] = { { a, 3 }, { b, 2 }, { c, 10 } };

	CHECK_EQ(writev(fd, out, 3), 6);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(readv(fd, in, 3), 6);
	CHECK(!memcmp(a, "abc", 3) && !memcmp(b, "de", 2) && c[0] == 'f');
	CHECK_EQ(preadv(fd, in, 2, 1), 5);
	CHECK(!memcmp(a, "bcd", 3));
	CHECK_EQ(pwritev(fd, out, 1, 4), 2);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
	CHECK_EQ(readv(fd, in, 0), 0);
}

TEST(vector_errors)
{
	int fd = fresh();
	char a[4];
	struct iovec v[2] = { { a, 4 }, { BAD_PTR, 4 } };
	static struct iovec many[1025];

	CHECK_ERRNO(readv(fd, v, -1), EINVAL);
	CHECK_ERRNO(writev(fd, many, 1025), EINVAL);
	CHECK_EQ(writev(fd, many, 1024), 0);
	CHECK_ERRNO(readv(fd, BAD_PTR, 1), EFAULT);
	v[1] = (struct iovec){ a, (size_t)SSIZE_MAX + 1 };
	CHECK_ERRNO(writev(fd, v, 2), EINVAL);
	CHECK_ERRNO(writev(99, v, 1), EBADF);
	CHECK_ERRNO(preadv(fd, v, 1, -1), EINVAL);
	v[0] = (struct iovec){ BAD_PTR, 4 };
	CHECK_ERRNO(writev(fd, v, 1), EFAULT);
}

TEST(vector_with_a_bad_part_is_partial)
{
	char buf[8];
	struct iovec v[2] = { { buf, 4 }, { BAD_PTR, 4 } };
	int fd = fresh();

	CHECK_EQ(write(fd, "12345678", 8), 8);
	OK(lseek(fd, 0, SEEK_SET));
	CHECK_EQ(readv(fd, v, 2), 4);
	CHECK(!memcmp(buf, "1234", 4));
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
	CHECK_EQ(writev(fd, v, 2), 4);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 8);
}

TEST(flags_of_preadv2)
{
	int fd = fresh();
	char buf[4] = "";
	struct iovec out = { "data", 4 }, in = { buf, 4 };

	CHECK_EQ(pwritev2(fd, &out, 1, -1, 0), 4);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
	CHECK_EQ(pwritev2(fd, &out, 1, 0, RWF_APPEND), 4);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 8);
	CHECK_EQ(preadv2(fd, &in, 1, 2, 0), 4);
	CHECK(!memcmp(buf, "tada", 4));
	CHECK_ERRNO(preadv2(fd, &in, 1, 0, 1 << 20), EOPNOTSUPP);
	CHECK_EQ(pwritev2(fd, &out, 1, 0, RWF_DSYNC), 4);
	CHECK_EQ(pwritev2(fd, &out, 1, 0, RWF_SYNC), 4);
	CHECK_EQ(preadv2(fd, &in, 1, 0, RWF_HIPRI), 4);
	/* What is in memory is read, else the call says that it would wait. */
	if (preadv2(fd, &in, 1, 0, RWF_NOWAIT) != 4)
		CHECK(errno == EAGAIN || errno == EOPNOTSUPP);
}

TEST(bad_buffers)
{
	int fd = fresh();

	CHECK_EQ(write(fd, "abcd", 4), 4);
	CHECK_ERRNO(write(fd, BAD_PTR, 4), EFAULT);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_ERRNO(read(fd, BAD_PTR, 4), EFAULT);
	CHECK_ERRNO(read(fd, KERNEL_PTR, 4), EFAULT);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	/* Nothing to read: the address does not matter. */
	CHECK_EQ(read(fd, BAD_PTR, 0), 0);
}

TEST(buffer_that_ends_in_a_hole)
{
	int fds[2];
	char *p = OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	ssize_t n;

	OK(munmap(p + 4096, 4096));
	OK(pipe(fds));
	n = write(fds[1], p + 4090, 100);
	CHECK(n == 6 || (n == -1 && errno == EFAULT));
	CHECK_EQ(write(fds[1], p, 4096), 4096);
}

TEST(directories_and_modes)
{
	int d = OK(open(".", O_RDONLY)), w = OK(open("f", O_CREAT | O_WRONLY, 0600));
	char c;

	CHECK_ERRNO(read(d, &c, 1), EISDIR);
	CHECK_ERRNO(write(d, &c, 1), EBADF);
	CHECK_ERRNO(read(w, &c, 1), EBADF);
	CHECK_ERRNO(pread(w, &c, 1, 0), EBADF);
}

TEST(file_size_limit)
{
	struct rlimit lim = { 10, 10 };
	int fd = fresh();

	OK(setrlimit(RLIMIT_FSIZE, &lim));
	on_signal(SIGXFSZ, count_signal, 0);
	CHECK_EQ(write(fd, "0123456789ab", 12), 10);
	CHECK_EQ(signals_seen, 0);
	CHECK_ERRNO(write(fd, "x", 1), EFBIG);
	CHECK_EQ(signals_seen, 1);
	CHECK_ERRNO(ftruncate(fd, 11), EFBIG);
	CHECK_EQ(signals_seen, 2);
	OK(ftruncate(fd, 5));
}

TEST(large_transfers)
{
	size_t size = 3 << 20;
	unsigned char *a = malloc(size), *b = malloc(size);
	int fd = fresh();

	for (size_t i = 0; i < size; i++)
		a[i] = (unsigned char)(i * 7 + i / 4096);
	CHECK_EQ(write(fd, a, size), size);
	CHECK_EQ(pread(fd, b, size, 0), size);
	CHECK(!memcmp(a, b, size));
	CHECK_EQ(pread(fd, b, size, 12345), size - 12345);
	CHECK(!memcmp(a + 12345, b, size - 12345));
}

TEST(two_openings_see_each_other)
{
	int a = fresh(), b = OK(open("f", O_RDONLY));
	char buf[8];

	CHECK_EQ(read(b, buf, 8), 0);
	CHECK_EQ(write(a, "now", 3), 3);
	CHECK_EQ(read(b, buf, 8), 3);
}

TEST(unlinked_file_lives_while_open)
{
	int fd = fresh();
	char buf[4];
	struct stat st;

	OK(unlink("f"));
	CHECK_EQ(write(fd, "gone", 4), 4);
	CHECK_EQ(pread(fd, buf, 4, 0), 4);
	OK(fstat(fd, &st));
	CHECK_EQ(st.st_nlink, 0);
	CHECK_EQ(st.st_size, 4);
}

TEST(nowait_on_a_pipe)
{
	int fds[2];
	char c;
	struct iovec in = { &c, 1 };

	OK(pipe(fds));
	CHECK_ERRNO(preadv2(fds[0], &in, 1, -1, RWF_NOWAIT), EAGAIN);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(preadv2(fds[0], &in, 1, -1, RWF_NOWAIT), 1);
	CHECK_ERRNO(preadv2(fds[0], &in, 1, 0, 0), ESPIPE);
}
