/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes through a path, a link that is not followed, and a descriptor: one rule. */
#include <sys/xattr.h>

#include "harness.h"

static int fd;

static void set_up(void)
{
	write_file("file", "x");
	if (setxattr("file", "user.probe", "x", 1, 0) && errno == EOPNOTSUPP)
		SKIP("no user attributes on this file system");
	OK(symlink("file", "link"));
	fd = OK(open("file", O_RDONLY));
}

/* Each form of a call on the same file. */
#define EACH(X, call, ...)                  \
	X(SYS_##call, "file", __VA_ARGS__)  \
	X(SYS_l##call, "file", __VA_ARGS__) \
	X(SYS_f##call, fd, __VA_ARGS__)

#define IS(call, ...) CHECK_ERRNO(syscall(call, __VA_ARGS__), WANT);

TEST(missing_and_taken_names)
{
	char buf[64];

	set_up();
#define WANT ENODATA
	EACH(IS, getxattr, "user.none", buf, sizeof(buf))
	EACH(IS, setxattr, "user.none", "1", 1, XATTR_REPLACE)
	EACH(IS, removexattr, "user.none")
#undef WANT
#define WANT EEXIST
	EACH(IS, setxattr, "user.probe", "1", 1, XATTR_CREATE)
#undef WANT
}

TEST(sizes)
{
	char buf[64], *big = calloc(1, 70000);

	set_up();
	OK(setxattr("file", "user.probe", "0123456789", 10, 0));
#define WANT ERANGE
	EACH(IS, getxattr, "user.probe", buf, 5)
	EACH(IS, listxattr, buf, 3)
	EACH(IS, setxattr, "", "1", 1, 0)
	EACH(IS, removexattr, "")
#undef WANT
#define WANT E2BIG
	EACH(IS, setxattr, "user.big", big, 65537, 0)
#undef WANT
	/* More room than an attribute may have is no error. */
	CHECK_EQ(syscall(SYS_getxattr, "file", "user.probe", big, 70000), 10);
	CHECK_EQ(syscall(SYS_lgetxattr, "file", "user.probe", big, 70000), 10);
	CHECK_EQ(syscall(SYS_fgetxattr, fd, "user.probe", big, 70000), 10);
	CHECK(syscall(SYS_flistxattr, fd, big, 70000) >= 11);
}

TEST(addresses)
{
	char buf[64];

	set_up();
#define WANT EFAULT
	EACH(IS, getxattr, BAD_PTR, buf, sizeof(buf))
	EACH(IS, getxattr, "user.probe", BAD_PTR, 10)
	EACH(IS, setxattr, "user.x", BAD_PTR, 1, 0)
	EACH(IS, listxattr, BAD_PTR, 60)
	EACH(IS, removexattr, BAD_PTR)
#undef WANT
#define WANT EINVAL
	EACH(IS, setxattr, "user.x", "1", 1, 4)
#undef WANT
}

TEST(name_spaces)
{
	char buf[64];

	set_up();
#define WANT EOPNOTSUPP
	EACH(IS, getxattr, "none.x", buf, sizeof(buf))
	EACH(IS, setxattr, "none.x", "1", 1, 0)
	EACH(IS, removexattr, "none.x")
#undef WANT
	/* User attributes belong to files and directories. */
	CHECK_ERRNO(syscall(SYS_lsetxattr, "link", "user.x", "1", 1, 0), EPERM);
	CHECK_ERRNO(syscall(SYS_lremovexattr, "link", "user.x"), EPERM);
	CHECK_ERRNO(syscall(SYS_lgetxattr, "link", "user.x", buf, sizeof(buf)), ENODATA);
}

TEST(rights)
{
	need_root();
	set_up();
	become_nobody();
#define WANT EACCES
	EACH(IS, setxattr, "user.x", "1", 1, 0)
	EACH(IS, removexattr, "user.probe")
#undef WANT
#define WANT EPERM
	EACH(IS, setxattr, "trusted.x", "1", 1, 0)
#undef WANT
}
