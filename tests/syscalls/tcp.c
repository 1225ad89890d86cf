/* SPDX-License-Identifier: Apache-2.0 */
/* TCP on loopback, IPv4 and IPv6: connections, ports, errors, shutdown, options. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "harness.h"

static struct sockaddr_in local(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int tcp(int flags)
{
	return OK(socket(AF_INET, SOCK_STREAM | flags, 0));
}

static int port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	OK(getsockname(fd, (struct sockaddr *)&a, &len));
	CHECK_EQ(len, sizeof(a));
	return ntohs(a.sin_port);
}

static int listener(int *port, int backlog)
{
	struct sockaddr_in a = local(0);
	int fd = tcp(0);

	OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	OK(listen(fd, backlog));
	*port = port_of(fd);
	CHECK(*port > 0);
	return fd;
}

static int connect_to(int fd, int port)
{
	struct sockaddr_in a = local(port);

	return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static void pair(int sv[2])
{
	int port, l = listener(&port, 5);

	sv[0] = tcp(0);
	OK(connect_to(sv[0], port));
	sv[1] = OK(accept(l, NULL, NULL));
	OK(close(l));
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	OK(getsockopt(fd, level, name, &value, &len));
	return value;
}

TEST(connect_accept_exchange)
{
	int port, l = listener(&port, 5), c = tcp(0), s;
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	char buf[16];

	OK(connect_to(c, port));
	s = OK(accept(l, (struct sockaddr *)&a, &len));
	CHECK_EQ(a.sin_family, AF_INET);
	CHECK_EQ(a.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	CHECK_EQ(ntohs(a.sin_port), port_of(c));
	CHECK_EQ(port_of(s), port);
	len = sizeof(a);
	OK(getpeername(c, (struct sockaddr *)&a, &len));
	CHECK_EQ(ntohs(a.sin_port), port);
	CHECK_EQ(write(c, "hello", 5), 5);
	CHECK_EQ(read(s, buf, 16), 5);
	CHECK_EQ(write(s, "world!", 6), 6);
	CHECK_EQ(read(c, buf, 16), 6);
	CHECK(!memcmp(buf, "world!", 6));
}

TEST(refused)
{
	int port, l = listener(&port, 5);

	OK(close(l));
	CHECK_ERRNO(connect_to(tcp(0), port), ECONNREFUSED);
}

TEST(nonblocking_connect)
{
	int port, l = listener(&port, 5), c = tcp(SOCK_NONBLOCK);
	struct pollfd p = { c, POLLOUT, 0 };

	if (connect_to(c, port))
		CHECK_EQ(errno, EINPROGRESS);
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK_EQ(p.revents, POLLOUT);
	CHECK_EQ(option(c, SOL_SOCKET, SO_ERROR), 0);
	OK(accept(l, NULL, NULL));
	/* The second call completes the first, the third is one too many. */
	OK(connect_to(c, port));
	CHECK_ERRNO(connect_to(c, port), EISCONN);
}

TEST(nonblocking_connect_refused)
{
	int port, l = listener(&port, 5), c = tcp(SOCK_NONBLOCK);
	struct pollfd p = { c, POLLOUT, 0 };

	OK(close(l));
	if (connect_to(c, port) == 0)
		FAIL("connected to nobody");
	if (errno == ECONNREFUSED)
		return;
	CHECK_EQ(errno, EINPROGRESS);
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK(p.revents & POLLERR);
	CHECK_EQ(option(c, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	/* Told once. */
	CHECK_EQ(option(c, SOL_SOCKET, SO_ERROR), 0);
}

TEST(bind_errors)
{
	int port, l = listener(&port, 5), fd = tcp(0);
	struct sockaddr_in a = local(port);

	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EADDRINUSE);
	a.sin_port = 0;
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, 4), EINVAL);
	a.sin_addr.s_addr = htonl(0x01020304);
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EADDRNOTAVAIL);
	a = local(0);
	a.sin_family = AF_INET6;
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EAFNOSUPPORT);
	a.sin_family = AF_INET;
	OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EINVAL);
	CHECK_ERRNO(bind(l, (struct sockaddr *)&a, sizeof(a)), EINVAL);
	CHECK_ERRNO(connect(tcp(0), BAD_PTR, sizeof(a)), EFAULT);
	CHECK_ERRNO(connect(tcp(0), (struct sockaddr *)&a, 3), EINVAL);
}

TEST(low_ports_need_a_capability)
{
	struct sockaddr_in a = local(79);
	char text[16] = "1024";

	need_root();
	if (!access("/proc/sys/net/ipv4/ip_unprivileged_port_start", R_OK))
		read_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", text, sizeof(text));
	if (atoi(text) <= 79)
		SKIP("ip_unprivileged_port_start is %d", atoi(text));
	become_nobody();
	CHECK_ERRNO(bind(tcp(0), (struct sockaddr *)&a, sizeof(a)), EACCES);
}

TEST(not_connected)
{
	int fd = tcp(0), port;
	char c;
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	CHECK_ERRNO(read(fd, &c, 1), ENOTCONN);
	CHECK_ERRNO(send(fd, &c, 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERRNO(getpeername(fd, (struct sockaddr *)&a, &len), ENOTCONN);
	CHECK_ERRNO(shutdown(fd, SHUT_RD), ENOTCONN);
	CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
	OK(getsockname(fd, (struct sockaddr *)&a, &len));
	CHECK_EQ(a.sin_port, 0);
	fd = listener(&port, 1);
	CHECK_ERRNO(read(fd, &c, 1), ENOTCONN);
	OK(fcntl(fd, F_SETFL, O_NONBLOCK));
	CHECK_ERRNO(accept(fd, NULL, NULL), EAGAIN);
}

TEST(shutdown_and_end_of_file)
{
	int sv[2];
	char buf[8];
	struct pollfd p;

	pair(sv);
	CHECK_EQ(write(sv[0], "fin", 3), 3);
	OK(shutdown(sv[0], SHUT_WR));
	CHECK_EQ(recv(sv[1], buf, 8, MSG_WAITALL), 3);
	CHECK_EQ(read(sv[1], buf, 8), 0);
	p = (struct pollfd){ sv[1], POLLIN | POLLRDHUP, 0 };
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN | POLLRDHUP);
	CHECK_ERRNO(send(sv[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	/* The other direction lives. */
	CHECK_EQ(write(sv[1], "back", 4), 4);
	CHECK_EQ(read(sv[0], buf, 8), 4);
	OK(shutdown(sv[1], SHUT_WR));
	CHECK_EQ(read(sv[0], buf, 8), 0);
}

TEST(write_after_the_peer_closed)
{
	int sv[2];
	char c;

	pair(sv);
	OK(close(sv[1]));
	CHECK_EQ(read(sv[0], &c, 1), 0);
	on_signal(SIGPIPE, count_signal, 0);
	/* The first write provokes a reset, then it is a broken pipe. */
	for (int i = 0; i < 1000; i++) {
		if (write(sv[0], "x", 1) == -1)
			break;
		sleep_ms(1);
	}
	CHECK(errno == EPIPE || errno == ECONNRESET);
	if (errno == ECONNRESET)
		CHECK_ERRNO(write(sv[0], "x", 1), EPIPE);
	CHECK(signals_seen >= 1);
}

TEST(reset_by_linger)
{
	struct linger lin = { 1, 0 };
	int sv[2];
	char c;

	pair(sv);
	OK(setsockopt(sv[1], SOL_SOCKET, SO_LINGER, &lin, sizeof(lin)));
	OK(close(sv[1]));
	CHECK_ERRNO(read(sv[0], &c, 1), ECONNRESET);
	CHECK_EQ(read(sv[0], &c, 1), 0);
}

TEST(unread_data_resets)
{
	int sv[2], n = 0;
	char c;

	pair(sv);
	CHECK_EQ(write(sv[0], "unread", 6), 6);
	for (int i = 0; i < 2000 && n != 6; i++) {
		OK(ioctl(sv[1], FIONREAD, &n));
		sleep_ms(1);
	}
	OK(close(sv[1]));
	CHECK_ERRNO(read(sv[0], &c, 1), ECONNRESET);
}

TEST(flags_of_recv_and_send)
{
	int sv[2];
	char buf[16];

	pair(sv);
	CHECK_ERRNO(recv(sv[1], buf, 8, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(send(sv[0], "abc", 3, MSG_MORE), 3);
	CHECK_EQ(send(sv[0], "def", 3, 0), 3);
	CHECK_EQ(recv(sv[1], buf, 6, MSG_WAITALL | MSG_PEEK), 6);
	CHECK_EQ(recv(sv[1], buf, 6, MSG_WAITALL), 6);
	CHECK(!memcmp(buf, "abcdef", 6));
	CHECK_EQ(send(sv[0], "12345", 5, 0), 5);
	/* MSG_TRUNC of TCP throws the bytes away. */
	CHECK_EQ(recv(sv[1], NULL, 3, MSG_TRUNC | MSG_WAITALL), 3);
	CHECK_EQ(recv(sv[1], buf, 16, 0), 2);
	CHECK_EQ(buf[0], '4');
}

TEST(urgent_byte)
{
	int sv[2];
	char buf[16];
	struct pollfd p;

	pair(sv);
	CHECK_EQ(send(sv[0], "ab!", 3, MSG_OOB), 3);
	p = (struct pollfd){ sv[1], POLLPRI, 0 };
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK_EQ(p.revents, POLLPRI);
	CHECK_EQ(recv(sv[1], buf, 1, MSG_OOB), 1);
	CHECK_EQ(buf[0], '!');
	CHECK_EQ(recv(sv[1], buf, 16, 0), 2);
	CHECK_ERRNO(recv(sv[1], buf, 1, MSG_OOB), EINVAL);
}

TEST(options)
{
	int fd = tcp(0), on = 1, size = 65536;

	CHECK_EQ(option(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	CHECK_EQ(option(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
	CHECK_EQ(option(fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
	CHECK_EQ(option(fd, SOL_SOCKET, SO_REUSEADDR), 0);
	OK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	CHECK_EQ(option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
	OK(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
	CHECK_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	OK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	OK(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){ 77 }, sizeof(int)));
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	/* The kernel doubles what is asked for. */
	OK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
	CHECK_EQ(option(fd, SOL_SOCKET, SO_RCVBUF), 131072);
	OK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	CHECK_EQ(option(fd, SOL_SOCKET, SO_SNDBUF), 131072);
	CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, 9999, &on, sizeof(on)), ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, 1), EINVAL);
	CHECK_ERRNO(getsockopt(fd, 9999, 1, &on, &(socklen_t){ 4 }), EOPNOTSUPP);
}

TEST(information)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int sv[2];

	pair(sv);
	OK(getsockopt(sv[0], IPPROTO_TCP, TCP_INFO, &info, &len));
	CHECK_EQ(info.tcpi_state, TCP_ESTABLISHED);
	len = sizeof(info);
	OK(getsockopt(tcp(0), IPPROTO_TCP, TCP_INFO, &info, &len));
	CHECK_EQ(info.tcpi_state, TCP_CLOSE);
}

TEST(reuse_of_an_address)
{
	int port, l = listener(&port, 5), c = tcp(0), s, on = 1, again = tcp(0);
	struct sockaddr_in a;

	OK(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	OK(connect_to(c, port));
	s = OK(accept(l, NULL, NULL));
	OK(close(l));
	OK(close(s));
	OK(close(c));
	a = local(port);
	OK(setsockopt(again, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	OK(bind(again, (struct sockaddr *)&a, sizeof(a)));
	OK(listen(again, 1));
}

TEST(reuse_of_a_port)
{
	int a = tcp(0), b = tcp(0), on = 1;
	struct sockaddr_in addr = local(0);

	OK(setsockopt(a, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	OK(setsockopt(b, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	OK(bind(a, (struct sockaddr *)&addr, sizeof(addr)));
	addr = local(port_of(a));
	OK(bind(b, (struct sockaddr *)&addr, sizeof(addr)));
	OK(listen(a, 1));
	OK(listen(b, 1));
	CHECK_ERRNO(bind(tcp(0), (struct sockaddr *)&addr, sizeof(addr)), EADDRINUSE);
}

TEST(large_transfer)
{
	enum { SIZE = 2000000 };
	static char a[SIZE], b[SIZE];
	int sv[2];
	size_t have = 0;
	ssize_t n;
	pid_t pid;

	for (int i = 0; i < SIZE; i++)
		a[i] = (char)(i * 7 + i / 1013);
	pair(sv);
	CHILD (pid) {
		OK(close(sv[1]));
		CHECK_EQ(write(sv[0], a, SIZE), SIZE);
	}
	OK(close(sv[0]));
	while ((n = OK(read(sv[1], b + have, SIZE - have ? SIZE - have : 1))) > 0)
		have += (size_t)n;
	CHECK_EQ(have, SIZE);
	CHECK(!memcmp(a, b, SIZE));
	wait_ok(pid);
}

TEST(full_buffers)
{
	static char buf[65536];
	int sv[2];
	struct pollfd p;
	long sent = 0, got = 0;
	ssize_t n;

	pair(sv);
	OK(fcntl(sv[0], F_SETFL, O_NONBLOCK));
	for (int i = 0; i < 20; i++) {
		while ((n = write(sv[0], buf, sizeof(buf))) > 0)
			sent += n;
		CHECK_EQ(errno, EAGAIN);
		sleep_ms(1);
	}
	p = (struct pollfd){ sv[0], POLLOUT, 0 };
	CHECK_EQ(poll(&p, 1, 0), 0);
	while (got < sent) {
		n = OK(read(sv[1], buf, sizeof(buf)));
		got += n;
	}
	CHECK_EQ(poll(&p, 1, 5000), 1);
}

TEST(any_address)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int l = tcp(0), c = tcp(0);
	socklen_t len = sizeof(a);

	OK(bind(l, (struct sockaddr *)&a, sizeof(a)));
	OK(listen(l, 1));
	OK(connect_to(c, port_of(l)));
	/* All of 127/8 is here. */
	a.sin_port = htons((uint16_t)port_of(l));
	a.sin_addr.s_addr = htonl(0x7f010203);
	c = tcp(0);
	OK(connect(c, (struct sockaddr *)&a, sizeof(a)));
	OK(getpeername(c, (struct sockaddr *)&a, &len));
	CHECK_EQ(a.sin_addr.s_addr, htonl(0x7f010203));
}

static int has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)))
		SKIP("no IPv6 loopback: %s", test_errno_name(errno));
	return fd;
}

TEST(version_six)
{
	int l = has_ipv6(), c = OK(socket(AF_INET6, SOCK_STREAM, 0)), s;
	struct sockaddr_in6 a;
	socklen_t len = sizeof(a);
	char buf[8];

	OK(listen(l, 1));
	OK(getsockname(l, (struct sockaddr *)&a, &len));
	CHECK_EQ(len, sizeof(a));
	OK(connect(c, (struct sockaddr *)&a, sizeof(a)));
	s = OK(accept(l, (struct sockaddr *)&a, &len));
	CHECK_EQ(a.sin6_family, AF_INET6);
	CHECK(IN6_IS_ADDR_LOOPBACK(&a.sin6_addr));
	CHECK_EQ(write(s, "six", 3), 3);
	CHECK_EQ(read(c, buf, 8), 3);
}

TEST(version_four_on_a_six_socket)
{
	int l = OK(socket(AF_INET6, SOCK_STREAM, 0)), only = OK(socket(AF_INET6, SOCK_STREAM, 0)),
	    on = 1;
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
	socklen_t len = sizeof(a);

	has_ipv6();
	OK(setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 0 }, sizeof(int)));
	OK(bind(l, (struct sockaddr *)&a, sizeof(a)));
	OK(listen(l, 1));
	OK(getsockname(l, (struct sockaddr *)&a, &len));
	OK(connect_to(tcp(0), ntohs(a.sin6_port)));
	OK(accept(l, (struct sockaddr *)&a, &len));
	CHECK(IN6_IS_ADDR_V4MAPPED(&a.sin6_addr));
	OK(setsockopt(only, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	a = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	OK(bind(only, (struct sockaddr *)&a, sizeof(a)));
	OK(listen(only, 1));
	len = sizeof(a);
	OK(getsockname(only, (struct sockaddr *)&a, &len));
	CHECK_ERRNO(connect_to(tcp(0), ntohs(a.sin6_port)), ECONNREFUSED);
}

TEST(accept_is_woken)
{
	int port, l = listener(&port, 5);
	pid_t pid;

	CHILD (pid)
		OK(accept(l, NULL, NULL));
	settle(pid);
	OK(connect_to(tcp(0), port));
	wait_ok(pid);
}

TEST(addresses_of_another_family)
{
	struct sockaddr_in a = local(1);

	a.sin_family = AF_UNIX;
	CHECK_ERRNO(connect(tcp(0), (struct sockaddr *)&a, sizeof(a)), EAFNOSUPPORT);
	CHECK_ERRNO(listen(tcp(0), 5) ? -1 : connect_to(tcp(0), 1), ECONNREFUSED);
}

TEST(sending_with_an_address_or_without_a_peer)
{
	int sv[2], port, l = listener(&port, 1);
	struct sockaddr_in a = local(port);
	struct iovec iov = { "x", 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	pair(sv);
	/* The address is not looked at on a connected stream. */
	CHECK_EQ(sendto(sv[0], "x", 1, 0, (struct sockaddr *)&a, sizeof(a)), 1);
	CHECK_ERRNO(sendmsg(tcp(0), &msg, MSG_NOSIGNAL), EPIPE);
	CHECK_ERRNO(send(l, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(send(sv[0], "y", 1, MSG_EOR | MSG_DONTROUTE), 1);
	CHECK_ERRNO(recv(sv[1], BAD_PTR, 1, MSG_WAITALL), EFAULT);
	CHECK_ERRNO(recv(sv[1], &iov, 1, MSG_ERRQUEUE), EAGAIN);
}

TEST(both_ends_are_over)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	struct pollfd p;
	int sv[2];

	pair(sv);
	OK(shutdown(sv[0], SHUT_WR));
	OK(getpeername(sv[0], (struct sockaddr *)&a, &len));
	OK(close(sv[1]));
	p = (struct pollfd){ sv[0], 0, 0 };
	CHECK_EQ(poll(&p, 1, 60000), 1);
	CHECK_EQ(p.revents, POLLHUP);
	CHECK_ERRNO(shutdown(sv[0], SHUT_WR), ENOTCONN);
	CHECK_ERRNO(getpeername(sv[0], (struct sockaddr *)&a, &len), ENOTCONN);
}

/* It waits for bytes as any other, and takes none. */
TEST(receive_of_nothing)
{
	char buf[8];
	int sv[2];
	pid_t pid;

	pair(sv);
	CHECK_ERRNO(recv(sv[1], buf, 0, MSG_DONTWAIT), EAGAIN);
	CHILD (pid)
		CHECK_EQ(recv(sv[1], buf, 0, 0), 0);
	settle(pid);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	CHECK_EQ(write(sv[0], "abc", 3), 3);
	wait_ok(pid);
	CHECK_EQ(recv(sv[1], buf, 0, MSG_DONTWAIT), 0);
	CHECK_EQ(recv(sv[1], buf, 8, 0), 3);
	OK(shutdown(sv[0], SHUT_WR));
	CHECK_EQ(recv(sv[1], buf, 0, 0), 0);
}
