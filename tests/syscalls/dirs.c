/* SPDX-License-Identifier: Apache-2.0 */
/* mkdir(2), mkdirat(2), rmdir(2). */
#include "harness.h"

static mode_t mode_of(const char *path)
{
	struct stat st;

	OK(stat(path, &st));
	return st.st_mode;
}

TEST(mode_and_umask)
{
	umask(022);
	OK(mkdir("a", 0777));
	CHECK_EQ(mode_of("a"), S_IFDIR | 0755);
	umask(0);
	OK(mkdir("b", 01770));
	CHECK_EQ(mode_of("b"), S_IFDIR | 01770);
	/* Set-id bits of the argument are not taken. */
	OK(mkdir("c", 06755));
	CHECK_EQ(mode_of("c"), S_IFDIR | 0755);
}

TEST(dots_are_there)
{
	struct stat a, b;

	OK(mkdir("d", 0700));
	OK(stat("d", &a));
	OK(stat("d/.", &b));
	CHECK_EQ(a.st_ino, b.st_ino);
	OK(stat(".", &a));
	OK(stat("d/..", &b));
	CHECK_EQ(a.st_ino, b.st_ino);
}

TEST(mkdir_errors)
{
	char name[300];

	write_file("f", "");
	OK(mkdir("d", 0700));
	OK(symlink("nowhere", "l"));
	CHECK_ERRNO(mkdir("d", 0700), EEXIST);
	CHECK_ERRNO(mkdir("f", 0700), EEXIST);
	CHECK_ERRNO(mkdir("l", 0700), EEXIST);
	CHECK_ERRNO(mkdir(".", 0700), EEXIST);
	CHECK_ERRNO(mkdir("..", 0700), EEXIST);
	CHECK_ERRNO(mkdir("/", 0700), EEXIST);
	CHECK_ERRNO(mkdir("none/d", 0700), ENOENT);
	CHECK_ERRNO(mkdir("f/d", 0700), ENOTDIR);
	CHECK_ERRNO(mkdir("", 0700), ENOENT);
	CHECK_ERRNO(mkdir(BAD_PTR, 0700), EFAULT);
	memset(name, 'a', 256);
	name[256] = 0;
	CHECK_ERRNO(mkdir(name, 0700), ENAMETOOLONG);
	name[255] = 0;
	OK(mkdir(name, 0700));
}

TEST(trailing_slashes)
{
	OK(mkdir("d/", 0700));
	OK(mkdir("e///", 0700));
	OK(rmdir("d/"));
	OK(symlink("e", "l"));
	CHECK_ERRNO(rmdir("l"), ENOTDIR);
	CHECK_ERRNO(rmdir("l/"), ENOTDIR);
}

TEST(rmdir_errors)
{
	write_file("f", "");
	OK(mkdir("d", 0700));
	OK(mkdir("d/sub", 0700));
	CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
	CHECK_ERRNO(rmdir("f"), ENOTDIR);
	CHECK_ERRNO(rmdir("none"), ENOENT);
	CHECK_ERRNO(rmdir("d/."), EINVAL);
	CHECK_ERRNO(rmdir("."), EINVAL);
	CHECK_ERRNO(rmdir("d/sub/.."), ENOTEMPTY);
	CHECK_ERRNO(rmdir("/"), EBUSY);
	CHECK_ERRNO(rmdir(""), ENOENT);
	CHECK_ERRNO(rmdir(BAD_PTR), EFAULT);
	OK(rmdir("d/sub"));
	OK(rmdir("d"));
	CHECK_ERRNO(access("d", F_OK), ENOENT);
}

TEST(at_variants)
{
	int d;

	OK(mkdir("d", 0700));
	d = OK(open("d", O_RDONLY | O_DIRECTORY));
	OK(mkdirat(d, "sub", 0750));
	CHECK_EQ(mode_of("d/sub"), S_IFDIR | 0750);
	CHECK_ERRNO(mkdirat(99, "x", 0700), EBADF);
	OK(unlinkat(d, "sub", AT_REMOVEDIR));
	CHECK_ERRNO(unlinkat(d, "sub", AT_REMOVEDIR), ENOENT);
	CHECK_ERRNO(unlinkat(AT_FDCWD, "d", 0), EISDIR);
}

TEST(removed_directory_takes_nothing)
{
	int d;

	OK(mkdir("d", 0700));
	d = OK(open("d", O_RDONLY | O_DIRECTORY));
	OK(rmdir("d"));
	CHECK_ERRNO(mkdirat(d, "x", 0700), ENOENT);
	CHECK_ERRNO(openat(d, "x", O_CREAT | O_RDWR, 0600), ENOENT);
	CHECK_ERRNO(symlinkat("a", d, "x"), ENOENT);
}

TEST(setgid_directory_passes_its_group)
{
	struct stat st;

	need_root();
	OK(mkdir("d", 0755));
	OK(chown("d", 0, 4321));
	OK(chmod("d", 02755));
	OK(mkdir("d/sub", 0755));
	write_file("d/f", "");
	OK(stat("d/sub", &st));
	CHECK_EQ(st.st_gid, 4321);
	CHECK_EQ(st.st_mode & 07777, 02755);
	OK(stat("d/f", &st));
	CHECK_EQ(st.st_gid, 4321);
	CHECK_EQ(st.st_mode & 07777, 0644);
}

TEST(permission)
{
	need_root();
	OK(mkdir("d", 0755));
	OK(mkdir("d/sub", 0777));
	become_nobody();
	CHECK_ERRNO(mkdir("d/x", 0700), EACCES);
	CHECK_ERRNO(rmdir("d/sub"), EACCES);
	CHECK_ERRNO(mkdir("d/sub", 0700), EEXIST);
}

TEST(deep_tree)
{
	for (int i = 0; i < 200; i++) {
		OK(mkdir("a-directory-name-of-some-length", 0700));
		OK(chdir("a-directory-name-of-some-length"));
	}
	for (int i = 0; i < 200; i++) {
		OK(chdir(".."));
		OK(rmdir("a-directory-name-of-some-length"));
	}
}

TEST(many_entries)
{
	char name[32];

	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		OK(mkdir(name, 0700));
	}
	for (int i = 499; i >= 0; i--) {
		snprintf(name, sizeof(name), "d%d", i);
		OK(rmdir(name));
	}
}
