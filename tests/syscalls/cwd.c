/* SPDX-License-Identifier: Apache-2.0 */
/* getcwd(2), chdir(2), fchdir(2). */
#include "harness.h"

TEST(raw_call_returns_the_length)
{
	char buf[PATH_MAX];
	long n = OK(syscall(SYS_getcwd, buf, sizeof(buf)));

	CHECK_EQ(n, strlen(buf) + 1);
	CHECK_EQ(buf[0], '/');
}

TEST(follows_chdir)
{
	char before[PATH_MAX], after[PATH_MAX + 8];

	CHECK(getcwd(before, sizeof(before)));
	OK(mkdir("d", 0700));
	OK(chdir("d"));
	CHECK(getcwd(after, sizeof(after)));
	strcat(before, "/d");
	CHECK_STR(after, before);
	OK(chdir("/"));
	CHECK(getcwd(after, sizeof(after)));
	CHECK_STR(after, "/");
	OK(chdir(".."));
	CHECK(getcwd(after, sizeof(after)));
	CHECK_STR(after, "/");
}

TEST(resolves_links)
{
	char before[PATH_MAX], after[PATH_MAX];

	OK(mkdir("real", 0700));
	OK(symlink("real", "link"));
	CHECK(getcwd(before, sizeof(before)));
	strcat(before, "/real");
	OK(chdir("link"));
	CHECK(getcwd(after, sizeof(after)));
	CHECK_STR(after, before);
}

TEST(getcwd_errors)
{
	char buf[8];

	CHECK_ERRNO(syscall(SYS_getcwd, buf, 1), ERANGE);
	CHECK_ERRNO(syscall(SYS_getcwd, buf, 0), ERANGE);
	CHECK_ERRNO(syscall(SYS_getcwd, BAD_PTR, 4096), EFAULT);
}

TEST(chdir_errors)
{
	char name[300];

	write_file("f", "");
	CHECK_ERRNO(chdir("none"), ENOENT);
	CHECK_ERRNO(chdir("f"), ENOTDIR);
	CHECK_ERRNO(chdir(""), ENOENT);
	CHECK_ERRNO(chdir(BAD_PTR), EFAULT);
	memset(name, 'a', 256);
	name[256] = 0;
	CHECK_ERRNO(chdir(name), ENAMETOOLONG);
	OK(symlink("l", "l"));
	CHECK_ERRNO(chdir("l"), ELOOP);
	CHECK_ERRNO(fchdir(99), EBADF);
	CHECK_ERRNO(fchdir(OK(open("f", O_RDONLY))), ENOTDIR);
}

TEST(fchdir)
{
	char before[PATH_MAX], after[PATH_MAX];
	int here = OK(open(".", O_RDONLY));

	CHECK(getcwd(before, sizeof(before)));
	OK(chdir("/"));
	OK(fchdir(here));
	CHECK(getcwd(after, sizeof(after)));
	CHECK_STR(after, before);
	here = OK(open(".", O_PATH));
	OK(chdir("/"));
	OK(fchdir(here));
	CHECK(getcwd(after, sizeof(after)));
	CHECK_STR(after, before);
}

TEST(needs_search_permission)
{
	int fd;

	need_root();
	OK(mkdir("d", 0700));
	fd = OK(open("d", O_RDONLY));
	become_nobody();
	CHECK_ERRNO(chdir("d"), EACCES);
	CHECK_ERRNO(fchdir(fd), EACCES);
}

TEST(removed_and_renamed)
{
	char before[PATH_MAX], after[PATH_MAX];

	CHECK(getcwd(before, sizeof(before)));
	OK(mkdir("d", 0700));
	OK(chdir("d"));
	OK(rename("../d", "../e"));
	CHECK(getcwd(after, sizeof(after)));
	strcat(before, "/e");
	CHECK_STR(after, before);
	OK(rmdir("../e"));
	CHECK_ERRNO(syscall(SYS_getcwd, after, sizeof(after)), ENOENT);
	CHECK_ERRNO(open("x", O_CREAT | O_RDWR, 0600), ENOENT);
	OK(access(".", F_OK));
}

TEST(child_has_its_own)
{
	char before[PATH_MAX], after[PATH_MAX];
	pid_t pid;

	CHECK(getcwd(before, sizeof(before)));
	CHILD (pid)
		OK(chdir("/"));
	wait_ok(pid);
	CHECK(getcwd(after, sizeof(after)));
	CHECK_STR(after, before);
}

TEST(shared_with_clone_fs)
{
	char after[PATH_MAX];
	pid_t pid = (pid_t)OK(syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0));

	if (pid == 0) {
		OK(chdir("/"));
		umask(0123);
		_exit(0);
	}
	wait_ok(pid);
	CHECK(getcwd(after, sizeof(after)));
	CHECK_STR(after, "/");
	CHECK_EQ(umask(022), 0123);
}

TEST(long_path_is_relative_only)
{
	char name[201], *buf = malloc(40 * 201 + 100);
	int fd = OK(open(".", O_RDONLY));

	memset(name, 'n', 200);
	name[200] = 0;
	for (int i = 0; i < 25; i++) {
		OK(mkdir(name, 0700));
		OK(chdir(name));
	}
	/* Deeper than PATH_MAX: the kernel says so, relative names still work. */
	CHECK_ERRNO(syscall(SYS_getcwd, buf, 40 * 201), ENAMETOOLONG);
	write_file("f", "");
	OK(unlink("f"));
	OK(fchdir(fd));
}
