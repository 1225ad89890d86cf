/* SPDX-License-Identifier: Apache-2.0 */
/* statfs(2), fstatfs(2), ustat(2), sync(2), syncfs(2), fsync(2), fdatasync(2), sync_file_range(2).
 */
#include <linux/magic.h>
#include <sys/statfs.h>

#include "harness.h"

TEST(sane_numbers)
{
	struct statfs s;

	OK(statfs(".", &s));
	CHECK(s.f_type != 0);
	CHECK(s.f_bsize >= 512 && s.f_bsize <= 1 << 20);
	CHECK(s.f_bfree <= s.f_blocks);
	CHECK(s.f_bavail <= s.f_bfree);
	CHECK(s.f_ffree <= s.f_files);
	CHECK_EQ(s.f_namelen, 255);
}

TEST(types)
{
	struct statfs s;

	OK(statfs("/proc", &s));
	CHECK_EQ(s.f_type, PROC_SUPER_MAGIC);
	OK(statfs("/proc/self/status", &s));
	CHECK_EQ(s.f_type, PROC_SUPER_MAGIC);
	if (!access("/sys/kernel", F_OK)) {
		OK(statfs("/sys", &s));
		CHECK_EQ(s.f_type, SYSFS_MAGIC);
	}
	if (!access("/dev/pts", F_OK)) {
		OK(statfs("/dev/pts", &s));
		CHECK_EQ(s.f_type, DEVPTS_SUPER_MAGIC);
	}
}

TEST(by_descriptor)
{
	struct statfs a, b;
	int fd = OK(open(".", O_RDONLY)), fds[2];

	OK(statfs(".", &a));
	OK(fstatfs(fd, &b));
	CHECK_EQ(a.f_type, b.f_type);
	CHECK_EQ(a.f_blocks, b.f_blocks);
	CHECK(!memcmp(&a.f_fsid, &b.f_fsid, sizeof(a.f_fsid)));
	OK(fstatfs(OK(open(".", O_PATH)), &b));
	CHECK_EQ(a.f_type, b.f_type);
	OK(pipe(fds));
	OK(fstatfs(fds[0], &b));
	CHECK_EQ(b.f_type, PIPEFS_MAGIC);
}

TEST(errors)
{
	struct statfs s;
	int fd = OK(open(".", O_RDONLY));

	write_file("f", "");
	CHECK_ERRNO(statfs("none", &s), ENOENT);
	CHECK_ERRNO(statfs("f/x", &s), ENOTDIR);
	CHECK_ERRNO(statfs(BAD_PTR, &s), EFAULT);
	CHECK_ERRNO(syscall(SYS_statfs, ".", BAD_PTR), EFAULT);
	CHECK_ERRNO(fstatfs(99, &s), EBADF);
	CHECK_ERRNO(syscall(SYS_fstatfs, fd, BAD_PTR), EFAULT);
}

TEST(syncing)
{
	int fd = OK(open("f", O_CREAT | O_RDWR, 0600)), fds[2], d = OK(open(".", O_RDONLY));

	CHECK_EQ(write(fd, "x", 1), 1);
	OK(fsync(fd));
	OK(fdatasync(fd));
	OK(fsync(d));
	OK(syncfs(fd));
	OK(pipe(fds));
	CHECK_ERRNO(fsync(fds[0]), EINVAL);
	CHECK_ERRNO(fdatasync(fds[0]), EINVAL);
	CHECK_ERRNO(fsync(99), EBADF);
	CHECK_ERRNO(fdatasync(99), EBADF);
	CHECK_ERRNO(syncfs(99), EBADF);
	CHECK_ERRNO(syncfs(OK(open("f", O_PATH))), EBADF);
	fd = OK(open("f", O_RDONLY));
	OK(fsync(fd));
}

TEST(sync_of_a_range)
{
	int fd = OK(open("f", O_CREAT | O_RDWR, 0600)), fds[2];

	CHECK_EQ(write(fd, "x", 1), 1);
	OK(sync_file_range(fd, 0, 0,
			   SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				   SYNC_FILE_RANGE_WAIT_AFTER));
	CHECK_ERRNO(sync_file_range(fd, 0, 0, 64), EINVAL);
	CHECK_ERRNO(sync_file_range(fd, -1, 0, 0), EINVAL);
	CHECK_ERRNO(sync_file_range(99, 0, 0, 0), EBADF);
	OK(pipe(fds));
	CHECK_ERRNO(sync_file_range(fds[0], 0, 0, 0), ESPIPE);
}

TEST(o_sync_writes)
{
	int fd = OK(open("f", O_CREAT | O_WRONLY | O_SYNC, 0600));

	CHECK_EQ(write(fd, "abc", 3), 3);
	CHECK_EQ(fcntl(fd, F_GETFL) & O_SYNC, O_SYNC);
	fd = OK(open("f", O_WRONLY | O_DSYNC));
	CHECK_EQ(fcntl(fd, F_GETFL) & O_SYNC, O_DSYNC);
}

TEST(old_statistics_by_device)
{
	struct {
		int32_t free_blocks;
		uint64_t free_nodes;
		char names[12], more[32];
	} u;
	struct stat st;

	OK(stat("/dev/shm", &st));
	if (syscall(SYS_ustat, st.st_dev, &u) && errno == EPERM && filtered())
		SKIP("the filter refuses ustat");
	OK(syscall(SYS_ustat, st.st_dev, &u));
	CHECK_ERRNO(syscall(SYS_ustat, 0x7ff, &u), EINVAL);
	CHECK_ERRNO(syscall(SYS_ustat, st.st_dev, BAD_PTR), EFAULT);
}

TEST(sync_of_all)
{
	write_file("f", "x");
	CHECK_EQ(syscall(SYS_sync), 0);
}
