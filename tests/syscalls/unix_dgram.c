/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX datagram and seqpacket sockets. */
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "harness.h"

static struct sockaddr_un addr_of(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strcpy(a.sun_path, path);
	return a;
}

static int bound(const char *path)
{
	struct sockaddr_un a = addr_of(path);
	int fd = OK(socket(AF_UNIX, SOCK_DGRAM, 0));

	OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	return fd;
}

static ssize_t send_to(int fd, const char *text, const char *path)
{
	struct sockaddr_un a = addr_of(path);

	return sendto(fd, text, strlen(text), 0, (struct sockaddr *)&a, sizeof(a));
}

TEST(borders_are_kept)
{
	int sv[2];
	char buf[16];

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	CHECK_EQ(write(sv[0], "one", 3), 3);
	CHECK_EQ(write(sv[0], "", 0), 0);
	CHECK_EQ(write(sv[0], "three", 5), 5);
	CHECK_EQ(read(sv[1], buf, 16), 3);
	CHECK_EQ(read(sv[1], buf, 16), 0);
	/* What does not fit is lost. */
	CHECK_EQ(read(sv[1], buf, 2), 2);
	CHECK_ERRNO(recv(sv[1], buf, 16, MSG_DONTWAIT), EAGAIN);
}

TEST(truncation_is_told)
{
	int sv[2];
	char buf[4];
	struct iovec iov = { buf, 4 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	CHECK_EQ(write(sv[0], "0123456789", 10), 10);
	CHECK_EQ(write(sv[0], "0123456789", 10), 10);
	CHECK_EQ(recvmsg(sv[1], &msg, 0), 4);
	CHECK_EQ(msg.msg_flags, MSG_TRUNC);
	/* With MSG_TRUNC the real length is the answer. */
	CHECK_EQ(recv(sv[1], buf, 4, MSG_TRUNC | MSG_PEEK), 10);
	CHECK_EQ(recv(sv[1], buf, 4, MSG_TRUNC), 10);
}

TEST(addresses)
{
	int a = bound("a"), b = bound("b");
	struct sockaddr_un from;
	socklen_t len = sizeof(from);
	char buf[16];

	CHECK_EQ(send_to(a, "hello", "b"), 5);
	CHECK_EQ(recvfrom(b, buf, 16, 0, (struct sockaddr *)&from, &len), 5);
	CHECK_STR(from.sun_path, "a");
	CHECK_EQ(sendto(b, "re", 2, 0, (struct sockaddr *)&from, len), 2);
	CHECK_EQ(read(a, buf, 16), 2);
	/* From an unbound socket: no name. */
	CHECK_EQ(send_to(OK(socket(AF_UNIX, SOCK_DGRAM, 0)), "x", "b"), 1);
	len = sizeof(from);
	CHECK_EQ(recvfrom(b, buf, 16, 0, (struct sockaddr *)&from, &len), 1);
	CHECK_EQ(len, 0);
}

TEST(connected)
{
	int a = bound("a"), b = bound("b"), c = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
	struct sockaddr_un to = addr_of("b"), none = { .sun_family = AF_UNSPEC };
	char buf[16];

	OK(connect(a, (struct sockaddr *)&to, sizeof(to)));
	CHECK_EQ(write(a, "x", 1), 1);
	CHECK_EQ(read(b, buf, 16), 1);
	/* A connected socket takes messages of its peer only. */
	CHECK_ERRNO(send_to(c, "x", "a"), EPERM);
	CHECK_EQ(send_to(b, "y", "a"), 1);
	OK(connect(a, (struct sockaddr *)&none, sizeof(none.sun_family)));
	CHECK_ERRNO(write(a, "x", 1), ENOTCONN);
	CHECK_EQ(send_to(c, "x", "a"), 1);
}

TEST(errors)
{
	int a = bound("a"), stream = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	struct sockaddr_un s = addr_of("s");
	static char big[1 << 20];

	CHECK_ERRNO(write(a, "x", 1), ENOTCONN);
	CHECK_ERRNO(send_to(a, "x", "none"), ENOENT);
	write_file("f", "");
	CHECK_ERRNO(send_to(a, "x", "f"), ECONNREFUSED);
	OK(bind(stream, (struct sockaddr *)&s, sizeof(s)));
	CHECK_ERRNO(send_to(a, "x", "s"), EPROTOTYPE);
	CHECK_ERRNO(listen(a, 1), EOPNOTSUPP);
	CHECK_ERRNO(accept(a, NULL, NULL), EOPNOTSUPP);
	bound("b");
	s = addr_of("b");
	CHECK_ERRNO(sendto(a, big, sizeof(big), 0, (struct sockaddr *)&s, sizeof(s)), EMSGSIZE);
	CHECK_ERRNO(sendto(a, BAD_PTR, 10, 0, (struct sockaddr *)&s, sizeof(s)), EFAULT);
}

TEST(closed_receiver)
{
	int a = bound("a"), b = bound("b");
	struct sockaddr_un to = addr_of("b");

	OK(connect(a, (struct sockaddr *)&to, sizeof(to)));
	OK(close(b));
	CHECK_ERRNO(write(a, "x", 1), ECONNREFUSED);
}

TEST(full_queue)
{
	int a = bound("a"), b = bound("b");
	struct sockaddr_un to = addr_of("b");
	struct pollfd p;
	char buf[8];
	int n = 0;

	OK(connect(a, (struct sockaddr *)&to, sizeof(to)));
	OK(fcntl(a, F_SETFL, O_NONBLOCK));
	while (write(a, "x", 1) == 1 && n < 100000)
		n++;
	CHECK_EQ(errno, EAGAIN);
	CHECK(n >= 5);
	p = (struct pollfd){ a, POLLOUT, 0 };
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_EQ(read(b, buf, 8), 1);
	/* Room again, sooner or later. */
	for (int i = 0; i < n && poll(&p, 1, 0) == 0; i++)
		CHECK_EQ(read(b, buf, 8), 1);
	CHECK_EQ(write(a, "y", 1), 1);
}

TEST(seqpacket)
{
	int sv[2];
	char buf[8];
	struct iovec iov = { buf, 4 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv));
	CHECK_EQ(write(sv[0], "abc", 3), 3);
	CHECK_EQ(write(sv[0], "defghi", 6), 6);
	CHECK_EQ(read(sv[1], buf, 8), 3);
	CHECK_EQ(recvmsg(sv[1], &msg, 0), 4);
	CHECK_EQ(msg.msg_flags, MSG_TRUNC);
	OK(close(sv[0]));
	CHECK_EQ(read(sv[1], buf, 8), 0);
	CHECK_ERRNO(send(sv[1], "x", 1, MSG_NOSIGNAL), EPIPE);
}

TEST(seqpacket_listens)
{
	struct sockaddr_un a = addr_of("s");
	int l = OK(socket(AF_UNIX, SOCK_SEQPACKET, 0)), c = OK(socket(AF_UNIX, SOCK_SEQPACKET, 0)),
	    s;
	char buf[8];

	OK(bind(l, (struct sockaddr *)&a, sizeof(a)));
	OK(listen(l, 2));
	OK(connect(c, (struct sockaddr *)&a, sizeof(a)));
	s = OK(accept(l, NULL, NULL));
	CHECK_EQ(write(c, "12", 2), 2);
	CHECK_EQ(write(c, "34", 2), 2);
	CHECK_EQ(read(s, buf, 8), 2);
	CHECK_EQ(read(s, buf, 8), 2);
	CHECK_EQ(write(s, "x", 1), 1);
	CHECK_EQ(read(c, buf, 8), 1);
}

TEST(bytes_waiting_is_the_next_message)
{
	int sv[2], n = -1;

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	OK(ioctl(sv[1], FIONREAD, &n));
	CHECK_EQ(n, 0);
	CHECK_EQ(write(sv[0], "12345", 5), 5);
	CHECK_EQ(write(sv[0], "12", 2), 2);
	OK(ioctl(sv[1], FIONREAD, &n));
	CHECK_EQ(n, 5);
}

TEST(blocked_receiver)
{
	int sv[2];
	char buf[8];
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	CHILD (pid)
		CHECK_EQ(read(sv[1], buf, 8), 4);
	settle(pid);
	CHECK_EQ(write(sv[0], "wake", 4), 4);
	wait_ok(pid);
}

TEST(vectors_make_one_message)
{
	int sv[2];
	char a[2], b[8];
	struct iovec out[3] = { { "ab", 2 }, { "", 0 }, { "cde", 3 } },
		     in[2] = { { a, 2 }, { b, 8 } };

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	CHECK_EQ(writev(sv[0], out, 3), 5);
	CHECK_EQ(readv(sv[1], in, 2), 5);
	CHECK(!memcmp(a, "ab", 2) && !memcmp(b, "cde", 3));
}

TEST(full_pair_is_not_writable)
{
	struct pollfd p;
	char buf[1000];
	int sv[2], n = 0;

	memset(buf, 'x', sizeof(buf));
	OK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, sv));
	p = (struct pollfd){ sv[0], POLLOUT, 0 };
	CHECK_EQ(poll(&p, 1, 0), 1);
	while (write(sv[0], buf, sizeof(buf)) > 0 && n < 100000)
		n++;
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(poll(&p, 1, 0), 0);
	while (read(sv[1], buf, sizeof(buf)) > 0)
		n--;
	CHECK_EQ(n, 0);
	CHECK_EQ(poll(&p, 1, 15000), 1);
}

TEST(shutdown_needs_no_peer)
{
	int fd = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), sv[2];
	char c;

	OK(shutdown(fd, SHUT_RD));
	CHECK_ERRNO(recv(fd, &c, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(recv(fd, &c, 1, 0), 0);
	OK(shutdown(fd, SHUT_WR));
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	OK(shutdown(sv[0], SHUT_RD));
	CHECK_ERRNO(send(sv[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERRNO(recv(sv[0], &c, 1, MSG_DONTWAIT), EAGAIN);
}
