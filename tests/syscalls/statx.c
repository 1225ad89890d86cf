/* SPDX-License-Identifier: Apache-2.0 */
/* statx(2). */
#include <sys/sysmacros.h>

#include "harness.h"

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif

TEST(agrees_with_stat)
{
	struct statx sx;
	struct stat st;

	write_file("f", "0123456789");
	OK(stat("f", &st));
	OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx));
	CHECK_EQ(sx.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
	CHECK_EQ(sx.stx_mode, st.st_mode);
	CHECK_EQ(sx.stx_size, st.st_size);
	CHECK_EQ(sx.stx_ino, st.st_ino);
	CHECK_EQ(sx.stx_nlink, st.st_nlink);
	CHECK_EQ(sx.stx_uid, st.st_uid);
	CHECK_EQ(sx.stx_gid, st.st_gid);
	CHECK_EQ(sx.stx_blocks, st.st_blocks);
	CHECK_EQ(sx.stx_blksize, st.st_blksize);
	CHECK_EQ(makedev(sx.stx_dev_major, sx.stx_dev_minor), st.st_dev);
	CHECK_EQ(sx.stx_mtime.tv_sec, st.st_mtim.tv_sec);
	CHECK_EQ(sx.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
	CHECK_EQ(sx.stx_ctime.tv_nsec, st.st_ctim.tv_nsec);
	CHECK_EQ(sx.stx_atime.tv_sec, st.st_atim.tv_sec);
}

TEST(device_numbers)
{
	struct statx sx;

	OK(statx(AT_FDCWD, "/dev/null", 0, STATX_TYPE, &sx));
	CHECK(S_ISCHR(sx.stx_mode));
	CHECK_EQ(sx.stx_rdev_major, 1);
	CHECK_EQ(sx.stx_rdev_minor, 3);
}

TEST(by_descriptor)
{
	struct statx sx;
	int fd, d = OK(open(".", O_RDONLY));

	write_file("f", "abc");
	fd = OK(open("f", O_RDONLY));
	OK(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &sx));
	CHECK_EQ(sx.stx_size, 3);
	OK(statx(d, "f", 0, STATX_SIZE, &sx));
	CHECK_EQ(sx.stx_size, 3);
	CHECK_ERRNO(statx(fd, "", 0, STATX_SIZE, &sx), ENOENT);
	CHECK_ERRNO(statx(fd, "x", 0, STATX_SIZE, &sx), ENOTDIR);
	CHECK_ERRNO(statx(99, "x", 0, STATX_SIZE, &sx), EBADF);
	CHECK_ERRNO(statx(99, "", AT_EMPTY_PATH, STATX_SIZE, &sx), EBADF);
}

TEST(symlinks)
{
	struct statx sx;

	OK(symlink("nowhere", "l"));
	CHECK_ERRNO(statx(AT_FDCWD, "l", 0, STATX_TYPE, &sx), ENOENT);
	OK(statx(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &sx));
	CHECK(S_ISLNK(sx.stx_mode));
}

TEST(errors)
{
	struct statx sx;

	CHECK_ERRNO(statx(AT_FDCWD, "none", 0, STATX_TYPE, &sx), ENOENT);
	CHECK_ERRNO(statx(AT_FDCWD, ".", 0x80000, STATX_TYPE, &sx), EINVAL);
	CHECK_ERRNO(statx(AT_FDCWD, ".", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_TYPE, &sx),
		    EINVAL);
	CHECK_ERRNO(statx(AT_FDCWD, ".", 0, 0x80000000U, &sx), EINVAL);
	CHECK_ERRNO(statx(AT_FDCWD, ".", 0, STATX_TYPE, BAD_PTR), EFAULT);
	CHECK_ERRNO(statx(AT_FDCWD, BAD_PTR, 0, STATX_TYPE, &sx), EFAULT);
}

TEST(sync_flags_and_empty_mask)
{
	struct statx sx;

	OK(statx(AT_FDCWD, ".", AT_STATX_DONT_SYNC, STATX_ALL, &sx));
	CHECK(S_ISDIR(sx.stx_mode));
	OK(statx(AT_FDCWD, ".", AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT, 0, &sx));
}

TEST(reserved_fields_are_cleared)
{
	struct statx sx;

	memset(&sx, 0xff, sizeof(sx));
	OK(statx(AT_FDCWD, ".", 0, STATX_BASIC_STATS, &sx));
	CHECK_EQ(((unsigned char *)&sx)[0x1e] | ((unsigned char *)&sx)[0x1f], 0);
	CHECK(sx.stx_atime.tv_nsec < 1000000000U);
	/* A file system says only what it knows. */
	CHECK_EQ(sx.stx_attributes & ~sx.stx_attributes_mask, 0);
}

TEST(birth_time_is_sane)
{
	struct statx sx;

	write_file("f", "");
	OK(statx(AT_FDCWD, "f", 0, STATX_BTIME | STATX_MTIME, &sx));
	if (!(sx.stx_mask & STATX_BTIME))
		SKIP("the file system keeps no birth time");
	CHECK(llabs(sx.stx_btime.tv_sec - sx.stx_mtime.tv_sec) <= 60);
}

TEST(mount_id)
{
	struct statx a, b;

	OK(statx(AT_FDCWD, ".", 0, STATX_MNT_ID, &a));
	if (!(a.stx_mask & STATX_MNT_ID))
		SKIP("no STATX_MNT_ID");
	OK(statx(AT_FDCWD, "/proc", 0, STATX_MNT_ID, &b));
	CHECK(memcmp((char *)&a + 0x90, (char *)&b + 0x90, 8));
}
