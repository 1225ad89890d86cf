/* SPDX-License-Identifier: Apache-2.0 */
/* openat2(2) with its resolve flags; name_to_handle_at(2), open_by_handle_at(2). */
#include <linux/openat2.h>

#include "harness.h"

static int open2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = { flags, mode, resolve };

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

static void need_openat2(void)
{
	if (open2(AT_FDCWD, ".", O_RDONLY, 0, 0) < 0 && errno == ENOSYS)
		SKIP("no openat2");
}

static int tree(void)
{
	need_openat2();
	OK(mkdir("root", 0755));
	OK(mkdir("root/dir", 0755));
	write_file("root/dir/file", "inside");
	write_file("outside", "outside");
	OK(symlink("dir/file", "root/good"));
	OK(symlink("../outside", "root/up"));
	OK(symlink("/outside", "root/abs"));
	OK(symlink("/dir/file", "root/abs-good"));
	return OK(open("root", O_RDONLY | O_DIRECTORY));
}

TEST(as_openat)
{
	int fd;

	need_openat2();
	fd = OK(open2(AT_FDCWD, "f", O_CREAT | O_RDWR | O_CLOEXEC, 0640, 0));
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(open2(AT_FDCWD, "none", O_RDONLY, 0, 0), ENOENT);
	CHECK_ERRNO(open2(99, "f", O_RDONLY, 0, 0), EBADF);
}

TEST(strict_arguments)
{
	struct {
		struct open_how how;
		uint64_t more;
	} big = { { O_RDONLY, 0, 0 }, 0 };

	need_openat2();
	CHECK_ERRNO(open2(AT_FDCWD, ".", 1ULL << 40, 0, 0), EINVAL);
	CHECK_ERRNO(open2(AT_FDCWD, ".", O_RDONLY, 0600, 0), EINVAL);
	CHECK_ERRNO(open2(AT_FDCWD, "f", O_CREAT | O_RDWR, 0170600, 0), EINVAL);
	CHECK_ERRNO(open2(AT_FDCWD, ".", O_RDONLY, 0, 1 << 20), EINVAL);
	CHECK_ERRNO(open2(AT_FDCWD, ".", O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT), EINVAL);
	CHECK_ERRNO(open2(AT_FDCWD, ".", O_PATH | O_RDWR, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", &big, 8), EINVAL);
	OK(syscall(SYS_openat2, AT_FDCWD, ".", &big, sizeof(big)));
	big.more = 1;
	CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", &big, sizeof(big)), E2BIG);
	CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", BAD_PTR, sizeof(struct open_how)), EFAULT);
	CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", &big, 8192), E2BIG);
}

TEST(beneath)
{
	int root = tree();

	OK(open2(root, "dir/file", O_RDONLY, 0, RESOLVE_BENEATH));
	OK(open2(root, "dir/../dir/file", O_RDONLY, 0, RESOLVE_BENEATH));
	OK(open2(root, "good", O_RDONLY, 0, RESOLVE_BENEATH));
	CHECK_ERRNO(open2(root, "../outside", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
	CHECK_ERRNO(open2(root, "dir/../../root/dir/file", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
	CHECK_ERRNO(open2(root, "up", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
	CHECK_ERRNO(open2(root, "abs", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
	CHECK_ERRNO(open2(root, "/", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
}

TEST(in_root)
{
	int root = tree(), fd;
	char buf[16] = "";
	struct stat a, b;

	fd = OK(open2(root, "/dir/file", O_RDONLY, 0, RESOLVE_IN_ROOT));
	CHECK_EQ(read(fd, buf, 16), 6);
	OK(open2(root, "abs-good", O_RDONLY, 0, RESOLVE_IN_ROOT));
	CHECK_ERRNO(open2(root, "abs", O_RDONLY, 0, RESOLVE_IN_ROOT), ENOENT);
	CHECK_ERRNO(open2(root, "up", O_RDONLY, 0, RESOLVE_IN_ROOT), ENOENT);
	/* ".." stops at the root. */
	OK(fstat(root, &a));
	OK(fstat(OK(open2(root, "../../..", O_RDONLY, 0, RESOLVE_IN_ROOT)), &b));
	CHECK_EQ(a.st_ino, b.st_ino);
	OK(open2(root, "../dir/file", O_RDONLY, 0, RESOLVE_IN_ROOT));
}

TEST(no_symlinks)
{
	int root = tree();

	OK(open2(root, "dir/file", O_RDONLY, 0, RESOLVE_NO_SYMLINKS));
	CHECK_ERRNO(open2(root, "good", O_RDONLY, 0, RESOLVE_NO_SYMLINKS), ELOOP);
	OK(open2(root, "good", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS));
	OK(symlink("dir", "root/ld"));
	CHECK_ERRNO(open2(root, "ld/file", O_RDONLY, 0, RESOLVE_NO_SYMLINKS), ELOOP);
}

TEST(no_magiclinks)
{
	int root = tree();
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", root);
	OK(open2(AT_FDCWD, path, O_RDONLY, 0, 0));
	CHECK_ERRNO(open2(AT_FDCWD, path, O_RDONLY, 0, RESOLVE_NO_MAGICLINKS), ELOOP);
	OK(open2(root, "good", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
}

TEST(no_xdev)
{
	need_openat2();
	OK(open2(AT_FDCWD, ".", O_RDONLY, 0, RESOLVE_NO_XDEV));
	CHECK_ERRNO(open2(AT_FDCWD, "/proc/self", O_RDONLY, 0, RESOLVE_NO_XDEV), EXDEV);
}

TEST(create_beneath)
{
	int root = tree();

	OK(open2(root, "dir/new", O_CREAT | O_RDWR, 0600, RESOLVE_BENEATH));
	CHECK_ERRNO(open2(root, "../new", O_CREAT | O_RDWR, 0600, RESOLVE_BENEATH), EXDEV);
	CHECK_ERRNO(access("new", F_OK), ENOENT);
}

TEST(race_of_rename_never_escapes)
{
	int root = tree(), stop[2];
	pid_t pid;
	char c;

	OK(mkdir("root/a", 0755));
	OK(mkdir("root/a/b", 0755));
	OK(pipe2(stop, O_NONBLOCK));
	CHILD (pid) {
		while (read(stop[0], &c, 1) != 1) {
			OK(rename("root/a/b", "b"));
			OK(rename("b", "root/a/b"));
		}
	}
	for (int i = 0; i < 3000; i++) {
		int fd = open2(root, "a/b/../../../outside", O_RDONLY, 0, RESOLVE_BENEATH);

		CHECK(fd < 0);
		CHECK(errno == EXDEV || errno == EAGAIN || errno == ENOENT);
		fd = open2(root, "a/b/../../outside", O_RDONLY, 0, RESOLVE_IN_ROOT);
		CHECK(fd < 0);
	}
	CHECK_EQ(write(stop[1], "s", 1), 1);
	wait_ok(pid);
}

TEST(handles)
{
	struct {
		struct file_handle h;
		unsigned char data[128];
	} handle = { .h.handle_bytes = 128 };
	int mount_id;

	write_file("f", "");
	/* A container has no right to open by handle, whatever it may make of a name. */
	if (name_to_handle_at(AT_FDCWD, "f", &handle.h, &mount_id, 0))
		CHECK(errno == EOPNOTSUPP || errno == EPERM || errno == ENOSYS);
	handle.h.handle_bytes = 129;
	CHECK(name_to_handle_at(AT_FDCWD, "f", &handle.h, &mount_id, 0) == -1);
	CHECK(errno == EINVAL || errno == EPERM || errno == ENOSYS);
	if (!have_cap(CAP_DAC_READ_SEARCH)) {
		handle.h.handle_bytes = 8;
		CHECK(open_by_handle_at(AT_FDCWD, &handle.h, O_RDONLY) == -1);
		CHECK(errno == EPERM || errno == ENOSYS || errno == EOPNOTSUPP);
	}
}
