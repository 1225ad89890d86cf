/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp_unotify(2): SECCOMP_RET_USER_NOTIF and the calls of its listener. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "harness.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define ASKED SYS_getpgrp /* the call that is asked about */

static int install(unsigned int action, unsigned int flags)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ASKED, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, f };

	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static void send_fd(int sock, int fd)
{
	char byte = 'x', room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = room,
			    .msg_controllen = sizeof(room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	OK(sendmsg(sock, &m, 0));
}

static int receive_fd(int sock)
{
	char byte, room[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = room,
			    .msg_controllen = sizeof(room) };
	int fd;

	CHECK_EQ(recvmsg(sock, &m, 0), 1);
	CHECK(CMSG_FIRSTHDR(&m));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

/* A child whose calls we answer: it makes the call and exits with what run() says. */
static pid_t supervised(unsigned int flags, int (*run)(void), int *ret_listener)
{
	int pair[2];
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = OK(fork());
	if (!pid) {
		const int fd = OK(
			install(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags));

		send_fd(pair[1], fd);
		close(fd);
		_exit(run());
	}
	*ret_listener = receive_fd(pair[0]);
	close(pair[0]);
	close(pair[1]);
	return pid;
}

static struct seccomp_notif next(int listener)
{
	struct seccomp_notif n = { 0 };

	OK(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n));
	return n;
}

static int answer(int listener, uint64_t id, int64_t value, int error, unsigned int flags)
{
	struct seccomp_notif_resp resp = { id, value, -error, flags };

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

static int ask(void)
{
	errno = 0;
	return syscall(ASKED, 1, 2, 3) == 77 ? 0 : errno ? errno : 1;
}

TEST(value_errno_and_going_on)
{
	struct seccomp_notif n;
	int listener;
	pid_t pid = supervised(0, ask, &listener);

	n = next(listener);
	CHECK_EQ(n.pid, pid);
	CHECK_EQ(n.flags, 0);
	CHECK_EQ(n.data.nr, ASKED);
	CHECK_EQ(n.data.arch, AUDIT_ARCH_X86_64);
	CHECK_EQ(n.data.args[2], 3);
	OK(answer(listener, n.id, 77, 0, 0));
	wait_exit(pid, 0);

	pid = supervised(0, ask, &listener);
	n = next(listener);
	OK(answer(listener, n.id, 0, EXDEV, 0));
	wait_exit(pid, EXDEV);

	/* The call itself: its process group is ours. */
	pid = supervised(0, ask, &listener);
	n = next(listener);
	OK(answer(listener, n.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
	wait_exit(pid, 1);
}

TEST(what_an_answer_may_be)
{
	struct seccomp_notif n, dirty = { .id = 1 };
	uint64_t id;
	int listener;
	pid_t pid = supervised(0, ask, &listener);

	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &dirty), EINVAL);
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, BAD_PTR), EFAULT);
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, BAD_PTR), EFAULT);
	CHECK_ERRNO(ioctl(listener, 0x1234, 0), EINVAL);
	n = next(listener);
	CHECK_ERRNO(answer(listener, n.id, 0, 0, 2), EINVAL);
	CHECK_ERRNO(answer(listener, n.id, 5, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE), EINVAL);
	CHECK_ERRNO(answer(listener, n.id, 0, 5, SECCOMP_USER_NOTIF_FLAG_CONTINUE), EINVAL);
	CHECK_ERRNO(answer(listener, n.id + 1, 0, 0, 0), ENOENT);
	OK(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
	id = n.id + 1;
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id), ENOENT);
	OK(answer(listener, n.id, 77, 0, 0));
	wait_exit(pid, 0);
	CHECK_ERRNO(answer(listener, n.id, 77, 0, 0), ENOENT);
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id), ENOENT);
}

TEST(poll_tells_of_questions_answers_and_the_end)
{
	int listener;
	pid_t pid = supervised(0, ask, &listener);
	struct pollfd p = { .fd = listener, .events = POLLIN | POLLOUT };
	struct seccomp_notif n;

	CHECK_EQ(poll(&p, 1, 30000), 1);
	CHECK_EQ(p.revents, POLLIN);
	n = next(listener);
	CHECK_EQ(poll(&p, 1, 30000), 1);
	CHECK_EQ(p.revents, POLLOUT);
	OK(answer(listener, n.id, 77, 0, 0));
	wait_exit(pid, 0);
	CHECK_EQ(poll(&p, 1, 30000), 1);
	CHECK(p.revents & POLLHUP);
}

static int read_nine(void)
{
	char text[8] = "";
	const long fd = syscall(ASKED);

	if (fd < 0)
		return 1;
	if (read((int)fd, text, 5) != 5 || strcmp(text, "hello"))
		return 2;
	return fcntl((int)fd, F_GETFD) == FD_CLOEXEC ? (int)fd : 100;
}

TEST(descriptors_are_handed_over)
{
	struct seccomp_notif_addfd add = { .flags = SECCOMP_ADDFD_FLAG_SETFD,
					   .newfd = 9,
					   .newfd_flags = O_CLOEXEC };
	struct seccomp_notif n;
	int listener, source;
	pid_t pid;

	write_file("text", "hello");
	source = OK(open("text", O_RDONLY));
	pid = supervised(0, read_nine, &listener);
	n = next(listener);
	add.srcfd = (unsigned int)source;
	add.id = n.id + 1;
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add), ENOENT);
	add.id = n.id;
	add.srcfd = 99;
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add), EBADF);
	add.srcfd = (unsigned int)source;
	add.newfd_flags = O_NONBLOCK;
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add), EINVAL);
	add.newfd_flags = O_CLOEXEC;
	add.flags = 0;
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add), EINVAL);
	add.flags = 8;
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add), EINVAL);
	add.flags = SECCOMP_ADDFD_FLAG_SETFD;
	CHECK_EQ(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add), 9);
	OK(answer(listener, n.id, 9, 0, 0));
	wait_exit(pid, 9);

	/* Any number, and the answer at once. */
	OK(lseek(source, 0, SEEK_SET));
	pid = supervised(0, read_nine, &listener);
	n = next(listener);
	add = (struct seccomp_notif_addfd){ .id = n.id,
					    .flags = SECCOMP_ADDFD_FLAG_SEND,
					    .srcfd = (unsigned int)source,
					    .newfd_flags = O_CLOEXEC };
	source = OK(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	wait_exit(pid, source);
	CHECK_ERRNO(answer(listener, n.id, 0, 0, 0), ENOENT);
}

TEST(without_a_listener_the_call_is_not_there)
{
	int listener;
	pid_t pid;

	CHILD (pid) {
		OK(install(SECCOMP_RET_USER_NOTIF, 0));
		CHECK_ERRNO(syscall(ASKED), ENOSYS);
	}
	wait_ok(pid);
	pid = supervised(0, ask, &listener);
	next(listener);
	close(listener);
	wait_exit(pid, ENOSYS);
}

static int ask_by_signal(void)
{
	on_signal(SIGUSR1, count_signal, 0);
	return ask();
}

static int ask_restarted(void)
{
	on_signal(SIGUSR1, count_signal, SA_RESTART);
	return ask();
}

TEST(a_signal_asks_anew_and_a_kill_ends)
{
	struct seccomp_notif n, again;
	int listener;
	pid_t pid;

	pid = supervised(0, ask, &listener);
	n = next(listener);
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
	CHECK_ERRNO(answer(listener, n.id, 0, 0, 0), ENOENT);
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id), ENOENT);

	pid = supervised(0, ask_by_signal, &listener);
	n = next(listener);
	OK(kill(pid, SIGUSR1));
	wait_exit(pid, EINTR);
	/* With SA_RESTART it is asked about once more. */
	pid = supervised(0, ask_restarted, &listener);
	n = next(listener);
	OK(kill(pid, SIGUSR1));
	again = next(listener);
	CHECK(again.id != n.id);
	OK(answer(listener, again.id, 77, 0, 0));
	wait_exit(pid, 0);

	pid = supervised(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, ask_by_signal, &listener);
	n = next(listener);
	OK(kill(pid, SIGUSR1));
	sleep_ms(50);
	OK(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
	OK(answer(listener, n.id, 77, 0, 0));
	wait_exit(pid, 0);
	pid = supervised(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, ask, &listener);
	again = next(listener);
	CHECK(again.id != 0);
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
}

TEST(flags)
{
	struct seccomp_notif_sizes sizes;
	unsigned int action = SECCOMP_RET_USER_NOTIF;
	pid_t pid;

	OK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
	OK(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes));
	CHECK(sizes.seccomp_notif >= sizeof(struct seccomp_notif));
	CHECK(sizes.seccomp_notif_resp >= sizeof(struct seccomp_notif_resp));
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 1, &sizes), EINVAL);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, BAD_PTR), EFAULT);
	CHILD (pid) {
		const unsigned int listen = SECCOMP_FILTER_FLAG_NEW_LISTENER;
		int fd;

		CHECK_ERRNO(install(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV),
			    EINVAL);
		CHECK_ERRNO(install(SECCOMP_RET_USER_NOTIF, listen | SECCOMP_FILTER_FLAG_TSYNC),
			    EINVAL);
		fd = OK(install(SECCOMP_RET_USER_NOTIF, listen));
		CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
		CHECK_ERRNO(install(SECCOMP_RET_USER_NOTIF, listen), EBUSY);
		/* The stricter answer wins. */
		OK(install(SECCOMP_RET_ERRNO | EXDEV, 0));
		CHECK_ERRNO(syscall(ASKED), EXDEV);
	}
	wait_ok(pid);
}
