/* SPDX-License-Identifier: Apache-2.0 */
/* link(2), linkat(2), symlink(2), readlink(2). */
#include "harness.h"

TEST(hard_link_shares_contents)
{
	int fd;
	char buf[8];

	write_file("a", "old");
	OK(link("a", "b"));
	fd = OK(open("a", O_WRONLY));
	CHECK_EQ(write(fd, "new", 3), 3);
	read_file("b", buf, sizeof(buf));
	CHECK_STR(buf, "new");
}

TEST(link_errors)
{
	char name[300];

	write_file("f", "");
	OK(mkdir("d", 0700));
	CHECK_ERRNO(link("f", "f"), EEXIST);
	CHECK_ERRNO(link("f", "d"), EEXIST);
	CHECK_ERRNO(link("none", "x"), ENOENT);
	CHECK_ERRNO(link("f", "none/x"), ENOENT);
	CHECK_ERRNO(link("f", "f/x"), ENOTDIR);
	CHECK_ERRNO(link("d", "e"), EPERM);
	CHECK_ERRNO(link("f", ""), ENOENT);
	CHECK_ERRNO(link("f", "x/"), ENOENT);
	CHECK_ERRNO(link(BAD_PTR, "x"), EFAULT);
	memset(name, 'a', 256);
	name[256] = 0;
	CHECK_ERRNO(link("f", name), ENAMETOOLONG);
}

TEST(link_does_not_follow_unless_asked)
{
	struct stat st;

	write_file("f", "");
	OK(symlink("f", "l"));
	OK(link("l", "hard"));
	OK(lstat("hard", &st));
	CHECK(S_ISLNK(st.st_mode));
	OK(linkat(AT_FDCWD, "l", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
	OK(lstat("followed", &st));
	CHECK(S_ISREG(st.st_mode));
	CHECK_ERRNO(linkat(AT_FDCWD, "f", AT_FDCWD, "x", 0x10), EINVAL);
	CHECK_ERRNO(linkat(99, "f", AT_FDCWD, "x", 0), EBADF);
}

TEST(link_by_descriptor_path)
{
	char path[64];
	struct stat st;
	int fd;

	write_file("f", "1234");
	fd = OK(open("f", O_RDONLY));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "again", AT_SYMLINK_FOLLOW));
	OK(stat("again", &st));
	CHECK_EQ(st.st_nlink, 2);
}

TEST(symlink_contents)
{
	char buf[64];
	struct stat st;

	OK(symlink("some/where/else", "l"));
	memset(buf, '#', sizeof(buf));
	CHECK_EQ(readlink("l", buf, sizeof(buf)), 15);
	CHECK(!memcmp(buf, "some/where/else#", 16));
	/* Cut short without an error. */
	CHECK_EQ(readlink("l", buf, 4), 4);
	OK(lstat("l", &st));
	CHECK_EQ(st.st_size, 15);
}

TEST(symlink_errors)
{
	char *text = malloc(5000);

	write_file("f", "");
	CHECK_ERRNO(symlink("x", "f"), EEXIST);
	CHECK_ERRNO(symlink("", "l"), ENOENT);
	CHECK_ERRNO(symlink("x", ""), ENOENT);
	CHECK_ERRNO(symlink("x", "none/l"), ENOENT);
	CHECK_ERRNO(symlink("x", "f/l"), ENOTDIR);
	CHECK_ERRNO(symlink(BAD_PTR, "l"), EFAULT);
	CHECK_ERRNO(symlink("x", BAD_PTR), EFAULT);
	CHECK_ERRNO(symlinkat("x", 99, "l"), EBADF);
	memset(text, 'a', 4999);
	text[4999] = 0;
	CHECK_ERRNO(symlink(text, "l"), ENAMETOOLONG);
}

TEST(readlink_errors)
{
	char buf[8];

	write_file("f", "");
	OK(symlink("x", "l"));
	CHECK_ERRNO(readlink("f", buf, 8), EINVAL);
	CHECK_ERRNO(readlink(".", buf, 8), EINVAL);
	CHECK_ERRNO(readlink("none", buf, 8), ENOENT);
	CHECK_ERRNO(readlink("f/x", buf, 8), ENOTDIR);
	CHECK_ERRNO(readlink("", buf, 8), ENOENT);
	CHECK_ERRNO(syscall(SYS_readlink, "l", buf, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_readlink, "l", buf, -1), EINVAL);
	CHECK_ERRNO(syscall(SYS_readlink, "l", BAD_PTR, 8), EFAULT);
	CHECK_ERRNO(readlinkat(99, "l", buf, 8), EBADF);
}

TEST(resolution)
{
	char buf[16];

	OK(mkdir("a", 0700));
	OK(mkdir("a/b", 0700));
	write_file("a/file", "right");
	write_file("file", "wrong");
	OK(symlink("../file", "a/b/up"));
	read_file("a/b/up", buf, sizeof(buf));
	CHECK_STR(buf, "right");
	/* ".." after a link is the parent of where the link leads. */
	OK(symlink("a/b", "short"));
	read_file("short/../file", buf, sizeof(buf));
	CHECK_STR(buf, "right");
	OK(symlink("/dev/null", "abs"));
	CHECK_EQ(read_file("abs", buf, sizeof(buf)), 0);
}

TEST(link_in_the_middle)
{
	struct stat st;

	OK(mkdir("d", 0700));
	write_file("d/f", "12");
	OK(symlink("d", "l1"));
	OK(symlink("l1", "l2"));
	OK(lstat("l2/f", &st));
	CHECK_EQ(st.st_size, 2);
	OK(unlink("l2/f"));
	CHECK_ERRNO(access("d/f", F_OK), ENOENT);
}

TEST(protected_hard_links_or_not)
{
	char text[8] = "0";

	need_root();
	if (!access("/proc/sys/fs/protected_hardlinks", R_OK))
		read_file("/proc/sys/fs/protected_hardlinks", text, sizeof(text));
	write_file("secret", "");
	OK(chmod("secret", 0600));
	OK(mkdir("free", 0777));
	OK(chmod("free", 0777));
	become_nobody();
	if (text[0] == '1')
		CHECK_ERRNO(link("secret", "free/mine"), EPERM);
	else
		OK(link("secret", "free/mine"));
}

TEST(magic_links)
{
	char buf[64], want[32];

	snprintf(want, sizeof(want), "%d", getpid());
	buf[OK(readlink("/proc/self", buf, sizeof(buf) - 1))] = 0;
	CHECK_STR(buf, want);
}
