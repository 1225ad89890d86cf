/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX stream sockets: socketpair(2), bind(2), listen(2), accept(2), connect(2), shutdown(2),
 * names. */
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "harness.h"

static struct sockaddr_un addr_of(const char *path, socklen_t *len)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strcpy(a.sun_path, path);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
	return a;
}

static int bind_to(int fd, const char *path)
{
	socklen_t len;
	struct sockaddr_un a = addr_of(path, &len);

	return bind(fd, (struct sockaddr *)&a, len);
}

static int connect_to(int fd, const char *path)
{
	socklen_t len;
	struct sockaddr_un a = addr_of(path, &len);

	return connect(fd, (struct sockaddr *)&a, len);
}

static int new_socket(int flags)
{
	return OK(socket(AF_UNIX, SOCK_STREAM | flags, 0));
}

static int listener(const char *path, int backlog)
{
	int fd = new_socket(0);

	OK(bind_to(fd, path));
	OK(listen(fd, backlog));
	return fd;
}

TEST(pair_both_ways)
{
	int sv[2];
	char buf[16];

	OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
	CHECK_EQ(fcntl(sv[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(write(sv[0], "abc", 3), 3);
	CHECK_EQ(write(sv[0], "def", 3), 3);
	CHECK_EQ(write(sv[1], "xyz", 3), 3);
	CHECK_EQ(read(sv[1], buf, 16), 6);
	CHECK(!memcmp(buf, "abcdef", 6));
	CHECK_EQ(read(sv[0], buf, 16), 3);
}

TEST(socket_errors)
{
	int sv[2];

	/* A container's filter may answer for families that it does not let through. */
	CHECK(socket(999, SOCK_STREAM, 0) == -1);
	CHECK(errno == EAFNOSUPPORT || (errno == EPERM && filtered()));
	CHECK_ERRNO(socket(AF_UNIX, 77, 0), EINVAL);
	CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM | 0x40, 0), EINVAL);
	CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 77), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
	CHECK_ERRNO(socketpair(AF_INET, SOCK_STREAM, 0, sv), EOPNOTSUPP);
	CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, BAD_PTR), EFAULT);
}

TEST(connect_and_accept)
{
	int l = listener("s", 5), c = new_socket(0), a;
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);
	struct stat st;
	char buf[8];

	OK(stat("s", &st));
	CHECK(S_ISSOCK(st.st_mode));
	OK(connect_to(c, "s"));
	/* A stream may be written before it is accepted. */
	CHECK_EQ(write(c, "early", 5), 5);
	a = OK(accept4(l, (struct sockaddr *)&addr, &len, SOCK_CLOEXEC | SOCK_NONBLOCK));
	CHECK_EQ(fcntl(a, F_GETFD), FD_CLOEXEC);
	CHECK(fcntl(a, F_GETFL) & O_NONBLOCK);
	CHECK_EQ(len, 2);
	CHECK_EQ(addr.sun_family, AF_UNIX);
	CHECK_EQ(read(a, buf, 8), 5);
	CHECK_ERRNO(read(a, buf, 8), EAGAIN);
	len = sizeof(addr);
	OK(getpeername(c, (struct sockaddr *)&addr, &len));
	CHECK_EQ(len, 4);
	CHECK_STR(addr.sun_path, "s");
	len = sizeof(addr);
	OK(getsockname(a, (struct sockaddr *)&addr, &len));
	CHECK_STR(addr.sun_path, "s");
	len = sizeof(addr);
	OK(getpeername(a, (struct sockaddr *)&addr, &len));
	CHECK_EQ(len, 2);
}

TEST(bind_errors)
{
	int fd = new_socket(0), other = new_socket(0);
	struct sockaddr_un a = { .sun_family = AF_INET };

	write_file("f", "");
	CHECK_ERRNO(bind_to(fd, "f"), EADDRINUSE);
	CHECK_ERRNO(bind_to(fd, "none/s"), ENOENT);
	CHECK_ERRNO(bind_to(fd, "f/s"), ENOTDIR);
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EINVAL);
	CHECK_ERRNO(bind(fd, BAD_PTR, 10), EFAULT);
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, 500), EINVAL);
	OK(bind_to(fd, "s"));
	CHECK_ERRNO(bind_to(fd, "t"), EINVAL);
	CHECK_ERRNO(bind_to(other, "s"), EADDRINUSE);
	CHECK_ERRNO(bind_to(OK(open("f", O_RDONLY)), "x"), ENOTSOCK);
	CHECK_ERRNO(bind_to(99, "x"), EBADF);
	CHECK_ERRNO(listen(other, 5), EINVAL);
}

TEST(connect_errors)
{
	int fd = new_socket(0), bound = new_socket(0), dgram = OK(socket(AF_UNIX, SOCK_DGRAM, 0));

	write_file("f", "");
	CHECK_ERRNO(connect_to(fd, "none"), ENOENT);
	CHECK_ERRNO(connect_to(fd, "f"), ECONNREFUSED);
	OK(bind_to(bound, "s"));
	CHECK_ERRNO(connect_to(fd, "s"), ECONNREFUSED);
	OK(bind_to(dgram, "d"));
	CHECK_ERRNO(connect_to(fd, "d"), EPROTOTYPE);
	OK(listen(bound, 1));
	OK(connect_to(fd, "s"));
	CHECK_ERRNO(connect_to(fd, "s"), EISCONN);
	OK(close(bound));
	CHECK_ERRNO(connect_to(new_socket(0), "s"), ECONNREFUSED);
}

TEST(connect_needs_write_permission)
{
	need_root();
	listener("s", 5);
	OK(chmod("s", 0600));
	become_nobody();
	CHECK_ERRNO(connect_to(new_socket(0), "s"), EACCES);
}

TEST(accept_errors)
{
	int fd = new_socket(0), l = listener("s", 5), sv[2];
	char c;

	CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
	OK(fcntl(l, F_SETFL, O_NONBLOCK));
	CHECK_ERRNO(accept(l, NULL, NULL), EAGAIN);
	CHECK_ERRNO(accept4(l, NULL, NULL, 1), EINVAL);
	CHECK_ERRNO(accept(99, NULL, NULL), EBADF);
	CHECK_ERRNO(read(l, &c, 1), EINVAL);
	CHECK_ERRNO(write(l, &c, 1), ENOTCONN);
	CHECK_ERRNO(read(fd, &c, 1), EINVAL);
	CHECK_ERRNO(send(fd, &c, 1, MSG_NOSIGNAL), ENOTCONN);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK_ERRNO(listen(sv[0], 1), EINVAL);
	CHECK_ERRNO(accept(sv[0], NULL, NULL), EINVAL);
	CHECK_ERRNO(getpeername(fd, (struct sockaddr *)&c, &(socklen_t){ 1 }), ENOTCONN);
}

TEST(backlog_is_full)
{
	int l = listener("s", 1), c;
	int taken = 0;

	while ((c = new_socket(SOCK_NONBLOCK), !connect_to(c, "s")))
		taken++;
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(taken, 2);
	OK(accept(l, NULL, NULL));
	OK(connect_to(new_socket(SOCK_NONBLOCK), "s"));
}

TEST(waiting_for_a_connection)
{
	int l = listener("s", 5);
	struct pollfd p = { l, POLLIN, 0 };
	pid_t pid;

	CHECK_EQ(poll(&p, 1, 0), 0);
	CHILD (pid) {
		int a = OK(accept(l, NULL, NULL));

		CHECK_EQ(write(a, "hi", 2), 2);
	}
	settle(pid);
	int c = new_socket(0);
	char buf[4];

	OK(connect_to(c, "s"));
	CHECK_EQ(read(c, buf, 4), 2);
	wait_ok(pid);
	CHECK_EQ(read(c, buf, 4), 0);
}

TEST(shutdown_halves)
{
	int sv[2];
	char buf[8];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK_EQ(write(sv[0], "last", 4), 4);
	OK(shutdown(sv[0], SHUT_WR));
	CHECK_EQ(read(sv[1], buf, 8), 4);
	CHECK_EQ(read(sv[1], buf, 8), 0);
	CHECK_ERRNO(send(sv[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(write(sv[1], "back", 4), 4);
	CHECK_EQ(read(sv[0], buf, 8), 4);
	OK(shutdown(sv[0], SHUT_RD));
	CHECK_EQ(read(sv[0], buf, 8), 0);
	CHECK_ERRNO(send(sv[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERRNO(shutdown(sv[0], 77), EINVAL);
	CHECK_ERRNO(shutdown(99, SHUT_RD), EBADF);
}

TEST(peer_closes)
{
	int sv[2];
	char c;
	struct pollfd p;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	OK(close(sv[1]));
	p = (struct pollfd){ sv[0], POLLIN | POLLRDHUP, 0 };
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN | POLLRDHUP | POLLHUP);
	CHECK_EQ(read(sv[0], &c, 1), 0);
	on_signal(SIGPIPE, count_signal, 0);
	CHECK_ERRNO(write(sv[0], &c, 1), EPIPE);
	CHECK_EQ(signals_seen, 1);
	CHECK_ERRNO(send(sv[0], &c, 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(signals_seen, 1);
}

TEST(unread_data_resets)
{
	int sv[2];
	char c;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK_EQ(write(sv[0], "unread", 6), 6);
	OK(close(sv[1]));
	CHECK_ERRNO(read(sv[0], &c, 1), ECONNRESET);
	CHECK_EQ(read(sv[0], &c, 1), 0);
}

TEST(peek_and_waitall)
{
	int sv[2];
	char buf[16];
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK_EQ(write(sv[0], "abcd", 4), 4);
	CHECK_EQ(recv(sv[1], buf, 2, MSG_PEEK), 2);
	CHECK_EQ(recv(sv[1], buf, 16, MSG_PEEK), 4);
	CHECK_EQ(recv(sv[1], buf, 1, 0), 1);
	CHECK_EQ(buf[0], 'a');
	CHILD (pid) {
		CHECK_EQ(recv(sv[1], buf, 8, MSG_WAITALL), 8);
		CHECK(!memcmp(buf, "bcd12345", 8));
	}
	settle(pid);
	CHECK_EQ(write(sv[0], "123456", 6), 6);
	wait_ok(pid);
	CHECK_EQ(recv(sv[1], buf, 16, MSG_DONTWAIT), 1);
	CHECK_ERRNO(recv(sv[1], buf, 16, MSG_DONTWAIT), EAGAIN);
}

TEST(flow_control)
{
	static char buf[1 << 16];
	int sv[2], n = 0;
	long total = 0, got = 0;
	ssize_t r;

	OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv));
	while ((r = write(sv[0], buf, sizeof(buf))) > 0)
		total += r;
	CHECK_EQ(errno, EAGAIN);
	CHECK(total >= 32768);
	OK(ioctl(sv[1], FIONREAD, &n));
	CHECK_EQ(n, total);
	OK(ioctl(sv[0], TIOCOUTQ, &n));
	CHECK(n > 0);
	while ((r = read(sv[1], buf, sizeof(buf))) > 0)
		got += r;
	CHECK_EQ(got, total);
}

TEST(blocked_writer_goes_on)
{
	static char buf[1 << 20];
	int sv[2];
	long got = 0;
	ssize_t r;
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHILD (pid) {
		OK(close(sv[1]));
		CHECK_EQ(write(sv[0], buf, sizeof(buf)), sizeof(buf));
	}
	OK(close(sv[0]));
	settle(pid);
	while ((r = OK(read(sv[1], buf, 10000))) > 0)
		got += r;
	CHECK_EQ(got, sizeof(buf));
	wait_ok(pid);
}

TEST(abstract_names)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len;
	int l = new_socket(0), c = new_socket(0), other = new_socket(0);

	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			  snprintf(a.sun_path + 1, 100, "caisson-%d", getpid()));
	OK(bind(l, (struct sockaddr *)&a, len));
	CHECK_ERRNO(bind(other, (struct sockaddr *)&a, len), EADDRINUSE);
	OK(listen(l, 5));
	OK(connect(c, (struct sockaddr *)&a, len));
	/* The length belongs to the name. */
	CHECK_ERRNO(connect(other, (struct sockaddr *)&a, len + 1), ECONNREFUSED);
	OK(close(l));
	CHECK_ERRNO(connect(other, (struct sockaddr *)&a, len), ECONNREFUSED);
	OK(bind(other, (struct sockaddr *)&a, len));
}

TEST(autobind)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(a);
	int fd = new_socket(0);

	OK(bind(fd, (struct sockaddr *)&a, sizeof(a.sun_family)));
	OK(getsockname(fd, (struct sockaddr *)&a, &len));
	CHECK_EQ(len, 2 + 1 + 5);
	CHECK_EQ(a.sun_path[0], 0);
}

TEST(address_is_cut_to_the_callers_length)
{
	struct sockaddr_un a;
	socklen_t len = 4;
	int l = listener("a-long-name", 1);

	memset(&a, 0x7f, sizeof(a));
	OK(getsockname(l, (struct sockaddr *)&a, &len));
	CHECK_EQ(len, 2 + 12);
	CHECK(a.sun_path[1] == '-' && a.sun_path[2] == 0x7f);
	len = (socklen_t)-1;
	CHECK_ERRNO(getsockname(l, (struct sockaddr *)&a, &len), EINVAL);
	len = sizeof(a);
	CHECK_ERRNO(getsockname(l, BAD_PTR, &len), EFAULT);
	CHECK_ERRNO(getsockname(l, (struct sockaddr *)&a, BAD_PTR), EFAULT);
}

TEST(name_survives_unlink)
{
	int l = listener("s", 5), c = new_socket(0);

	OK(rename("s", "t"));
	OK(connect_to(c, "t"));
	OK(unlink("t"));
	OK(accept(l, NULL, NULL));
	CHECK_ERRNO(connect_to(new_socket(0), "t"), ENOENT);
}

TEST(options)
{
	int sv[2], value = -1;
	socklen_t len = sizeof(value);
	struct timeval tv = { 0, 30000 };
	int64_t begin;
	char c;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	OK(getsockopt(sv[0], SOL_SOCKET, SO_TYPE, &value, &len));
	CHECK_EQ(value, SOCK_STREAM);
	OK(getsockopt(sv[0], SOL_SOCKET, SO_DOMAIN, &value, &len));
	CHECK_EQ(value, AF_UNIX);
	OK(getsockopt(sv[0], SOL_SOCKET, SO_PROTOCOL, &value, &len));
	CHECK_EQ(value, 0);
	OK(getsockopt(sv[0], SOL_SOCKET, SO_ERROR, &value, &len));
	CHECK_EQ(value, 0);
	OK(getsockopt(sv[0], SOL_SOCKET, SO_ACCEPTCONN, &value, &len));
	CHECK_EQ(value, 0);
	OK(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	begin = now_ns();
	CHECK_ERRNO(read(sv[0], &c, 1), EAGAIN);
	CHECK(now_ns() - begin >= 30 * MS_IN_NS);
	CHECK_ERRNO(getsockopt(sv[0], SOL_SOCKET, 9999, &value, &len), ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &value, 1), EINVAL);
	CHECK_ERRNO(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, BAD_PTR, 4), EFAULT);
	CHECK_ERRNO(getsockopt(99, SOL_SOCKET, SO_TYPE, &value, &len), EBADF);
	CHECK_ERRNO(getsockopt(OK(open("/dev/null", O_RDONLY)), SOL_SOCKET, SO_TYPE, &value, &len),
		    ENOTSOCK);
}

TEST(flags_that_change_nothing_here)
{
	int sv[2];
	char buf[8];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK_EQ(send(sv[0], "ab", 2, MSG_DONTWAIT | MSG_DONTROUTE | MSG_CONFIRM), 2);
	CHECK_EQ(recv(sv[1], buf, 8, MSG_CMSG_CLOEXEC), 2);
	CHECK_ERRNO(recv(sv[1], buf, 8, MSG_DONTWAIT | MSG_ERRQUEUE), EAGAIN);
	CHECK_ERRNO(sendto(sv[0], "x", 1, 0, (struct sockaddr *)buf, 2), EISCONN);
	CHECK_ERRNO(send(sv[0], BAD_PTR, 5, 0), EFAULT);
	CHECK_EQ(write(sv[0], "x", 1), 1);
	CHECK_ERRNO(recv(sv[1], BAD_PTR, 5, 0), EFAULT);
}

TEST(accept_with_bad_addresses)
{
	int l = listener("s", 5);
	socklen_t len = sizeof(struct sockaddr_un);

	OK(connect_to(new_socket(0), "s"));
	CHECK_ERRNO(syscall(SYS_accept, l, BAD_PTR, &len), EFAULT);
	OK(connect_to(new_socket(0), "s"));
	CHECK_ERRNO(syscall(SYS_accept4, l, &len, BAD_PTR, 0), EFAULT);
}

TEST(accept_is_interrupted)
{
	int l = listener("s", 5);
	pid_t pid;

	CHILD (pid) {
		on_signal(SIGUSR1, count_signal, 0);
		CHECK_ERRNO(accept(l, NULL, NULL), EINTR);
	}
	settle(pid);
	OK(kill(pid, SIGUSR1));
	wait_ok(pid);
}

TEST(receive_and_send_are_interrupted)
{
	static char big[1 << 21];
	struct iovec iov = { big, 10 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int sv[2];
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHILD (pid) {
		on_signal(SIGUSR1, count_signal, 0);
		CHECK_ERRNO(recv(sv[0], big, 1, 0), EINTR);
		CHECK_ERRNO(recvmsg(sv[0], &msg, 0), EINTR);
		while (send(sv[0], big, sizeof(big), MSG_DONTWAIT) > 0)
			;
		CHECK_ERRNO(send(sv[0], big, 1, 0), EINTR);
		CHECK_ERRNO(sendmsg(sv[0], &msg, 0), EINTR);
	}
	for (int i = 0; i < 4; i++) {
		settle(pid);
		OK(kill(pid, SIGUSR1));
	}
	wait_ok(pid);
}

TEST(shutdown_without_a_connection)
{
	int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	struct pollfd p = { fd, POLLIN | POLLRDHUP, 0 };

	OK(shutdown(fd, SHUT_RDWR));
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN | POLLRDHUP | POLLHUP);
	fd = OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
	OK(shutdown(fd, SHUT_WR));
}

/* A connection that was accepted does not hold the listener's name. */
TEST(abstract_name_is_free_when_its_listener_is_gone)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const socklen_t len = offsetof(struct sockaddr_un, sun_path) + 1 + 7;
	int l = OK(socket(AF_UNIX, SOCK_STREAM, 0)), c = OK(socket(AF_UNIX, SOCK_STREAM, 0)), s;

	snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "%07d", (int)getpid() % 10000000);
	OK(bind(l, (struct sockaddr *)&a, len));
	OK(listen(l, 5));
	OK(connect(c, (struct sockaddr *)&a, len));
	s = OK(accept(l, NULL, NULL));
	OK(close(l));
	l = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(bind(l, (struct sockaddr *)&a, len));
	OK(listen(l, 5));
	CHECK_ERRNO(bind(c, (struct sockaddr *)&a, len), EADDRINUSE);
	OK(connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&a, len));
	CHECK_EQ(write(s, "x", 1), 1);
}
