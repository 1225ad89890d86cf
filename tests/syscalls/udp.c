/* SPDX-License-Identifier: Apache-2.0 */
/* UDP on loopback; recvmmsg(2), sendmmsg(2); ICMP errors as errno. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "harness.h"

static struct sockaddr_in local(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int bound(int *port)
{
	struct sockaddr_in a = local(0);
	socklen_t len = sizeof(a);
	int fd = OK(socket(AF_INET, SOCK_DGRAM, 0));

	OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	OK(getsockname(fd, (struct sockaddr *)&a, &len));
	*port = ntohs(a.sin_port);
	return fd;
}

static ssize_t send_to(int fd, const void *data, size_t len, int port)
{
	struct sockaddr_in a = local(port);

	return sendto(fd, data, len, 0, (struct sockaddr *)&a, sizeof(a));
}

TEST(datagrams)
{
	int pa, pb, a = bound(&pa), b = bound(&pb);
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char buf[16];

	CHECK_EQ(send_to(a, "hello", 5, pb), 5);
	CHECK_EQ(send_to(a, "", 0, pb), 0);
	CHECK_EQ(recvfrom(b, buf, 16, 0, (struct sockaddr *)&from, &len), 5);
	CHECK_EQ(ntohs(from.sin_port), pa);
	CHECK_EQ(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	CHECK_EQ(recv(b, buf, 16, 0), 0);
	CHECK_ERRNO(recv(b, buf, 16, MSG_DONTWAIT), EAGAIN);
}

TEST(truncation)
{
	int pa, pb, a = bound(&pa), b = bound(&pb);
	char buf[4];

	CHECK_EQ(send_to(a, "0123456789", 10, pb), 10);
	CHECK_EQ(recv(b, buf, 4, MSG_PEEK | MSG_TRUNC), 10);
	CHECK_EQ(recv(b, buf, 4, 0), 4);
	CHECK_ERRNO(recv(b, buf, 4, MSG_DONTWAIT), EAGAIN);
}

TEST(autobound_by_sending)
{
	int pb, a = OK(socket(AF_INET, SOCK_DGRAM, 0)), b = bound(&pb);
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char buf[4];

	CHECK_EQ(send_to(a, "x", 1, pb), 1);
	CHECK_EQ(recvfrom(b, buf, 4, 0, (struct sockaddr *)&from, &len), 1);
	CHECK(from.sin_port != 0);
	len = sizeof(from);
	OK(getsockname(a, (struct sockaddr *)&from, &len));
	CHECK(from.sin_port != 0);
}

TEST(connected)
{
	int pa, pb, pc, a = bound(&pa), b = bound(&pb), c = bound(&pc);
	struct sockaddr_in to = local(pb), none = { .sin_family = AF_UNSPEC };
	char buf[8];

	OK(connect(a, (struct sockaddr *)&to, sizeof(to)));
	CHECK_EQ(write(a, "x", 1), 1);
	CHECK_EQ(read(b, buf, 8), 1);
	/* Others' datagrams are dropped. */
	CHECK_EQ(send_to(c, "no", 2, pa), 2);
	CHECK_EQ(send_to(b, "yes", 3, pa), 3);
	CHECK_EQ(read(a, buf, 8), 3);
	CHECK_ERRNO(recv(a, buf, 8, MSG_DONTWAIT), EAGAIN);
	OK(connect(a, (struct sockaddr *)&none, sizeof(none)));
	CHECK_ERRNO(write(a, "x", 1), EDESTADDRREQ);
	CHECK_ERRNO(getpeername(a, (struct sockaddr *)&to, &(socklen_t){ sizeof(to) }), ENOTCONN);
}

TEST(nobody_there)
{
	int pa, pb, a = bound(&pa), b = bound(&pb);
	struct sockaddr_in to = local(pb);
	struct pollfd p = { a, POLLIN, 0 };
	int error = -1;
	socklen_t len = sizeof(error);
	char c;

	OK(close(b));
	OK(connect(a, (struct sockaddr *)&to, sizeof(to)));
	CHECK_EQ(write(a, "x", 1), 1);
	/* The answer that nobody listens comes as an error of the socket. */
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK(p.revents & POLLERR);
	CHECK_ERRNO(read(a, &c, 1), ECONNREFUSED);
	OK(getsockopt(a, SOL_SOCKET, SO_ERROR, &error, &len));
	CHECK_EQ(error, 0);
}

TEST(errors)
{
	int pa, a = bound(&pa);
	static char big[70000];
	struct sockaddr_in to = local(pa), bad = { .sin_family = 99 };

	CHECK_ERRNO(write(a, "x", 1), EDESTADDRREQ);
	CHECK_ERRNO(sendto(a, big, sizeof(big), 0, (struct sockaddr *)&to, sizeof(to)), EMSGSIZE);
	CHECK_ERRNO(sendto(a, big, 65508, 0, (struct sockaddr *)&to, sizeof(to)), EMSGSIZE);
	CHECK_ERRNO(sendto(a, "x", 1, 0, (struct sockaddr *)&bad, sizeof(bad)), EAFNOSUPPORT);
	CHECK_ERRNO(sendto(a, "x", 1, 0, (struct sockaddr *)&to, 4), EINVAL);
	CHECK_ERRNO(sendto(a, BAD_PTR, 5, 0, (struct sockaddr *)&to, sizeof(to)), EFAULT);
	CHECK_ERRNO(sendto(a, "x", 1, MSG_OOB, (struct sockaddr *)&to, sizeof(to)), EOPNOTSUPP);
	CHECK_ERRNO(listen(a, 1), EOPNOTSUPP);
	CHECK_ERRNO(accept(a, NULL, NULL), EOPNOTSUPP);
	CHECK_ERRNO(bind(a, (struct sockaddr *)&to, sizeof(to)), EINVAL);
	to.sin_port = 0;
	CHECK_ERRNO(sendto(a, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), EINVAL);
}

TEST(largest)
{
	int pa, pb, a = bound(&pa), b = bound(&pb);
	static char out[65507], in[65536];

	memset(out, 'L', sizeof(out));
	CHECK_EQ(send_to(a, out, sizeof(out), pb), sizeof(out));
	CHECK_EQ(recv(b, in, sizeof(in), 0), sizeof(out));
	CHECK(!memcmp(in, out, sizeof(out)));
}

TEST(many_at_once)
{
	int pa, pb, a = bound(&pa), b = bound(&pb);
	struct sockaddr_in to = local(pb), from[4];
	struct iovec out[3] = { { "one", 3 }, { "two!", 4 }, { "three", 5 } };
	struct mmsghdr msgs[4] = { 0 };
	char bufs[4][8];
	struct iovec in[4];

	for (int i = 0; i < 3; i++)
		msgs[i].msg_hdr = (struct msghdr){ &to, sizeof(to), &out[i], 1, NULL, 0, 0 };
	CHECK_EQ(sendmmsg(a, msgs, 3, 0), 3);
	CHECK(msgs[0].msg_len == 3 && msgs[1].msg_len == 4 && msgs[2].msg_len == 5);
	for (int i = 0; i < 4; i++) {
		in[i] = (struct iovec){ bufs[i], 8 };
		msgs[i].msg_hdr =
			(struct msghdr){ &from[i], sizeof(from[i]), &in[i], 1, NULL, 0, 0 };
	}
	CHECK_EQ(recvmmsg(b, msgs, 4, MSG_WAITFORONE, NULL), 3);
	CHECK(msgs[0].msg_len == 3 && msgs[1].msg_len == 4 && msgs[2].msg_len == 5);
	CHECK(!memcmp(bufs[2], "three", 5));
	CHECK_EQ(ntohs(from[1].sin_port), pa);
	CHECK_ERRNO(recvmmsg(b, msgs, 4, MSG_DONTWAIT, NULL), EAGAIN);
	CHECK_ERRNO(recvmmsg(b, msgs, 4, 0, &(struct timespec){ 0, 1000000000 }), EINVAL);
	CHECK_ERRNO(sendmmsg(99, msgs, 1, 0), EBADF);
}

TEST(waiting_bytes)
{
	int pa, pb, a = bound(&pa), b = bound(&pb), n = -1;

	OK(ioctl(b, FIONREAD, &n));
	CHECK_EQ(n, 0);
	CHECK_EQ(send_to(a, "12345", 5, pb), 5);
	CHECK_EQ(send_to(a, "12", 2, pb), 2);
	OK(ioctl(b, FIONREAD, &n));
	CHECK_EQ(n, 5);
}

TEST(packet_information)
{
	int pa, pb, a = bound(&pa), b = bound(&pb), on = 1;
	char buf[8];
	union {
		struct cmsghdr head;
		char buf[256];
	} c;
	struct iovec iov = { buf, 8 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)
	};
	struct in_pktinfo info;

	OK(setsockopt(b, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)));
	CHECK_EQ(send_to(a, "x", 1, pb), 1);
	CHECK_EQ(recvmsg(b, &msg, 0), 1);
	CHECK(CMSG_FIRSTHDR(&msg));
	CHECK_EQ(c.head.cmsg_level, IPPROTO_IP);
	CHECK_EQ(c.head.cmsg_type, IP_PKTINFO);
	memcpy(&info, CMSG_DATA(&c.head), sizeof(info));
	CHECK_EQ(info.ipi_addr.s_addr, htonl(INADDR_LOOPBACK));
}

TEST(receive_timeout)
{
	struct timeval tv = { 0, 30000 }, got;
	socklen_t len = sizeof(got);
	int pa, a = bound(&pa);
	int64_t begin = now_ns();
	char c;

	OK(setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	CHECK_ERRNO(recv(a, &c, 1, 0), EAGAIN);
	CHECK(now_ns() - begin >= 30 * MS_IN_NS);
	OK(getsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &got, &len));
	CHECK(got.tv_sec == 0 && got.tv_usec >= 30000 && got.tv_usec < 45000);
}

TEST(corked)
{
	int pa, pb, a = bound(&pa), b = bound(&pb);
	struct sockaddr_in to = local(pb);
	char buf[16];

	OK(connect(a, (struct sockaddr *)&to, sizeof(to)));
	CHECK_EQ(send(a, "abc", 3, MSG_MORE), 3);
	CHECK_ERRNO(recv(b, buf, 16, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(send(a, "def", 3, 0), 3);
	CHECK_EQ(recv(b, buf, 16, 0), 6);
}

TEST(version_six)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT },
			    from;
	socklen_t len = sizeof(a);
	int s = socket(AF_INET6, SOCK_DGRAM, 0), c;
	char buf[8];

	if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)))
		SKIP("no IPv6 loopback: %s", test_errno_name(errno));
	OK(getsockname(s, (struct sockaddr *)&a, &len));
	c = OK(socket(AF_INET6, SOCK_DGRAM, 0));
	CHECK_EQ(sendto(c, "six", 3, 0, (struct sockaddr *)&a, sizeof(a)), 3);
	len = sizeof(from);
	CHECK_EQ(recvfrom(s, buf, 8, 0, (struct sockaddr *)&from, &len), 3);
	CHECK_EQ(len, sizeof(from));
	CHECK(IN6_IS_ADDR_LOOPBACK(&from.sin6_addr));
}

TEST(raw_sockets_need_a_capability)
{
	need_root();
	become_nobody();
	CHECK_ERRNO(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
	/* A kernel may be without packet sockets. */
	CHECK(socket(AF_PACKET, SOCK_RAW, 0) == -1);
	CHECK(errno == EPERM || errno == EAFNOSUPPORT);
}
