/* SPDX-License-Identifier: Apache-2.0 */
/* truncate(2), ftruncate(2), fallocate(2), posix_fadvise(2), readahead(2): sizes and holes. */
#include <linux/falloc.h>

#include "harness.h"

static off_t size_of(int fd)
{
	struct stat st;

	OK(fstat(fd, &st));
	return st.st_size;
}

static blkcnt_t blocks_of(int fd)
{
	struct stat st;

	OK(fsync(fd));
	OK(fstat(fd, &st));
	return st.st_blocks;
}

static int file(void)
{
	return OK(open("f", O_CREAT | O_RDWR | O_TRUNC, 0600));
}

TEST(truncate_grows_with_zeroes_and_cuts)
{
	int fd = file();
	char buf[16];

	CHECK_EQ(write(fd, "0123456789", 10), 10);
	OK(ftruncate(fd, 4));
	CHECK_EQ(size_of(fd), 4);
	OK(ftruncate(fd, 12));
	CHECK_EQ(pread(fd, buf, 16, 0), 12);
	/* What was cut does not come back. */
	CHECK(!memcmp(buf, "0123\0\0\0\0\0\0\0\0", 12));
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
	OK(truncate("f", 100000));
	CHECK_EQ(size_of(fd), 100000);
}

TEST(truncate_errors)
{
	int fd = file(), ro, fds[2];

	ro = OK(open("f", O_RDONLY));
	CHECK_ERRNO(ftruncate(ro, 0), EINVAL);
	CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
	CHECK_ERRNO(ftruncate(99, 0), EBADF);
	CHECK_ERRNO(truncate("none", 0), ENOENT);
	CHECK_ERRNO(truncate(".", 0), EISDIR);
	CHECK_ERRNO(truncate("f/x", 0), ENOTDIR);
	CHECK_ERRNO(truncate("f", -1), EINVAL);
	CHECK_ERRNO(truncate(BAD_PTR, 0), EFAULT);
	OK(pipe(fds));
	CHECK_ERRNO(ftruncate(fds[1], 0), EINVAL);
	OK(mkfifo("p", 0600));
	CHECK_ERRNO(truncate("p", 0), EINVAL);
}

TEST(truncate_needs_write_permission)
{
	need_root();
	OK(close(file()));
	OK(chmod("f", 0444));
	become_nobody();
	CHECK_ERRNO(truncate("f", 0), EACCES);
}

TEST(times_after_truncation)
{
	struct stat a, b;
	int fd = file();

	CHECK_EQ(write(fd, "123", 3), 3);
	OK(fstat(fd, &a));
	sleep_ms(25);
	OK(ftruncate(fd, 1));
	OK(fstat(fd, &b));
	CHECK(b.st_mtim.tv_sec > a.st_mtim.tv_sec || b.st_mtim.tv_nsec > a.st_mtim.tv_nsec);
}

TEST(fallocate_extends)
{
	int fd = file();

	if (fallocate(fd, 0, 0, 1 << 20) && errno == EOPNOTSUPP)
		SKIP("no fallocate on this file system");
	CHECK_EQ(size_of(fd), 1 << 20);
	OK(fallocate(fd, 0, 0, 4096));
	CHECK_EQ(size_of(fd), 1 << 20);
	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 1 << 20, 1 << 20));
	CHECK_EQ(size_of(fd), 1 << 20);
}

TEST(fallocate_keeps_data)
{
	int fd = file();
	char buf[8] = "";

	CHECK_EQ(write(fd, "data", 4), 4);
	if (fallocate(fd, 0, 0, 8192) && errno == EOPNOTSUPP)
		SKIP("no fallocate on this file system");
	CHECK_EQ(pread(fd, buf, 5, 0), 5);
	CHECK(!memcmp(buf, "data\0", 5));
}

TEST(times_after_fallocate)
{
	const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	const int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
	struct stat st;

	OK(ftruncate(fd, 8192));
	OK(futimens(fd, old));
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096))
		SKIP("no holes: %s", test_errno_name(errno));
	OK(fstat(fd, &st));
	CHECK(st.st_mtim.tv_sec > 1);
	OK(futimens(fd, old));
	OK(fallocate(fd, 0, 0, 16384));
	OK(fstat(fd, &st));
	CHECK(st.st_mtim.tv_sec > 1);
}

TEST(fallocate_errors)
{
	int fd = file(), fds[2], ro = OK(open("f", O_RDONLY));

	OK(pipe(fds));
	CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
	CHECK_ERRNO(fallocate(fd, 0, -1, 1), EINVAL);
	CHECK_ERRNO(fallocate(fd, 0, 0, -1), EINVAL);
	CHECK_ERRNO(fallocate(fd, 0x800, 0, 1), EOPNOTSUPP);
	CHECK_ERRNO(fallocate(99, 0, 0, 1), EBADF);
	CHECK_ERRNO(fallocate(ro, 0, 0, 1), EBADF);
	CHECK_ERRNO(fallocate(fds[1], 0, 0, 1), ESPIPE);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP);
	CHECK_ERRNO(fallocate(fd, 0, INT64_MAX, 1), EFBIG);
}

TEST(punched_hole_reads_as_zeroes)
{
	int fd = file();
	static char buf[65536];
	blkcnt_t before;

	memset(buf, 'x', sizeof(buf));
	CHECK_EQ(write(fd, buf, sizeof(buf)), sizeof(buf));
	before = blocks_of(fd);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 32768) &&
	    errno == EOPNOTSUPP)
		SKIP("no holes on this file system");
	CHECK_EQ(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	CHECK(buf[8191] == 'x' && buf[8192] == 0 && buf[40959] == 0 && buf[40960] == 'x');
	CHECK_EQ(size_of(fd), 65536);
	CHECK(blocks_of(fd) <= before);
	/* A hole that is not on page boundaries. */
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 50));
	CHECK_EQ(pread(fd, buf, 200, 0), 200);
	CHECK(buf[99] == 'x' && buf[100] == 0 && buf[149] == 0 && buf[150] == 'x');
}

TEST(hole_shows_in_a_mapping)
{
	int fd = file();
	char *p;

	OK(ftruncate(fd, 16384));
	p = OK(mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	memset(p, 'm', 16384);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096) &&
	    errno == EOPNOTSUPP)
		SKIP("no holes on this file system");
	CHECK(p[4095] == 'm' && p[4096] == 0 && p[8191] == 0 && p[8192] == 'm');
}

TEST(zero_range)
{
	int fd = file();
	char buf[16];

	CHECK_EQ(write(fd, "0123456789", 10), 10);
	if (fallocate(fd, FALLOC_FL_ZERO_RANGE, 2, 20) && errno == EOPNOTSUPP)
		SKIP("no FALLOC_FL_ZERO_RANGE on this file system");
	CHECK_EQ(size_of(fd), 22);
	CHECK_EQ(pread(fd, buf, 10, 0), 10);
	CHECK(!memcmp(buf, "01\0\0\0\0\0\0\0\0", 10));
}

TEST(sparse_file_takes_little)
{
	int fd = file();

	OK(ftruncate(fd, 1 << 30));
	CHECK_EQ(pwrite(fd, "x", 1, 1 << 29), 1);
	CHECK(blocks_of(fd) < 2000);
	CHECK_EQ(size_of(fd), 1 << 30);
}

TEST(fadvise)
{
	int fd = file(), fds[2];

	const int advices[] = { POSIX_FADV_NORMAL,  POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
				POSIX_FADV_NOREUSE, POSIX_FADV_WILLNEED,   POSIX_FADV_DONTNEED };

	CHECK_EQ(write(fd, "kept", 4), 4);
	for (int i = 0; i < 6; i++)
		CHECK_EQ(posix_fadvise(fd, 0, 0, advices[i]), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
	CHECK_EQ(posix_fadvise(fd, 0, 0, 99), EINVAL);
	CHECK_EQ(posix_fadvise(fd, 0, -1, 0), EINVAL);
	CHECK_EQ(posix_fadvise(99, 0, 0, 0), EBADF);
	OK(pipe(fds));
	CHECK_EQ(posix_fadvise(fds[0], 0, 0, 0), ESPIPE);
	CHECK_ERRNO(syscall(SYS_fadvise64, 99, 0, 0, 0), EBADF);
}

TEST(readahead)
{
	int fd = file(), wo = OK(open("f", O_WRONLY)), fds[2];

	CHECK_EQ(write(fd, "x", 1), 1);
	OK(syscall(SYS_readahead, fd, 0, 4096));
	CHECK_ERRNO(syscall(SYS_readahead, 99, 0, 4096), EBADF);
	CHECK_ERRNO(syscall(SYS_readahead, wo, 0, 4096), EBADF);
	OK(pipe(fds));
	CHECK_ERRNO(syscall(SYS_readahead, fds[0], 0, 4096), EINVAL);
}
