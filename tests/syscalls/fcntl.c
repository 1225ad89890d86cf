/* SPDX-License-Identifier: Apache-2.0 */
/* fcntl(2) without locks; ioctl(2) on any file: FIOCLEX, FIONBIO, FIONREAD. */
#include <sys/ioctl.h>

#include "harness.h"

TEST(descriptor_flags)
{
	int fd = OK(open("/dev/null", O_RDONLY));

	CHECK_EQ(fcntl(fd, F_GETFD), 0);
	OK(fcntl(fd, F_SETFD, FD_CLOEXEC));
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	OK(fcntl(fd, F_SETFD, 0xfffe));
	CHECK_EQ(fcntl(fd, F_GETFD), 0);
	OK(ioctl(fd, FIOCLEX));
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	OK(ioctl(fd, FIONCLEX));
	CHECK_EQ(fcntl(fd, F_GETFD), 0);
}

TEST(status_flags)
{
	int fd = OK(open("f", O_CREAT | O_RDWR | O_EXCL, 0600));

	/* Creation flags are not kept; O_LARGEFILE is. */
	CHECK_EQ(fcntl(fd, F_GETFL) & ~0100000, O_RDWR);
	OK(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_WRONLY | O_CREAT));
	CHECK_EQ(fcntl(fd, F_GETFL) & ~0100000, O_RDWR | O_APPEND | O_NONBLOCK);
	OK(fcntl(fd, F_SETFL, 0));
	CHECK_EQ(fcntl(fd, F_GETFL) & ~0100000, O_RDWR);
}

TEST(append_set_later)
{
	int fd;
	char buf[16];

	write_file("f", "0123");
	fd = OK(open("f", O_RDWR));
	OK(fcntl(fd, F_SETFL, O_APPEND));
	CHECK_EQ(write(fd, "45", 2), 2);
	CHECK_EQ(read_file("f", buf, sizeof(buf)), 6);
	CHECK_STR(buf, "012345");
}

TEST(dupfd)
{
	int fd = OK(open("/dev/null", O_RDONLY | O_CLOEXEC)), copy;

	CHECK_EQ(fcntl(fd, F_DUPFD, 100), 100);
	CHECK_EQ(fcntl(fd, F_DUPFD, 100), 101);
	CHECK_EQ(fcntl(100, F_GETFD), 0);
	copy = OK(fcntl(fd, F_DUPFD_CLOEXEC, 100));
	CHECK_EQ(copy, 102);
	CHECK_EQ(fcntl(copy, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(fcntl(fd, F_DUPFD, -1), EINVAL);
	CHECK_ERRNO(fcntl(fd, F_DUPFD, 1 << 30), EINVAL);
}

TEST(errors)
{
	int fd = OK(open("/dev/null", O_RDONLY));

	CHECK_ERRNO(fcntl(88, F_GETFD), EBADF);
	CHECK_ERRNO(fcntl(88, F_SETFL, 0), EBADF);
	CHECK_ERRNO(fcntl(fd, 9999), EINVAL);
	CHECK_ERRNO(fcntl(fd, F_GETLK, BAD_PTR), EFAULT);
	CHECK_ERRNO(fcntl(fd, F_SETLK, BAD_PTR), EFAULT);
}

TEST(pipe_sizes)
{
	int fds[2], size;

	OK(pipe(fds));
	CHECK_EQ(fcntl(fds[0], F_GETPIPE_SZ), 65536);
	size = OK(fcntl(fds[1], F_SETPIPE_SZ, 10000));
	CHECK_EQ(size, 16384);
	CHECK_EQ(fcntl(fds[0], F_GETPIPE_SZ), 16384);
	size = open("/dev/null", O_RDONLY);
	CHECK_ERRNO(fcntl(size, F_GETPIPE_SZ), EBADF);
}

TEST(owner)
{
	struct f_owner_ex owner;
	int fds[2];

	OK(pipe(fds));
	CHECK_EQ(fcntl(fds[0], F_GETOWN), 0);
	OK(fcntl(fds[0], F_SETOWN, getpid()));
	CHECK_EQ(fcntl(fds[0], F_GETOWN), getpid());
	OK(fcntl(fds[0], F_SETOWN, -getpgrp()));
	OK(fcntl(fds[0], F_GETOWN_EX, &owner));
	CHECK_EQ(owner.type, F_OWNER_PGRP);
	CHECK_EQ(owner.pid, getpgrp());
	CHECK_ERRNO(fcntl(fds[0], F_SETOWN, 0x3fffffff), ESRCH);
	CHECK_EQ(fcntl(fds[0], F_GETSIG), 0);
	OK(fcntl(fds[0], F_SETSIG, SIGRTMIN));
	CHECK_EQ(fcntl(fds[0], F_GETSIG), SIGRTMIN);
	CHECK_ERRNO(fcntl(fds[0], F_SETSIG, 65), EINVAL);
}

TEST(async_notification)
{
	int fds[2];

	OK(pipe(fds));
	on_signal(SIGIO, count_signal, 0);
	OK(fcntl(fds[0], F_SETOWN, getpid()));
	OK(fcntl(fds[0], F_SETFL, O_ASYNC));
	CHECK_EQ(write(fds[1], "x", 1), 1);
	for (int i = 0; i < 1000 && !signals_seen; i++)
		sleep_ms(2);
	CHECK(signals_seen >= 1);
}

TEST(fionbio)
{
	int fds[2], on = 1;
	char c;

	OK(pipe(fds));
	OK(ioctl(fds[0], FIONBIO, &on));
	CHECK(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	CHECK_ERRNO(read(fds[0], &c, 1), EAGAIN);
	on = 0;
	OK(ioctl(fds[0], FIONBIO, &on));
	CHECK(!(fcntl(fds[0], F_GETFL) & O_NONBLOCK));
	CHECK_ERRNO(ioctl(fds[0], FIONBIO, BAD_PTR), EFAULT);
}

TEST(fionread)
{
	int fds[2], n = -1, fd;

	OK(pipe(fds));
	OK(ioctl(fds[0], FIONREAD, &n));
	CHECK_EQ(n, 0);
	CHECK_EQ(write(fds[1], "12345", 5), 5);
	OK(ioctl(fds[0], FIONREAD, &n));
	CHECK_EQ(n, 5);
	CHECK_ERRNO(ioctl(fds[0], FIONREAD, BAD_PTR), EFAULT);
	write_file("f", "123456789");
	fd = OK(open("f", O_RDONLY));
	OK(lseek(fd, 4, SEEK_SET));
	OK(ioctl(fd, FIONREAD, &n));
	CHECK_EQ(n, 5);
}

TEST(ioctl_errors)
{
	int fd = OK(open("f", O_CREAT | O_RDWR, 0600)), n;

	CHECK_ERRNO(ioctl(88, FIONREAD, &n), EBADF);
	CHECK_ERRNO(ioctl(fd, TCGETS, &n), ENOTTY);
	CHECK_ERRNO(ioctl(fd, TIOCGWINSZ, &n), ENOTTY);
	CHECK_ERRNO(ioctl(fd, 0xdead, &n), ENOTTY);
}

TEST(cloexec_belongs_to_the_descriptor)
{
	/* Flags belong to the descriptor, not to the open file. */
	int a = OK(open("/dev/null", O_RDONLY)), b = OK(dup(a));

	OK(fcntl(b, F_SETFD, FD_CLOEXEC));
	CHECK_EQ(fcntl(a, F_GETFD), 0);
}

TEST(write_life_hints)
{
	int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
	uint64_t hint = 99;

	OK(fcntl(fd, F_GET_RW_HINT, &hint));
	CHECK_EQ(hint, RWH_WRITE_LIFE_NOT_SET);
	hint = RWH_WRITE_LIFE_SHORT;
	OK(fcntl(fd, F_SET_RW_HINT, &hint));
	fd = OK(open("f", O_RDONLY));
	hint = 0;
	OK(fcntl(fd, F_GET_RW_HINT, &hint));
	CHECK_EQ(hint, RWH_WRITE_LIFE_SHORT);
	for (hint = RWH_WRITE_LIFE_NONE; hint <= RWH_WRITE_LIFE_EXTREME; hint++) {
		CHECK(hint == RWH_WRITE_LIFE_NONE || hint == RWH_WRITE_LIFE_SHORT ||
		      hint == RWH_WRITE_LIFE_MEDIUM || hint == RWH_WRITE_LIFE_LONG ||
		      hint == RWH_WRITE_LIFE_EXTREME);
		OK(fcntl(fd, F_SET_RW_HINT, &hint));
	}
	/* Those of a description went with Linux 5.17. */
	CHECK_ERRNO(fcntl(fd, F_GET_FILE_RW_HINT, &hint), EINVAL);
	CHECK_ERRNO(fcntl(fd, F_SET_FILE_RW_HINT, &hint), EINVAL);
	hint = 77;
	CHECK_ERRNO(fcntl(fd, F_SET_RW_HINT, &hint), EINVAL);
	CHECK_ERRNO(fcntl(fd, F_GET_RW_HINT, BAD_PTR), EFAULT);
}
