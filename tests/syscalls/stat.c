/* SPDX-License-Identifier: Apache-2.0 */
/* stat(2), lstat(2), fstat(2), newfstatat(2): fields, times, links, errors. */
#include <sys/sysmacros.h>

#include "harness.h"

TEST(regular_file)
{
	struct stat st, dir;

	write_file("f", "0123456789");
	OK(chmod("f", 0640));
	OK(stat("f", &st));
	OK(stat(".", &dir));
	CHECK_EQ(st.st_mode, S_IFREG | 0640);
	CHECK_EQ(st.st_size, 10);
	CHECK_EQ(st.st_nlink, 1);
	CHECK_EQ(st.st_uid, geteuid());
	CHECK_EQ(st.st_gid, getegid());
	CHECK(st.st_ino != 0 && st.st_ino != dir.st_ino);
	CHECK(st.st_blksize >= 512);
	CHECK(st.st_blocks >= 0 && st.st_blocks < 1000);
}

TEST(raw_numbers_agree)
{
	struct stat a, b, c, d;
	int fd;

	write_file("f", "x");
	fd = OK(open("f", O_RDONLY));
	OK(syscall(SYS_stat, "f", &a));
	OK(syscall(SYS_lstat, "f", &b));
	OK(syscall(SYS_fstat, fd, &c));
	OK(syscall(SYS_newfstatat, fd, "", &d, AT_EMPTY_PATH));
	CHECK(!memcmp(&a, &b, sizeof(a)));
	CHECK(!memcmp(&a, &c, sizeof(a)));
	CHECK(!memcmp(&a, &d, sizeof(a)));
}

TEST(types)
{
	struct stat st;
	int fds[2];

	OK(mkdir("d", 0751));
	OK(symlink("target", "l"));
	OK(mkfifo("p", 0600));
	OK(stat("d", &st));
	CHECK_EQ(st.st_mode, S_IFDIR | 0751);
	CHECK(st.st_nlink >= 1);
	OK(lstat("l", &st));
	CHECK_EQ(st.st_mode, S_IFLNK | 0777);
	CHECK_EQ(st.st_size, 6);
	OK(stat("p", &st));
	CHECK_EQ(st.st_mode, S_IFIFO | 0600);
	OK(pipe(fds));
	OK(fstat(fds[0], &st));
	CHECK(S_ISFIFO(st.st_mode));
	OK(stat("/dev/null", &st));
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(major(st.st_rdev), 1);
	CHECK_EQ(minor(st.st_rdev), 3);
	OK(stat("/dev/zero", &st));
	CHECK_EQ(st.st_rdev, makedev(1, 5));
}

TEST(links_are_followed_or_not)
{
	struct stat a, b;

	write_file("f", "12345");
	OK(symlink("f", "l"));
	OK(stat("f", &a));
	OK(stat("l", &b));
	CHECK_EQ(a.st_ino, b.st_ino);
	OK(lstat("l", &b));
	CHECK(a.st_ino != b.st_ino);
	OK(fstatat(AT_FDCWD, "l", &b, AT_SYMLINK_NOFOLLOW));
	CHECK(S_ISLNK(b.st_mode));
	OK(unlink("f"));
	CHECK_ERRNO(stat("l", &b), ENOENT);
	OK(lstat("l", &b));
	/* A slash at the end follows, too. */
	OK(mkdir("d", 0700));
	OK(symlink("d", "ld"));
	OK(lstat("ld/", &b));
	CHECK(S_ISDIR(b.st_mode));
}

TEST(hard_links_share_an_inode)
{
	struct stat a, b;

	write_file("f", "");
	OK(link("f", "g"));
	OK(stat("f", &a));
	OK(stat("g", &b));
	CHECK_EQ(a.st_ino, b.st_ino);
	CHECK_EQ(a.st_dev, b.st_dev);
	CHECK_EQ(a.st_nlink, 2);
	OK(unlink("f"));
	OK(stat("g", &b));
	CHECK_EQ(b.st_nlink, 1);
}

TEST(directory_links)
{
	struct stat st;
	nlink_t before;

	OK(mkdir("d", 0700));
	OK(stat("d", &st));
	before = st.st_nlink;
	OK(mkdir("d/sub", 0700));
	OK(stat("d", &st));
	/* Two and one for each directory in it, or always one (overlay, btrfs). */
	CHECK((before == 2 && st.st_nlink == 3) || (before == 1 && st.st_nlink == 1));
}

TEST(errors)
{
	struct stat st;
	char name[300];

	write_file("f", "");
	CHECK_ERRNO(stat("none", &st), ENOENT);
	CHECK_ERRNO(stat("", &st), ENOENT);
	CHECK_ERRNO(stat("f/x", &st), ENOTDIR);
	CHECK_ERRNO(lstat("f/", &st), ENOTDIR);
	CHECK_ERRNO(stat(BAD_PTR, &st), EFAULT);
	CHECK_ERRNO(syscall(SYS_stat, "f", BAD_PTR), EFAULT);
	CHECK_ERRNO(fstat(77, &st), EBADF);
	CHECK_ERRNO(syscall(SYS_fstat, 0, KERNEL_PTR), EFAULT);
	OK(symlink("loop", "loop"));
	CHECK_ERRNO(stat("loop", &st), ELOOP);
	OK(lstat("loop", &st));
	memset(name, 'a', 256);
	name[256] = 0;
	CHECK_ERRNO(stat(name, &st), ENAMETOOLONG);
}

TEST(at_flags)
{
	struct stat st;
	int d, f;

	OK(mkdir("d", 0700));
	write_file("d/f", "abc");
	d = OK(open("d", O_RDONLY));
	f = OK(open("d/f", O_RDONLY));
	OK(fstatat(d, "f", &st, 0));
	CHECK_EQ(st.st_size, 3);
	CHECK_ERRNO(fstatat(d, "", &st, 0), ENOENT);
	OK(fstatat(d, "", &st, AT_EMPTY_PATH));
	CHECK(S_ISDIR(st.st_mode));
	OK(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
	CHECK(S_ISDIR(st.st_mode));
	CHECK_ERRNO(fstatat(f, "x", &st, 0), ENOTDIR);
	CHECK_ERRNO(fstatat(77, "x", &st, 0), EBADF);
	OK(fstatat(77, "/", &st, 0));
	CHECK_ERRNO(fstatat(d, "f", &st, 0x8000000), EINVAL);
	OK(fstatat(d, "f", &st, AT_NO_AUTOMOUNT));
}

TEST(search_permission)
{
	struct stat st;

	need_root();
	OK(mkdir("d", 0700));
	write_file("d/f", "");
	write_file("f", "");
	OK(chmod("f", 0));
	become_nobody();
	CHECK_ERRNO(stat("d/f", &st), EACCES);
	OK(stat("d", &st));
	OK(stat("f", &st));
}

static int64_t stamp(struct timespec t)
{
	return t.tv_sec * 1000 * MS_IN_NS + t.tv_nsec;
}

TEST(times_move)
{
	struct stat a, b;
	struct timespec now;
	int fd;

	write_file("f", "x");
	OK(stat("f", &a));
	OK(clock_gettime(CLOCK_REALTIME, &now));
	CHECK(llabs(stamp(a.st_mtim) - stamp(now)) < 60000 * MS_IN_NS);
	sleep_ms(25);
	OK(chmod("f", 0600));
	OK(stat("f", &b));
	CHECK(stamp(b.st_ctim) > stamp(a.st_ctim));
	CHECK_EQ(stamp(b.st_mtim), stamp(a.st_mtim));
	sleep_ms(25);
	fd = OK(open("f", O_WRONLY));
	CHECK_EQ(write(fd, "y", 1), 1);
	OK(stat("f", &a));
	CHECK(stamp(a.st_mtim) > stamp(b.st_mtim));
	CHECK(stamp(a.st_ctim) > stamp(b.st_ctim));
}

TEST(times_of_directories)
{
	struct stat a, b;

	OK(mkdir("d", 0700));
	OK(stat("d", &a));
	sleep_ms(25);
	write_file("d/f", "");
	OK(stat("d", &b));
	CHECK(stamp(b.st_mtim) > stamp(a.st_mtim));
	sleep_ms(25);
	OK(rename("d/f", "d/g"));
	OK(stat("d", &a));
	CHECK(stamp(a.st_mtim) > stamp(b.st_mtim));
	sleep_ms(25);
	OK(unlink("d/g"));
	OK(stat("d", &b));
	CHECK(stamp(b.st_mtim) > stamp(a.st_mtim));
}

TEST(inode_survives_rename)
{
	struct stat a, b;

	write_file("f", "");
	OK(stat("f", &a));
	OK(rename("f", "g"));
	OK(stat("g", &b));
	CHECK_EQ(a.st_ino, b.st_ino);
	CHECK_EQ(stamp(a.st_mtim), stamp(b.st_mtim));
}
