/* SPDX-License-Identifier: Apache-2.0 */
/* Ancillary data of AF_UNIX sockets: SCM_RIGHTS, SCM_CREDENTIALS, SO_PEERCRED, SO_PASSCRED. */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "harness.h"

union control {
	struct cmsghdr head;
	char buf[512];
};

static ssize_t send_fds(int sock, const int *fds, int n, const char *text)
{
	union control c = { 0 };
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &c,
			      .msg_controllen = CMSG_SPACE(n * sizeof(int)) };

	c.head = (struct cmsghdr){ CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&c.head), fds, n * sizeof(int));
	return sendmsg(sock, &msg, 0);
}

/* The number of descriptors that came; -1: none. */
static int recv_fds(int sock, int *fds, int room, int flags, int *msg_flags)
{
	union control c;
	char buf[64];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &c,
			      .msg_controllen = room ? CMSG_SPACE(room * sizeof(int)) : 0 };
	struct cmsghdr *head;
	int n;

	CHECK(OK(recvmsg(sock, &msg, flags)) > 0);
	if (msg_flags)
		*msg_flags = msg.msg_flags;
	head = CMSG_FIRSTHDR(&msg);
	if (!head)
		return -1;
	CHECK_EQ(head->cmsg_level, SOL_SOCKET);
	CHECK_EQ(head->cmsg_type, SCM_RIGHTS);
	n = (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(fds, CMSG_DATA(head), n * sizeof(int));
	return n;
}

TEST(descriptor_is_passed)
{
	int sv[2], fds[2], got = -1;
	char c;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	OK(pipe(fds));
	CHECK_EQ(send_fds(sv[0], &fds[0], 1, "x"), 1);
	OK(close(fds[0]));
	CHECK_EQ(recv_fds(sv[1], &got, 1, 0, NULL), 1);
	CHECK_EQ(fcntl(got, F_GETFD), 0);
	CHECK_EQ(write(fds[1], "p", 1), 1);
	CHECK_EQ(read(got, &c, 1), 1);
	CHECK_EQ(c, 'p');
}

TEST(between_processes)
{
	int sv[2], fd, got;
	char buf[8];
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHILD (pid) {
		write_file("f", "secret");
		fd = OK(open("f", O_RDONLY));
		OK(unlink("f"));
		CHECK_EQ(send_fds(sv[0], &fd, 1, "x"), 1);
	}
	CHECK_EQ(recv_fds(sv[1], &got, 1, MSG_CMSG_CLOEXEC, NULL), 1);
	wait_ok(pid);
	CHECK_EQ(fcntl(got, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(read(got, buf, 8), 6);
}

TEST(several_share_their_offsets)
{
	int sv[2], fds[3], got[3];

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	write_file("f", "0123456789");
	fds[0] = fds[1] = OK(open("f", O_RDONLY));
	fds[2] = OK(open("/dev/null", O_RDONLY));
	CHECK_EQ(send_fds(sv[0], fds, 3, "x"), 1);
	CHECK_EQ(recv_fds(sv[1], got, 3, 0, NULL), 3);
	CHECK(got[0] != got[1]);
	OK(lseek(got[0], 7, SEEK_SET));
	CHECK_EQ(lseek(got[1], 0, SEEK_CUR), 7);
	CHECK_EQ(lseek(fds[0], 0, SEEK_CUR), 7);
}

TEST(too_little_room)
{
	int sv[2], fds[2], got[2], flags = 0, before, after;

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	fds[0] = fds[1] = OK(open("/dev/null", O_RDONLY));
	CHECK_EQ(send_fds(sv[0], fds, 2, "x"), 1);
	CHECK_EQ(recv_fds(sv[1], got, 0, 0, &flags), -1);
	CHECK(flags & MSG_CTRUNC);
	/* What was cut off is closed, not leaked. */
	before = OK(dup(0));
	OK(close(before));
	CHECK_EQ(send_fds(sv[0], fds, 2, "x"), 1);
	recv_fds(sv[1], got, 0, 0, &flags);
	after = OK(dup(0));
	CHECK_EQ(after, before);
}

TEST(without_control_by_read)
{
	int sv[2], fd = OK(open("/dev/null", O_RDONLY));
	char buf[8];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK_EQ(send_fds(sv[0], &fd, 1, "abc"), 3);
	CHECK_EQ(read(sv[1], buf, 8), 3);
}

TEST(streams_stop_at_descriptors)
{
	int sv[2], fd = OK(open("/dev/null", O_RDONLY)), got;
	char buf[16];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK_EQ(write(sv[0], "ab", 2), 2);
	CHECK_EQ(send_fds(sv[0], &fd, 1, "cd"), 2);
	CHECK_EQ(write(sv[0], "ef", 2), 2);
	CHECK_EQ(recv(sv[1], buf, 2, 0), 2);
	CHECK_EQ(recv_fds(sv[1], &got, 1, 0, NULL), 1);
	/* "cd" with its descriptor was one piece, "ef" comes after it. */
	CHECK_EQ(recv(sv[1], buf, 16, 0), 2);
	CHECK(!memcmp(buf, "ef", 2));
}

/* What was sent before may come along; what was sent behind does not. */
TEST(bytes_before_come_with_descriptors)
{
	int sv[2], fds[2], got = -1;
	char buf[8];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	OK(pipe(fds));
	CHECK_EQ(write(sv[0], "1", 1), 1);
	CHECK_EQ(send_fds(sv[0], &fds[0], 1, "2"), 1);
	CHECK_EQ(write(sv[0], "3", 1), 1);
	CHECK_EQ(recv_fds(sv[1], &got, 1, 0, NULL), 1);
	CHECK_EQ(read(sv[1], buf, 8), 1);
	CHECK_EQ(buf[0], '3');
}

TEST(errors)
{
	int sv[2], bad = 99, fd = OK(open("/dev/null", O_RDONLY));
	int many[254];

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	CHECK_ERRNO(send_fds(sv[0], &bad, 1, "x"), EBADF);
	for (int i = 0; i < 254; i++)
		many[i] = fd;
	union {
		struct cmsghdr head;
		char buf[CMSG_SPACE(254 * sizeof(int))];
	} c = { 0 };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)
	};

	c.head = (struct cmsghdr){ CMSG_LEN(254 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&c.head), many, sizeof(many));
	CHECK_ERRNO(sendmsg(sv[0], &msg, 0), EINVAL);
	c.head.cmsg_len = 5;
	CHECK_ERRNO(sendmsg(sv[0], &msg, 0), EINVAL);
	CHECK_ERRNO(sendmsg(sv[0], BAD_PTR, 0), EFAULT);
	CHECK_ERRNO(recvmsg(sv[0], BAD_PTR, MSG_DONTWAIT), EFAULT);
}

TEST(descriptor_limit_of_the_receiver)
{
	struct rlimit lim = { 30, 30 };
	int sv[2], fd = OK(open("/dev/null", O_RDONLY)), got = -1, flags = 0, last = -1, n;

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	CHECK_EQ(send_fds(sv[0], &fd, 1, "x"), 1);
	OK(setrlimit(RLIMIT_NOFILE, &lim));
	while ((n = dup(0)) >= 0)
		last = n;
	CHECK_EQ(last, 29);
	CHECK_EQ(recv_fds(sv[1], &got, 1, 0, &flags), -1);
	CHECK(flags & MSG_CTRUNC);
}

TEST(socket_sent_over_itself)
{
	int sv[2], got;

	/* A cycle: nobody can reach it after the closes, and nothing hangs. */
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK_EQ(send_fds(sv[0], &sv[1], 1, "x"), 1);
	CHECK_EQ(send_fds(sv[0], &sv[0], 1, "y"), 1);
	CHECK_EQ(recv_fds(sv[1], &got, 1, 0, NULL), 1);
	OK(close(sv[0]));
	OK(close(sv[1]));
	OK(close(got));
}

TEST(sockets_in_sockets_in_sockets)
{
	int before[2], p[2], end[2];
	char c;

	/* The last pair of a long chain carries, at the other end, a pipe's writer. */
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, before));
	OK(pipe(end));
	CHECK_EQ(send_fds(before[0], &end[1], 1, "x"), 1);
	OK(close(end[1]));
	OK(close(before[0]));
	for (int i = 0; i < 2000; i++) {
		OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, p));
		if (send_fds(p[0], &before[1], 1, "x") < 0) {
			CHECK_EQ(errno, ETOOMANYREFS);
			OK(close(p[0]));
			OK(close(p[1]));
			break;
		}
		OK(close(before[1]));
		OK(close(p[0]));
		before[1] = p[1];
	}
	OK(close(before[1]));
	/* All of them are gone: nobody writes any more. */
	CHECK_EQ(read(end[0], &c, 1), 0);
}

TEST(queued_descriptor_dies_with_the_socket)
{
	int sv[2], fds[2];
	char c;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	OK(pipe(fds));
	CHECK_EQ(send_fds(sv[0], &fds[1], 1, "x"), 1);
	OK(close(fds[1]));
	OK(fcntl(fds[0], F_SETFL, O_NONBLOCK));
	CHECK_ERRNO(read(fds[0], &c, 1), EAGAIN);
	OK(close(sv[0]));
	OK(close(sv[1]));
	for (int i = 0; i < 2000 && read(fds[0], &c, 1) == -1; i++)
		sleep_ms(1);
	CHECK_EQ(read(fds[0], &c, 1), 0);
}

TEST(peer_credentials)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int sv[2];
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	OK(getsockopt(sv[0], SOL_SOCKET, SO_PEERCRED, &cred, &len));
	CHECK_EQ(cred.pid, getpid());
	CHECK_EQ(cred.uid, geteuid());
	CHECK_EQ(cred.gid, getegid());
	/* Those of who made it, whoever asks. */
	CHILD (pid) {
		OK(getsockopt(sv[1], SOL_SOCKET, SO_PEERCRED, &cred, &len));
		CHECK_EQ(cred.pid, getppid());
	}
	wait_ok(pid);
}

TEST(peer_credentials_of_a_connection)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "s" };
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int l = OK(socket(AF_UNIX, SOCK_STREAM, 0)), s;
	pid_t pid;
	char c;

	need_root();
	OK(bind(l, (struct sockaddr *)&a, sizeof(a)));
	OK(chmod("s", 0777));
	OK(listen(l, 1));
	CHILD (pid) {
		int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));

		OK(syscall(SYS_setresgid, 444, 444, 444));
		OK(syscall(SYS_setresuid, 333, 333, 333));
		OK(connect(fd, (struct sockaddr *)&a, sizeof(a)));
		CHECK_EQ(read(fd, &c, 1), 1);
		OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len));
		CHECK_EQ(cred.pid, getppid());
		CHECK_EQ(cred.uid, 0);
	}
	s = OK(accept(l, NULL, NULL));
	OK(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cred, &len));
	CHECK_EQ(cred.pid, pid);
	CHECK_EQ(cred.uid, 333);
	CHECK_EQ(cred.gid, 444);
	CHECK_EQ(write(s, "x", 1), 1);
	wait_ok(pid);
}

static struct ucred recv_cred(int sock)
{
	union control c;
	char buf[64];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)
	};
	struct cmsghdr *head;
	struct ucred cred;

	CHECK(OK(recvmsg(sock, &msg, 0)) > 0);
	head = CMSG_FIRSTHDR(&msg);
	CHECK(head);
	CHECK_EQ(head->cmsg_type, SCM_CREDENTIALS);
	memcpy(&cred, CMSG_DATA(head), sizeof(cred));
	return cred;
}

static ssize_t send_cred(int sock, struct ucred cred)
{
	union control c = { 0 };
	struct iovec iov = { "c", 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &c,
			      .msg_controllen = CMSG_SPACE(sizeof(cred)) };

	c.head = (struct cmsghdr){ CMSG_LEN(sizeof(cred)), SOL_SOCKET, SCM_CREDENTIALS };
	memcpy(CMSG_DATA(&c.head), &cred, sizeof(cred));
	return sendmsg(sock, &msg, 0);
}

TEST(credentials_are_added_when_asked)
{
	int sv[2], on = 1;
	struct ucred cred;
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	OK(setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	CHILD (pid)
		CHECK_EQ(write(sv[0], "x", 1), 1);
	cred = recv_cred(sv[1]);
	CHECK_EQ(cred.pid, pid);
	CHECK_EQ(cred.uid, getuid());
	wait_ok(pid);
}

TEST(credentials_cannot_be_forged)
{
	int sv[2], on = 1;
	struct ucred cred = { getpid(), 65534, 65534 };

	need_root();
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	OK(setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	/* Root may name other users that are mapped, but no process that is not there. */
	CHECK_EQ(send_cred(sv[0], cred), 1);
	CHECK_EQ(recv_cred(sv[1]).uid, 65534);
	become_nobody();
	CHECK_EQ(send_cred(sv[0], cred), 1);
	recv_cred(sv[1]);
	cred.uid = 0;
	CHECK_ERRNO(send_cred(sv[0], cred), EPERM);
	cred.uid = 65534;
	cred.pid = 1;
	CHECK_ERRNO(send_cred(sv[0], cred), EPERM);
	cred.pid = getpid();
	cred.gid = 0;
	CHECK_ERRNO(send_cred(sv[0], cred), EPERM);
}
