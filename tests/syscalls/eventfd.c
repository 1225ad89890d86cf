/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2), eventfd2(2). */
#include <poll.h>
#include <sys/eventfd.h>

#include "harness.h"

static void put(int fd, uint64_t n)
{
	CHECK_EQ(write(fd, &n, 8), 8);
}

TEST(sums)
{
	int fd = OK(eventfd(3, 0));
	uint64_t n = 0;

	put(fd, 4);
	put(fd, 0);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK_EQ(n, 7);
}

TEST(semaphore)
{
	int fd = OK(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
	uint64_t n = 0;

	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK_EQ(n, 1);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK_EQ(n, 1);
	CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
}

TEST(flags)
{
	int fd = OK(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR | O_NONBLOCK);
	CHECK_ERRNO(eventfd(0, 0x100), EINVAL);
	fd = (int)OK(syscall(SYS_eventfd, 5));
	CHECK_EQ(fcntl(fd, F_GETFD), 0);
}

TEST(overflow)
{
	int fd = OK(eventfd(0, EFD_NONBLOCK));
	uint64_t n = UINT64_MAX;

	CHECK_ERRNO(write(fd, &n, 8), EINVAL);
	put(fd, UINT64_MAX - 1);
	n = 1;
	CHECK_ERRNO(write(fd, &n, 8), EAGAIN);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK_EQ(n, UINT64_MAX - 1);
}

TEST(sizes)
{
	int fd = OK(eventfd(1, EFD_NONBLOCK));
	uint64_t n[2] = { 1, 1 };

	CHECK_ERRNO(read(fd, n, 7), EINVAL);
	CHECK_ERRNO(write(fd, n, 7), EINVAL);
	CHECK_EQ(read(fd, n, 16), 8);
	CHECK_ERRNO(write(fd, BAD_PTR, 8), EFAULT);
	CHECK_ERRNO(pread(fd, n, 8, 0), ESPIPE);
}

TEST(poll_states)
{
	int fd = OK(eventfd(0, 0));
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };

	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLOUT);
	put(fd, 1);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN | POLLOUT);
	put(fd, UINT64_MAX - 2);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN);
}

TEST(blocked_reader)
{
	int fd = OK(eventfd(0, 0));
	uint64_t n;
	pid_t pid;

	CHILD (pid) {
		CHECK_EQ(read(fd, &n, 8), 8);
		CHECK_EQ(n, 5);
	}
	settle(pid);
	put(fd, 5);
	wait_ok(pid);
}

TEST(blocked_writer)
{
	int fd = OK(eventfd(0, 0));
	uint64_t n;
	pid_t pid;

	put(fd, UINT64_MAX - 1);
	CHILD (pid)
		put(fd, 2);
	settle(pid);
	CHECK_EQ(read(fd, &n, 8), 8);
	wait_ok(pid);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK_EQ(n, 2);
}

TEST(interrupted)
{
	int fd = OK(eventfd(0, 0));
	uint64_t n;
	pid_t pid;

	CHILD (pid) {
		on_signal(SIGUSR1, count_signal, 0);
		CHECK_ERRNO(read(fd, &n, 8), EINTR);
	}
	settle(pid);
	OK(kill(pid, SIGUSR1));
	wait_ok(pid);
}

TEST(no_write_is_lost)
{
	int fd = OK(eventfd(0, 0));
	uint64_t n, sum = 0;
	pid_t pids[3];

	for (int i = 0; i < 3; i++) {
		CHILD (pids[i]) {
			for (int k = 0; k < 500; k++)
				put(fd, 1);
		}
	}
	while (sum < 1500) {
		CHECK_EQ(read(fd, &n, 8), 8);
		sum += n;
	}
	CHECK_EQ(sum, 1500);
	for (int i = 0; i < 3; i++)
		wait_ok(pids[i]);
}
