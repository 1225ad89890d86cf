/* SPDX-License-Identifier: Apache-2.0 */
/* lseek(2), with holes. */
#include "harness.h"

TEST(whences)
{
	int fd;

	write_file("f", "0123456789");
	fd = OK(open("f", O_RDONLY));
	CHECK_EQ(lseek(fd, 4, SEEK_SET), 4);
	CHECK_EQ(lseek(fd, 3, SEEK_CUR), 7);
	CHECK_EQ(lseek(fd, -2, SEEK_CUR), 5);
	CHECK_EQ(lseek(fd, -1, SEEK_END), 9);
	CHECK_EQ(lseek(fd, 5, SEEK_END), 15);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 15);
}

TEST(errors)
{
	int fd, fds[2];

	write_file("f", "0123456789");
	fd = OK(open("f", O_RDONLY));
	CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERRNO(lseek(fd, -11, SEEK_END), EINVAL);
	CHECK_ERRNO(lseek(fd, 0, 5), EINVAL);
	CHECK_ERRNO(lseek(fd, 0, -1), EINVAL);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	CHECK_EQ(lseek(fd, 5, SEEK_SET), 5);
	CHECK_ERRNO(lseek(fd, INT64_MAX, SEEK_CUR), EINVAL);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
	CHECK_ERRNO(lseek(77, 0, SEEK_SET), EBADF);
	OK(pipe(fds));
	CHECK_ERRNO(lseek(fds[0], 0, SEEK_SET), ESPIPE);
}

TEST(shared_between_duplicates_only)
{
	int a, b, c;

	write_file("f", "0123456789");
	a = OK(open("f", O_RDONLY));
	b = OK(dup(a));
	c = OK(open("f", O_RDONLY));
	OK(lseek(a, 6, SEEK_SET));
	CHECK_EQ(lseek(b, 0, SEEK_CUR), 6);
	CHECK_EQ(lseek(c, 0, SEEK_CUR), 0);
}

TEST(gap_reads_as_zeroes)
{
	int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
	char buf[100];

	CHECK_EQ(lseek(fd, 99, SEEK_SET), 99);
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(pread(fd, buf, 100, 0), 100);
	for (int i = 0; i < 99; i++)
		CHECK(!buf[i]);
}

TEST(data_and_holes)
{
	int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
	off_t hole;

	OK(ftruncate(fd, 8 << 20));
	CHECK_EQ(pwrite(fd, "data", 4, 4 << 20), 4);
	/* A file system may report less than it knows, never wrong: data is found, the end is a
	 * hole. */
	hole = lseek(fd, 0, SEEK_HOLE);
	CHECK(hole == 0 || hole == 8 << 20 || hole == (4 << 20) + 4096);
	CHECK(lseek(fd, 0, SEEK_DATA) <= 4 << 20);
	CHECK_EQ(lseek(fd, 4 << 20, SEEK_DATA), 4 << 20);
	CHECK(lseek(fd, 4 << 20, SEEK_HOLE) > 4 << 20);
	CHECK_ERRNO(lseek(fd, 8 << 20, SEEK_DATA), ENXIO);
	CHECK_ERRNO(lseek(fd, 8 << 20, SEEK_HOLE), ENXIO);
	CHECK_ERRNO(lseek(fd, -1, SEEK_DATA), ENXIO);
}

TEST(devices_and_proc)
{
	int fd = OK(open("/dev/zero", O_RDONLY));
	char a[32] = "", b[32] = "";

	OK(lseek(fd, 100, SEEK_SET));
	fd = OK(open("/proc/self/stat", O_RDONLY));
	CHECK(read(fd, a, 10) == 10);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK(read(fd, b, 10) == 10);
	CHECK_STR(a, b);
}

TEST(directory_rewinds)
{
	int fd = OK(open(".", O_RDONLY));
	char buf[1024];
	long n;

	n = OK(syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	CHECK(n > 0);
	CHECK_EQ(syscall(SYS_getdents64, fd, buf, sizeof(buf)), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(syscall(SYS_getdents64, fd, buf, sizeof(buf)), n);
}
