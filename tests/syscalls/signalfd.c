/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd(2), signalfd4(2). */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>

#include "harness.h"

static sigset_t block(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	return set;
}

TEST(reads_a_signal)
{
	sigset_t set = block(SIGUSR1);
	struct signalfd_siginfo info;
	int fd = OK(signalfd(-1, &set, 0));

	CHECK_EQ(sizeof(info), 128);
	OK(kill(getpid(), SIGUSR1));
	memset(&info, 0xff, sizeof(info));
	CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
	CHECK_EQ(info.ssi_signo, SIGUSR1);
	CHECK_EQ(info.ssi_code, SI_USER);
	CHECK_EQ(info.ssi_pid, getpid());
	CHECK_EQ(info.ssi_uid, getuid());
	CHECK_EQ(info.ssi_errno, 0);
}

TEST(value_of_a_queued_signal)
{
	sigset_t set = block(SIGRTMIN);
	struct signalfd_siginfo info[4];
	int fd = OK(signalfd(-1, &set, 0));

	for (int i = 1; i <= 3; i++)
		OK(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i }));
	/* As many as fit and are there. */
	CHECK_EQ(read(fd, info, sizeof(info[0]) * 2), sizeof(info[0]) * 2);
	CHECK_EQ(info[0].ssi_int, 1);
	CHECK_EQ(info[1].ssi_int, 2);
	CHECK_EQ(info[0].ssi_code, SI_QUEUE);
	CHECK_EQ(read(fd, info, sizeof(info)), sizeof(info[0]));
	CHECK_EQ(info[0].ssi_int, 3);
}

TEST(nonblocking)
{
	sigset_t set = block(SIGUSR1);
	struct signalfd_siginfo info;
	int fd = OK(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK_ERRNO(read(fd, &info, sizeof(info)), EAGAIN);
	CHECK_ERRNO(read(fd, &info, sizeof(info) - 1), EINVAL);
	CHECK_ERRNO(write(fd, &info, sizeof(info)), EINVAL);
}

TEST(errors)
{
	sigset_t set = block(SIGUSR1);
	int null = OK(open("/dev/null", O_RDONLY));

	CHECK_ERRNO(signalfd(-1, &set, 1), EINVAL);
	CHECK_ERRNO(signalfd(99, &set, 0), EBADF);
	CHECK_ERRNO(signalfd(null, &set, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_signalfd4, -1, BAD_PTR, 8, 0), EFAULT);
	OK(syscall(SYS_signalfd, -1, &set, 8));
}

TEST(mask_can_be_changed)
{
	sigset_t a = block(SIGUSR1), b = block(SIGUSR2);
	struct signalfd_siginfo info;
	int fd = OK(signalfd(-1, &a, SFD_NONBLOCK));

	OK(kill(getpid(), SIGUSR2));
	CHECK_ERRNO(read(fd, &info, sizeof(info)), EAGAIN);
	CHECK_EQ(signalfd(fd, &b, 0), fd);
	CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
	CHECK_EQ(info.ssi_signo, SIGUSR2);
}

TEST(poll)
{
	sigset_t set = block(SIGUSR1);
	int fd = OK(signalfd(-1, &set, 0));
	struct pollfd p = { fd, POLLIN, 0 };
	struct signalfd_siginfo info;
	pid_t pid, self = getpid();

	CHECK_EQ(poll(&p, 1, 0), 0);
	CHILD (pid) {
		settle(self);
		OK(kill(self, SIGUSR1));
	}
	CHECK_EQ(poll(&p, 1, 15000), 1);
	CHECK_EQ(p.revents, POLLIN);
	CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
	CHECK_EQ(info.ssi_pid, pid);
	CHECK_EQ(poll(&p, 1, 0), 0);
	wait_ok(pid);
}

TEST(blocking_read)
{
	sigset_t set = block(SIGUSR1);
	int fd = OK(signalfd(-1, &set, 0));
	struct signalfd_siginfo info;
	pid_t pid, self = getpid();

	CHILD (pid) {
		settle(self);
		OK(kill(self, SIGUSR1));
	}
	CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
	CHECK_EQ(info.ssi_signo, SIGUSR1);
	wait_ok(pid);
}

TEST(child_status)
{
	sigset_t set = block(SIGCHLD);
	int fd = OK(signalfd(-1, &set, 0));
	struct signalfd_siginfo info;
	pid_t pid;

	CHILD (pid)
		_exit(19);
	CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
	CHECK_EQ(info.ssi_code, CLD_EXITED);
	CHECK_EQ(info.ssi_status, 19);
	CHECK_EQ(info.ssi_pid, pid);
	wait_exit(pid, 19);
}

TEST(reader_gets_its_own_signals)
{
	sigset_t set = block(SIGUSR1);
	int fd = OK(signalfd(-1, &set, SFD_NONBLOCK));
	struct signalfd_siginfo info;
	pid_t pid;

	/* The descriptor shows the signals of who reads, not of who made it. */
	OK(kill(getpid(), SIGUSR1));
	CHILD (pid) {
		CHECK_ERRNO(read(fd, &info, sizeof(info)), EAGAIN);
		OK(kill(getpid(), SIGUSR1));
		CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
		CHECK_EQ(info.ssi_pid, getpid());
	}
	wait_ok(pid);
	CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
}

TEST(bad_buffer)
{
	sigset_t set = block(SIGUSR1);
	int fd = OK(signalfd(-1, &set, SFD_NONBLOCK));

	OK(kill(getpid(), SIGUSR1));
	CHECK_ERRNO(read(fd, BAD_PTR, 128), EFAULT);
}

/* Waits in `how` for SIGUSR1, which the parent sends when this process sleeps. */
static void wait_for_own_signal(int fd, int how)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timeval tv = { .tv_sec = 60 };
	const int64_t start = now_ns();
	int ep;
	fd_set set;

	switch (how) {
	case 0:
		CHECK_EQ(poll(&p, 1, 60000), 1);
		break;
	case 1:
		FD_ZERO(&set);
		FD_SET(fd, &set);
		CHECK_EQ(select(fd + 1, &set, NULL, NULL, &tv), 1);
		break;
	default:
		ep = OK(epoll_create1(0));
		OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
		CHECK_EQ(epoll_wait(ep, &event, 1, 60000), 1);
	}
	CHECK(now_ns() - start < 50000 * MS_IN_NS);
}

TEST(inherited_one_tells_of_the_childs_signals)
{
	sigset_t set = block(SIGUSR1);
	int fd = OK(signalfd(-1, &set, 0));

	for (int how = 0; how < 3; how++) {
		pid_t pid;

		CHILD (pid)
			wait_for_own_signal(fd, how);
		settle(pid);
		OK(kill(pid, SIGUSR1));
		wait_ok(pid);
	}
}

/* The epoll outlives the process whose signals its item tells of. */
TEST(epoll_of_a_signalfd_outlives_who_added_it)
{
	sigset_t set = block(SIGUSR1);
	struct epoll_event event = { .events = EPOLLIN };
	int fd = OK(signalfd(-1, &set, 0)), ep = OK(epoll_create1(0));
	pid_t pid;

	CHILD (pid)
		OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
	wait_ok(pid);
	OK(kill(getpid(), SIGUSR1));
	OK(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event));
	CHECK_EQ(epoll_wait(ep, &event, 1, 60000), 1);
	OK(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
}
