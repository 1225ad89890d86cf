/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: the errnos and flags of sending, receiving, binding and connecting that the topics of
 * one family leave out. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "harness.h"

static char buf[300000];

static struct sockaddr_in to;
#define TO  (struct sockaddr *)&to
#define LEN sizeof(to)

static void loopback(int port)
{
	to = (struct sockaddr_in){ .sin_family = AF_INET,
				   .sin_port = htons((uint16_t)port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int inet_socket(int type)
{
	return OK(socket(AF_INET, type, 0));
}

/* A socket that listens; `to` is its address. */
static int listener(int backlog)
{
	int fd = inet_socket(SOCK_STREAM);
	socklen_t len = LEN;

	loopback(0);
	OK(bind(fd, TO, LEN));
	OK(listen(fd, backlog));
	OK(getsockname(fd, TO, &len));
	return fd;
}

static void tcp_pair(int sv[2])
{
	int l = listener(5);

	sv[0] = inet_socket(SOCK_STREAM);
	OK(connect(sv[0], TO, LEN));
	sv[1] = OK(accept(l, NULL, NULL));
	OK(close(l));
}

static ssize_t send_one(int fd, const void *name, socklen_t len, int flags)
{
	struct iovec iov = { buf, 1 };
	struct msghdr msg = {
		.msg_name = (void *)name, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1
	};

	return sendmsg(fd, &msg, flags);
}

static ssize_t receive_one(int fd, int flags)
{
	struct iovec iov = { buf, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return recvmsg(fd, &msg, flags);
}

TEST(no_peer)
{
	int udp = inet_socket(SOCK_DGRAM), tcp = inet_socket(SOCK_STREAM),
	    un = OK(socket(AF_UNIX, SOCK_STREAM, 0)), seq = OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));

	on_signal(SIGPIPE, SIG_IGN, 0);
	CHECK_ERRNO(sendto(udp, buf, 1, 0, NULL, 0), EDESTADDRREQ);
	CHECK_ERRNO(send_one(udp, NULL, 0, 0), EDESTADDRREQ);
	CHECK_ERRNO(sendto(tcp, buf, 1, 0, NULL, 0), EPIPE);
	CHECK_ERRNO(send_one(tcp, NULL, 0, 0), EPIPE);
	CHECK_ERRNO(sendto(un, buf, 1, 0, NULL, 0), ENOTCONN);
	CHECK_ERRNO(send_one(un, NULL, 0, 0), ENOTCONN);
	CHECK_ERRNO(send_one(seq, NULL, 0, 0), ENOTCONN);
	CHECK_ERRNO(recvfrom(tcp, buf, 1, 0, NULL, NULL), ENOTCONN);
	CHECK_ERRNO(receive_one(tcp, 0), ENOTCONN);
	CHECK_ERRNO(receive_one(seq, 0), ENOTCONN);
	CHECK_ERRNO(recvfrom(un, buf, 1, 0, NULL, NULL), EINVAL);
	CHECK_ERRNO(receive_one(un, 0), EINVAL);
}

TEST(peer_is_there_already)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int sv[2];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK_ERRNO(send_one(sv[0], &a, sizeof(a), 0), EISCONN);
	CHECK_ERRNO(sendto(sv[0], buf, 1, 0, (struct sockaddr *)&a, sizeof(a)), EISCONN);
}

TEST(not_now)
{
	int sv[2];

	tcp_pair(sv);
	CHECK_ERRNO(recvfrom(sv[0], buf, 1, MSG_DONTWAIT, NULL, NULL), EAGAIN);
	CHECK_ERRNO(receive_one(sv[0], MSG_DONTWAIT), EAGAIN);
	while (send(sv[0], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	while (send(sv[0], buf, 1, MSG_DONTWAIT) > 0)
		;
	CHECK_ERRNO(sendto(sv[0], buf, 1, MSG_DONTWAIT, NULL, 0), EAGAIN);
	CHECK_ERRNO(send_one(sv[0], NULL, 0, MSG_DONTWAIT), EAGAIN);
	OK(fcntl(sv[1], F_SETFL, O_NONBLOCK));
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	while (send(sv[0], buf, 1000, MSG_DONTWAIT) > 0)
		;
	CHECK_ERRNO(sendto(sv[0], buf, 1000, MSG_DONTWAIT, NULL, 0), EAGAIN);
	CHECK_ERRNO(send_one(sv[0], NULL, 0, MSG_DONTWAIT), EAGAIN);
}

static void reset(int fd)
{
	struct linger now = { 1, 0 };

	OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	OK(close(fd));
}

TEST(reset_by_the_peer)
{
	int sv[2];

	on_signal(SIGPIPE, SIG_IGN, 0);
	tcp_pair(sv);
	reset(sv[1]);
	CHECK_ERRNO(sendto(sv[0], buf, 1, 0, NULL, 0), ECONNRESET);
	CHECK_ERRNO(sendto(sv[0], buf, 1, 0, NULL, 0), EPIPE);
	tcp_pair(sv);
	reset(sv[1]);
	CHECK_ERRNO(send_one(sv[0], NULL, 0, MSG_NOSIGNAL), ECONNRESET);
	tcp_pair(sv);
	reset(sv[1]);
	CHECK_ERRNO(recvfrom(sv[0], buf, 1, 0, NULL, NULL), ECONNRESET);
	CHECK_EQ(recvfrom(sv[0], buf, 1, 0, NULL, NULL), 0);
}

/* ECONNABORTED is for protocols that drop such a connection: Linux hands it out, and its first use
 * tells. */
TEST(reset_before_it_was_accepted)
{
	int l = listener(5), c = inet_socket(SOCK_STREAM), s;

	OK(connect(c, TO, LEN));
	reset(c);
	s = accept(l, NULL, NULL);
	if (s < 0) {
		CHECK_EQ(errno, ECONNABORTED);
		return;
	}
	CHECK_ERRNO(recv(s, buf, 1, 0), ECONNRESET);
}

TEST(nobody_listens)
{
	int l = listener(1), udp = inet_socket(SOCK_DGRAM), tcp = inet_socket(SOCK_STREAM);
	struct pollfd p = { udp, 0, 0 };

	OK(close(l));
	CHECK_ERRNO(connect(tcp, TO, LEN), ECONNREFUSED);
	OK(connect(udp, TO, LEN));
	OK(send(udp, "x", 1, 0));
	CHECK_EQ(poll(&p, 1, 30000), 1);
	CHECK_ERRNO(recvfrom(udp, buf, 1, 0, NULL, NULL), ECONNREFUSED);
	OK(send(udp, "x", 1, 0));
	CHECK_EQ(poll(&p, 1, 30000), 1);
	CHECK_ERRNO(receive_one(udp, 0), ECONNREFUSED);
	OK(send(udp, "x", 1, 0));
	CHECK_EQ(poll(&p, 1, 30000), 1);
	CHECK_ERRNO(send_one(udp, NULL, 0, 0), ECONNREFUSED);
}

TEST(too_long_for_a_datagram)
{
	struct iovec iov = { buf, 65508 };
	struct msghdr msg = {
		.msg_name = TO, .msg_namelen = LEN, .msg_iov = &iov, .msg_iovlen = 1
	};
	int udp = inet_socket(SOCK_DGRAM);

	loopback(9);
	CHECK_ERRNO(sendmsg(udp, &msg, 0), EMSGSIZE);
	CHECK_ERRNO(sendto(udp, buf, 65508, 0, TO, LEN), EMSGSIZE);
	msg.msg_iovlen = 1025;
	CHECK_ERRNO(sendmsg(udp, &msg, 0), EMSGSIZE);
	CHECK_ERRNO(recvmsg(udp, &msg, 0), EMSGSIZE);
}

TEST(broadcasting_is_asked_for)
{
	int udp = inet_socket(SOCK_DGRAM), on = 1;

	loopback(9);
	to.sin_addr.s_addr = htonl(INADDR_BROADCAST);
	if (sendto(udp, buf, 1, 0, TO, LEN) < 0 && errno == ENETUNREACH)
		SKIP("no route");
	CHECK_ERRNO(sendto(udp, buf, 1, 0, TO, LEN), EACCES);
	CHECK_ERRNO(send_one(udp, TO, LEN, 0), EACCES);
	CHECK_ERRNO(connect(udp, TO, LEN), EACCES);
	OK(setsockopt(udp, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)));
	OK(connect(udp, TO, LEN));
}

TEST(names_that_may_not_be_sent_to)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int fd = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), c = OK(socket(AF_UNIX, SOCK_DGRAM, 0));

	need_root();
	OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	OK(chmod("socket", 0600));
	become_nobody();
	CHECK_ERRNO(sendto(c, buf, 1, 0, (struct sockaddr *)&a, sizeof(a)), EACCES);
	CHECK_ERRNO(send_one(c, &a, sizeof(a), 0), EACCES);
	CHECK_ERRNO(connect(c, (struct sockaddr *)&a, sizeof(a)), EACCES);
}

TEST(two_listen_at_one_address)
{
	int a = inet_socket(SOCK_STREAM), b = inet_socket(SOCK_STREAM), on = 1;
	socklen_t len = LEN;

	loopback(0);
	OK(setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	OK(setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	OK(bind(a, TO, LEN));
	OK(getsockname(a, TO, &len));
	OK(bind(b, TO, LEN));
	OK(listen(a, 1));
	CHECK_ERRNO(listen(b, 1), EADDRINUSE);
}

TEST(addresses_of_the_peer)
{
	int sv[2];
	socklen_t len = LEN;

	tcp_pair(sv);
	CHECK_ERRNO(getpeername(sv[0], BAD_PTR, &len), EFAULT);
	CHECK_ERRNO(getpeername(sv[0], TO, BAD_PTR), EFAULT);
	CHECK_ERRNO(getsockname(sv[0], BAD_PTR, &len), EFAULT);
	len = (socklen_t)-1;
	CHECK_ERRNO(getpeername(sv[0], TO, &len), EINVAL);
	CHECK_ERRNO(getsockname(sv[0], TO, &len), EINVAL);
}

TEST(pairs)
{
	int sv[2];

	CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 77, sv), EPROTONOSUPPORT);
	CHECK_ERRNO(socketpair(AF_INET, SOCK_STREAM, 0, sv), EOPNOTSUPP);
	CHECK_ERRNO(socketpair(AF_UNIX, 77, 0, sv), EINVAL);
	CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, BAD_PTR), EFAULT);
}

TEST(accepting_from_nothing)
{
	int l = listener(1);

	OK(fcntl(l, F_SETFL, O_NONBLOCK));
	CHECK_ERRNO(accept(l, NULL, NULL), EAGAIN);
	CHECK_ERRNO(accept4(l, NULL, NULL, SOCK_CLOEXEC), EAGAIN);
	CHECK_ERRNO(accept4(l, NULL, NULL, 1), EINVAL);
	CHECK_ERRNO(accept4(inet_socket(SOCK_STREAM), NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(accept4(inet_socket(SOCK_DGRAM), NULL, NULL, 0), EOPNOTSUPP);
}

/* A backlog of connections that nobody accepts leaves further ones waiting. */
TEST(connecting_takes_its_time)
{
	int l = listener(0), c[8], n, e = 0, code = -1;
	socklen_t len = sizeof(code);

	for (n = 0; n < 8; n++) {
		c[n] = inet_socket(SOCK_STREAM | SOCK_NONBLOCK);
		if (!connect(c[n], TO, LEN))
			continue;
		CHECK_EQ(errno, EINPROGRESS);
		/* Which was only slow is ready soon; the one that is left is what we want. */
		struct pollfd p = { c[n], POLLOUT, 0 };
		if (poll(&p, 1, 200) == 0)
			break;
	}
	CHECK(n < 8);
	CHECK_ERRNO(connect(c[n], TO, LEN), EALREADY);
	OK(getsockopt(c[n], SOL_SOCKET, SO_ERROR, &code, &len));
	CHECK_EQ(code, 0);
	/* A place is free again: the connection is there after all. */
	e = OK(accept(l, NULL, NULL));
	for (int i = 0; i < 3; i++) {
		struct pollfd p = { c[n], POLLOUT, 0 };

		if (poll(&p, 1, 10000) == 1)
			break;
		OK(close(e));
		e = OK(accept(l, NULL, NULL));
	}
	CHECK(!connect(c[n], TO, LEN) || errno == EISCONN);
}

TEST(connecting_is_interrupted)
{
	int l = listener(0), fd, status;
	pid_t pid;

	CHILD (pid) {
		on_signal(SIGUSR1, count_signal, 0);
		for (int i = 0; i < 8; i++) {
			fd = inet_socket(SOCK_STREAM);
			if (!connect(fd, TO, LEN))
				continue;
			CHECK_EQ(errno, EINTR);
			OK(fcntl(fd, F_SETFL, O_NONBLOCK));
			CHECK_ERRNO(connect(fd, TO, LEN), EALREADY);
			break;
		}
	}
	for (int i = 0; i < 3000; i++) {
		/* Not before it can be caught. */
		settle(pid);
		OK(kill(pid, i ? SIGUSR1 : 0));
		if (OK(waitpid(pid, &status, WNOHANG)) == pid) {
			CHECK_EQ(status, 0);
			OK(close(l));
			return;
		}
	}
	FAIL("not interrupted");
}

TEST(connecting_gives_up)
{
	int l = listener(0), fd, ms = 1500, one = 1;

	for (int i = 0; i < 8; i++) {
		fd = inet_socket(SOCK_STREAM);
		OK(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)));
		OK(setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &one, sizeof(one)));
		if (connect(fd, TO, LEN)) {
			CHECK_EQ(errno, ETIMEDOUT);
			OK(close(l));
			return;
		}
	}
	FAIL("never full");
}

TEST(data_with_the_first_packet)
{
	int l = listener(5), c = inet_socket(SOCK_STREAM), s;

	if (sendto(c, "fast", 4, MSG_FASTOPEN, TO, LEN) < 0) {
		CHECK_EQ(errno, EOPNOTSUPP);
		SKIP("net.ipv4.tcp_fastopen is off");
	}
	s = OK(accept(l, NULL, NULL));
	CHECK_EQ(recv(s, buf, 4, MSG_WAITALL), 4);
	CHECK(!memcmp(buf, "fast", 4));
	CHECK_ERRNO(sendto(c, "x", 1, MSG_FASTOPEN, TO, LEN), EISCONN);
	c = inet_socket(SOCK_STREAM);
	CHECK_EQ(send_one(c, TO, LEN, MSG_FASTOPEN), 1);
	s = OK(accept(l, NULL, NULL));
	CHECK_EQ(recv(s, buf, 4, 0), 1);
	OK(close(l));
	c = inet_socket(SOCK_STREAM);
	CHECK_ERRNO(sendto(c, "x", 1, MSG_FASTOPEN, TO, LEN), ECONNREFUSED);
}

TEST(end_of_record)
{
	struct iovec iov = { buf, 10 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int sv[2];

	OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv));
	CHECK_EQ(send(sv[0], "one", 3, MSG_EOR), 3);
	CHECK_EQ(send(sv[0], "two!", 4, MSG_EOR), 4);
	CHECK_EQ(recvmsg(sv[1], &msg, 0), 3);
	CHECK(!(msg.msg_flags & ~MSG_EOR));
	CHECK_EQ(recvmsg(sv[1], &msg, 0), 4);
	tcp_pair(sv);
	CHECK_EQ(send(sv[0], "x", 1, MSG_EOR), 1);
	CHECK_EQ(recv(sv[1], buf, 10, 0), 1);
}
