/* SPDX-License-Identifier: Apache-2.0 */
/* Input and output that tells by a signal: O_ASYNC, FIOASYNC, F_SETOWN, F_SETSIG. */
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#include "harness.h"

static volatile sig_atomic_t count, last_fd, last_code, last_band, last_sig;

static void tell(int sig, siginfo_t *info, void *context)
{
	last_sig = sig;
	last_fd = info->si_fd;
	last_code = info->si_code;
	last_band = (int)info->si_band;
	count++;
}

static void arm(int fd, int sig)
{
	on_siginfo(sig ? sig : SIGIO, tell, SA_RESTART);
	OK(fcntl(fd, F_SETOWN, getpid()));
	OK(fcntl(fd, F_SETSIG, sig));
	OK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
	count = 0;
}

static void wait_count(int n)
{
	for (int i = 0; i < 15000 && count < n; i++)
		sleep_ms(1);
	CHECK(count >= n);
}

TEST(plain_signal_of_a_pipe)
{
	int fds[2];

	OK(pipe(fds));
	arm(fds[0], 0);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	wait_count(1);
	CHECK_EQ(last_sig, SIGIO);
	CHECK_EQ(last_code, SI_KERNEL);
	/* No more after it was switched off. */
	OK(fcntl(fds[0], F_SETFL, 0));
	count = 0;
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(count, 0);
}

TEST(signal_that_says_what)
{
	int sv[2];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	arm(sv[0], SIGRTMIN + 1);
	CHECK_EQ(send(sv[1], "x", 1, 0), 1);
	wait_count(1);
	CHECK_EQ(last_sig, SIGRTMIN + 1);
	CHECK_EQ(last_fd, sv[0]);
	CHECK_EQ(last_code, POLL_IN);
	CHECK_EQ(last_band, POLLIN | POLLRDNORM);
	count = 0;
	OK(close(sv[1]));
	wait_count(1);
	CHECK_EQ(last_fd, sv[0]);
}

TEST(by_ioctl)
{
	int sv[2], on = 1;

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	on_siginfo(SIGIO, tell, SA_RESTART);
	OK(fcntl(sv[0], F_SETOWN, getpid()));
	OK(ioctl(sv[0], FIOASYNC, &on));
	CHECK(fcntl(sv[0], F_GETFL) & O_ASYNC);
	CHECK_EQ(send(sv[1], "x", 1, 0), 1);
	wait_count(1);
	on = 0;
	OK(ioctl(sv[0], FIOASYNC, &on));
	CHECK(!(fcntl(sv[0], F_GETFL) & O_ASYNC));
}

/* The owner of a socket has ioctls of its own. */
TEST(owner_of_a_socket)
{
	int fd = OK(socket(AF_INET, SOCK_DGRAM, 0)), pid = getpid(), got = -1;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	OK(ioctl(fd, FIOSETOWN, &pid));
	OK(ioctl(fd, FIOGETOWN, &got));
	CHECK_EQ(got, pid);
	pid = -getpgrp();
	OK(ioctl(fd, SIOCSPGRP, &pid));
	OK(ioctl(fd, SIOCGPGRP, &got));
	CHECK_EQ(got, -getpgrp());
	OK(bind(fd, (struct sockaddr *)&a, len));
	OK(getsockname(fd, (struct sockaddr *)&a, &len));
	arm(fd, 0);
	CHECK_EQ(sendto(fd, "x", 1, 0, (struct sockaddr *)&a, len), 1);
	wait_count(1);
}

TEST(connections)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int l = OK(socket(AF_INET, SOCK_STREAM, 0)), c = OK(socket(AF_INET, SOCK_STREAM, 0)), s;
	socklen_t len = sizeof(a);

	OK(bind(l, (struct sockaddr *)&a, len));
	OK(listen(l, 5));
	OK(getsockname(l, (struct sockaddr *)&a, &len));
	arm(l, SIGRTMIN + 1);
	OK(connect(c, (struct sockaddr *)&a, len));
	wait_count(1);
	CHECK_EQ(last_fd, l);
	s = OK(accept(l, NULL, NULL));
	arm(s, SIGRTMIN + 1);
	CHECK_EQ(send(c, "x", 1, 0), 1);
	wait_count(1);
	CHECK_EQ(last_fd, s);
	CHECK_EQ(last_code, POLL_IN);
	/* The accepted one does not inherit it. */
	CHECK(!(fcntl(c, F_GETFL) & O_ASYNC));
}

/* SIGURG needs an owner, and no O_ASYNC. */
TEST(urgent_data)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int l = OK(socket(AF_INET, SOCK_STREAM, 0)), c = OK(socket(AF_INET, SOCK_STREAM, 0)), s;
	socklen_t len = sizeof(a);

	OK(bind(l, (struct sockaddr *)&a, len));
	OK(listen(l, 5));
	OK(getsockname(l, (struct sockaddr *)&a, &len));
	OK(connect(c, (struct sockaddr *)&a, len));
	s = OK(accept(l, NULL, NULL));
	on_siginfo(SIGURG, tell, SA_RESTART);
	OK(fcntl(s, F_SETOWN, getpid()));
	CHECK_EQ(send(c, "!", 1, MSG_OOB), 1);
	wait_count(1);
	CHECK_EQ(last_sig, SIGURG);
}

TEST(terminals)
{
	struct termios raw;
	int m = OK(posix_openpt(O_RDWR | O_NOCTTY)), s;

	OK(grantpt(m));
	OK(unlockpt(m));
	s = OK(open(ptsname(m), O_RDWR | O_NOCTTY));
	OK(tcgetattr(s, &raw));
	cfmakeraw(&raw);
	OK(tcsetattr(s, TCSANOW, &raw));
	arm(s, SIGRTMIN + 1);
	CHECK_EQ(write(m, "x", 1), 1);
	wait_count(1);
	CHECK_EQ(last_fd, s);
	CHECK_EQ(last_code, POLL_IN);
}

TEST(groups_and_threads)
{
	struct f_owner_ex ex = { F_OWNER_TID, gettid() };
	int fds[2];
	pid_t pid;

	OK(pipe(fds));
	arm(fds[0], SIGRTMIN + 1);
	OK(fcntl(fds[0], F_SETOWN_EX, &ex));
	CHECK_EQ(write(fds[1], "x", 1), 1);
	wait_count(1);
	ex = (struct f_owner_ex){ F_OWNER_PID, getpid() };
	OK(fcntl(fds[0], F_SETOWN_EX, &ex));
	count = 0;
	CHECK_EQ(write(fds[1], "x", 1), 1);
	wait_count(1);
	CHILD (pid) {
		OK(setpgid(0, 0));
		arm(fds[0], SIGRTMIN + 1);
		OK(fcntl(fds[0], F_SETOWN, -getpgrp()));
		CHECK_EQ(write(fds[1], "x", 1), 1);
		wait_count(1);
	}
	wait_ok(pid);
}

TEST(rights_are_those_of_the_setter)
{
	int fds[2], parent = getpid();
	pid_t pid;

	need_root();
	OK(pipe(fds));
	on_siginfo(SIGIO, tell, SA_RESTART);
	CHILD (pid) {
		become_nobody();
		/* Allowed, and nothing is sent: the parent is root's. */
		if (fcntl(fds[0], F_SETOWN, parent))
			CHECK_EQ(errno, EPERM);
		OK(fcntl(fds[0], F_SETFL, O_ASYNC));
		CHECK_EQ(write(fds[1], "x", 1), 1);
	}
	wait_ok(pid);
	CHECK_EQ(count, 0);
}
