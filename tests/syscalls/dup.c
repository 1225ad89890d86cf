/* SPDX-License-Identifier: Apache-2.0 */
/* dup(2), dup2(2), dup3(2), close_range(2). */
#include <sys/resource.h>

#include "harness.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2
#define CLOSE_RANGE_CLOEXEC 4
#endif

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

TEST(dup_takes_the_lowest)
{
	int a = OK(open("/dev/null", O_RDWR | O_CLOEXEC)), b = OK(dup(a));

	CHECK_EQ(b, a + 1);
	CHECK_EQ(fcntl(b, F_GETFD), 0);
	CHECK_EQ(fcntl(a, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(dup(99), EBADF);
	CHECK_ERRNO(dup(-1), EBADF);
}

TEST(dup2_replaces)
{
	int fds[2], other = OK(open("/dev/zero", O_RDONLY));
	char c;

	OK(pipe(fds));
	CHECK_EQ(dup2(fds[0], other), other);
	CHECK_EQ(write(fds[1], "p", 1), 1);
	CHECK_EQ(read(other, &c, 1), 1);
	CHECK_EQ(c, 'p');
	OK(close(fds[0]));
	CHECK_EQ(write(fds[1], "q", 1), 1);
	CHECK_EQ(read(other, &c, 1), 1);
}

TEST(dup2_to_itself)
{
	int fd = OK(open("/dev/null", O_RDONLY | O_CLOEXEC));

	CHECK_EQ(dup2(fd, fd), fd);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(dup2(99, 99), EBADF);
}

TEST(dup2_errors)
{
	struct rlimit lim = { 40, 40 };
	int fd = OK(open("/dev/null", O_RDONLY));

	CHECK_ERRNO(dup2(99, fd), EBADF);
	CHECK(is_open(fd));
	CHECK_ERRNO(dup2(fd, -1), EBADF);
	OK(setrlimit(RLIMIT_NOFILE, &lim));
	CHECK_EQ(dup2(fd, 39), 39);
	CHECK_ERRNO(dup2(fd, 40), EBADF);
	CHECK_ERRNO(fcntl(fd, F_DUPFD, 40), EINVAL);
	CHECK_ERRNO(fcntl(fd, F_DUPFD, 39), EMFILE);
}

TEST(dup3)
{
	int fd = OK(open("/dev/null", O_RDONLY));

	CHECK_EQ(dup3(fd, 50, O_CLOEXEC), 50);
	CHECK_EQ(fcntl(50, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(dup3(fd, 50, 0), 50);
	CHECK_EQ(fcntl(50, F_GETFD), 0);
	CHECK_ERRNO(dup3(fd, fd, 0), EINVAL);
	CHECK_ERRNO(dup3(fd, 51, O_NONBLOCK), EINVAL);
	CHECK_ERRNO(dup3(99, 51, 0), EBADF);
}

TEST(duplicates_share_status_flags)
{
	int a = OK(open("/dev/null", O_RDWR)), b = OK(dup(a)), c = OK(open("/dev/null", O_RDWR));

	OK(fcntl(a, F_SETFL, O_NONBLOCK | O_APPEND));
	CHECK_EQ(fcntl(b, F_GETFL) & (O_NONBLOCK | O_APPEND), O_NONBLOCK | O_APPEND);
	CHECK_EQ(fcntl(c, F_GETFL) & (O_NONBLOCK | O_APPEND), 0);
}

TEST(last_close_ends_a_pipe)
{
	int fds[2], copy;
	char c;

	OK(pipe(fds));
	copy = OK(dup(fds[1]));
	OK(close(fds[1]));
	OK(fcntl(fds[0], F_SETFL, O_NONBLOCK));
	CHECK_ERRNO(read(fds[0], &c, 1), EAGAIN);
	OK(close(copy));
	CHECK_EQ(read(fds[0], &c, 1), 0);
}

TEST(close_range_closes)
{
	int fd = OK(open("/dev/null", O_RDONLY));

	for (int i = 60; i < 70; i++)
		OK(dup2(fd, i));
	OK(syscall(SYS_close_range, 62, 66, 0));
	CHECK(is_open(61) && !is_open(62) && !is_open(66) && is_open(67));
	OK(syscall(SYS_close_range, 68, 68, CLOSE_RANGE_CLOEXEC));
	CHECK_EQ(fcntl(68, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(69, F_GETFD), 0);
	CHECK_ERRNO(syscall(SYS_close_range, 5, 4, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_close_range, 5, 6, 64), EINVAL);
	OK(syscall(SYS_close_range, 69, 0x7fffffff, 0));
	CHECK(!is_open(69));
	OK(syscall(SYS_close_range, 150, 160, 0));
}

TEST(close_range_unshare)
{
	int fd = OK(open("/dev/null", O_RDONLY));
	pid_t pid;

	OK(dup2(fd, 60));
	/* A child that shares the table, as a thread would. */
	pid = (pid_t)OK(syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0));
	if (pid == 0) {
		OK(syscall(SYS_close_range, 60, 60, CLOSE_RANGE_UNSHARE));
		_exit(is_open(60) ? 1 : 0);
	}
	wait_ok(pid);
	CHECK(is_open(60));
}
