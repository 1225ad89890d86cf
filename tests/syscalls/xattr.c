/* SPDX-License-Identifier: Apache-2.0 */
/* setxattr(2), getxattr(2), listxattr(2), removexattr(2) and their l and f forms. */
#include <sys/xattr.h>

#include "harness.h"

static void need_user_xattr(void)
{
	write_file("probe", "");
	if (setxattr("probe", "user.probe", "x", 1, 0) && errno == EOPNOTSUPP)
		SKIP("no user attributes on this file system");
	OK(unlink("probe"));
}

TEST(set_get_list_remove)
{
	char buf[256];
	ssize_t n;

	need_user_xattr();
	write_file("f", "");
	OK(setxattr("f", "user.one", "value", 5, 0));
	OK(setxattr("f", "user.two", "", 0, 0));
	CHECK_EQ(getxattr("f", "user.one", NULL, 0), 5);
	CHECK_EQ(getxattr("f", "user.one", buf, sizeof(buf)), 5);
	CHECK(!memcmp(buf, "value", 5));
	CHECK_EQ(getxattr("f", "user.two", buf, sizeof(buf)), 0);
	n = OK(listxattr("f", buf, sizeof(buf)));
	CHECK_EQ(listxattr("f", NULL, 0), n);
	CHECK(n >= 18 && memmem(buf, n, "user.one", 9) && memmem(buf, n, "user.two", 9));
	OK(removexattr("f", "user.one"));
	CHECK_ERRNO(getxattr("f", "user.one", buf, sizeof(buf)), ENODATA);
	CHECK_ERRNO(removexattr("f", "user.one"), ENODATA);
}

TEST(flags)
{
	need_user_xattr();
	write_file("f", "");
	CHECK_ERRNO(setxattr("f", "user.a", "1", 1, XATTR_REPLACE), ENODATA);
	OK(setxattr("f", "user.a", "1", 1, XATTR_CREATE));
	CHECK_ERRNO(setxattr("f", "user.a", "2", 1, XATTR_CREATE), EEXIST);
	OK(setxattr("f", "user.a", "3", 1, XATTR_REPLACE));
	CHECK_ERRNO(setxattr("f", "user.a", "2", 1, 77), EINVAL);
}

TEST(sizes)
{
	char buf[8], name[300];

	need_user_xattr();
	write_file("f", "");
	OK(setxattr("f", "user.a", "0123456789", 10, 0));
	CHECK_ERRNO(getxattr("f", "user.a", buf, 5), ERANGE);
	CHECK_ERRNO(listxattr("f", buf, 3), ERANGE);
	CHECK_ERRNO(setxattr("f", "user.b", buf, 65537, 0), E2BIG);
	memcpy(name, "user.", 5);
	memset(name + 5, 'n', 251);
	name[256] = 0;
	CHECK_ERRNO(setxattr("f", name, "", 0, 0), ERANGE);
	name[255] = 0;
	OK(setxattr("f", name, "v", 1, 0));
	CHECK_ERRNO(setxattr("f", "", "", 0, 0), ERANGE);
}

TEST(errors)
{
	char buf[8];

	need_user_xattr();
	write_file("f", "");
	CHECK_ERRNO(getxattr("none", "user.a", buf, 8), ENOENT);
	CHECK_ERRNO(setxattr("none", "user.a", buf, 8, 0), ENOENT);
	CHECK_ERRNO(getxattr("f", "user.none", buf, 8), ENODATA);
	CHECK_ERRNO(setxattr("f", "nonsense.a", "v", 1, 0), EOPNOTSUPP);
	CHECK_ERRNO(setxattr("f", BAD_PTR, "v", 1, 0), EFAULT);
	CHECK_ERRNO(setxattr("f", "user.a", BAD_PTR, 5, 0), EFAULT);
	OK(setxattr("f", "user.a", "v", 1, 0));
	CHECK_ERRNO(getxattr("f", "user.a", BAD_PTR, 8), EFAULT);
	CHECK_ERRNO(fgetxattr(99, "user.a", buf, 8), EBADF);
}

TEST(descriptors_and_links)
{
	char buf[8];
	int fd;

	need_user_xattr();
	write_file("f", "");
	fd = OK(open("f", O_RDONLY));
	OK(symlink("f", "l"));
	OK(fsetxattr(fd, "user.fd", "1", 1, 0));
	CHECK_EQ(fgetxattr(fd, "user.fd", buf, 8), 1);
	CHECK_EQ(getxattr("l", "user.fd", buf, 8), 1);
	CHECK(flistxattr(fd, NULL, 0) >= 8);
	OK(fremovexattr(fd, "user.fd"));
	/* A symbolic link has no user attributes. */
	CHECK_ERRNO(lsetxattr("l", "user.x", "1", 1, 0), EPERM);
	CHECK_EQ(lgetxattr("l", "user.x", buf, 8), -1);
	CHECK(llistxattr("l", NULL, 0) >= 0);
	CHECK_EQ(lremovexattr("l", "user.x"), -1);
	fd = OK(open("f", O_PATH));
	CHECK_ERRNO(fgetxattr(fd, "user.fd", buf, 8), EBADF);
}

TEST(permissions)
{
	char buf[8];

	need_root();
	need_user_xattr();
	write_file("f", "");
	OK(setxattr("f", "user.a", "1", 1, 0));
	OK(chmod("f", 0644));
	become_nobody();
	CHECK_EQ(getxattr("f", "user.a", buf, 8), 1);
	CHECK_ERRNO(setxattr("f", "user.a", "2", 1, 0), EACCES);
	CHECK_ERRNO(removexattr("f", "user.a"), EACCES);
	CHECK_ERRNO(setxattr("f", "trusted.a", "1", 1, 0), EPERM);
	CHECK_ERRNO(getxattr("f", "trusted.a", buf, 8), ENODATA);
}

TEST(special_files_have_no_user_attributes)
{
	need_user_xattr();
	OK(mkfifo("p", 0600));
	CHECK_ERRNO(setxattr("p", "user.a", "1", 1, 0), EPERM);
	OK(mkdir("d", 0700));
	OK(setxattr("d", "user.a", "1", 1, 0));
}

TEST(survive_rename_not_copy)
{
	char buf[8];

	need_user_xattr();
	write_file("f", "");
	OK(setxattr("f", "user.a", "1", 1, 0));
	OK(rename("f", "g"));
	CHECK_EQ(getxattr("g", "user.a", buf, 8), 1);
	write_file("f", "");
	CHECK_ERRNO(getxattr("f", "user.a", buf, 8), ENODATA);
	OK(link("g", "h"));
	CHECK_EQ(getxattr("h", "user.a", buf, 8), 1);
}

TEST(ctime_moves)
{
	struct stat a, b;

	need_user_xattr();
	write_file("f", "");
	OK(stat("f", &a));
	sleep_ms(25);
	OK(setxattr("f", "user.a", "1", 1, 0));
	OK(stat("f", &b));
	CHECK(b.st_ctim.tv_sec > a.st_ctim.tv_sec || b.st_ctim.tv_nsec > a.st_ctim.tv_nsec);
	CHECK_EQ(b.st_mtim.tv_nsec, a.st_mtim.tv_nsec);
}
