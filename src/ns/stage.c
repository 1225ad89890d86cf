/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/stage.h"

#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "host/pidfd.h"

int stage_socketpair(int ret[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0)
		return err_sys(err, -errno, "make the socket to the container process");
	return 0;
}

pid_t stage_clone(unsigned long long flags, int cgroup_fd, int *ret_pidfd)
{
	int pidfd = -EBADF;
	struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };
	long pid;

	if (flags & CLONE_PARENT)
		args.exit_signal = 0; /* the parent's own (clone(2)) */
	if (ret_pidfd) {
		args.flags |= CLONE_PIDFD;
		args.pidfd = (uint64_t)(uintptr_t)&pidfd;
	}
	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd;
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return -errno;
	if (pid > 0 && ret_pidfd)
		*ret_pidfd = pidfd;
	return (pid_t)pid;
}

void stage_default_signals(void)
{
	/* The real-time ones nobody ignores; each is a system call. */
	for (int number = 1; number < 32; number++)
		(void)signal(number, SIG_DFL);
}

int stage_send(int sock, enum stage_msg_type type, int32_t value, int fd)
{
	const struct init_report head = { .type = type, .value = value };

	return fd_send(sock, &head, sizeof(head), &fd, fd >= 0 ? 1 : 0);
}

int stage_await(int sock, char byte, struct err *err)
{
	char got;
	ssize_t n;

	do {
		n = recv(sock, &got, 1, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, -errno, "wait for the runtime");
	if (n == 0)
		return err_set(err, -EPIPE, "the runtime is gone");
	if (got != byte)
		return err_set(err, -EPROTO, "the runtime said '%c' where '%c' was expected", got,
			       byte);
	return 0;
}

int stage_await_placed(int sock, struct err *err)
{
	struct cgroup_join join = { .len = CGROUP_JOIN_MAX };
	size_t at = 0;
	char got = 0;
	const ssize_t n = fd_recv(sock, &got, 1, join.fds, &join.len);
	int r;

	if (n < 0)
		return err_sys(err, (int)n, "wait for the runtime");
	if (n == 0)
		return err_set(err, -EPIPE, "the runtime is gone");
	r = got == STAGE_PLACED ? cgroup_join(&join, &at) : -EPROTO;
	cgroup_join_done(&join);
	return r < 0 ? err_sys(err, r, "enter cgroup %zu of the container", at) : 0;
}

void stage_fail(int sock, const struct err *err)
{
	const struct stage_msg msg = { .head = { .type = STAGE_FAILED, .value = err->code },
				       .err = *err };

	(void)fd_send(sock, &msg, sizeof(msg), NULL, 0);
	_exit(255);
}

/* What followed the head has landed at `err`. */
static void take_text(struct stage_msg *msg, size_t len)
{
	if (len > INIT_REPORT_TEXT_MAX)
		len = INIT_REPORT_TEXT_MAX;
	memmove(msg->err.msg, &msg->err, len);
	msg->err.msg[len] = '\0';
}

int stage_recv(int sock, struct stage_msg *ret, int *ret_fd, struct err *err)
{
	struct stage_msg msg = { 0 };
	int fd = -EBADF;
	size_t nfds = 1;
	ssize_t n = fd_recv(sock, &msg, sizeof(msg), &fd, &nfds);

	if (n == 0)
		return 0;
	if (n == -ECONNRESET) {
		/* It died with a byte of ours unread. The kernel says so before it gives out what
		 * was sent. */
		nfds = 1;
		n = fd_recv(sock, &msg, sizeof(msg), &fd, &nfds);
		if (n == 0 || n == -ECONNRESET)
			return err_set(err, -EPROTO, STAGE_DIED);
	}
	if (n < 0)
		return err_sys(err, (int)n, "read from the container process");
	if (nfds == 0)
		fd = -EBADF;
	if ((size_t)n < sizeof(msg.head) ||
	    (msg.head.type == STAGE_FAILED && (size_t)n != sizeof(msg))) {
		if (fd >= 0)
			(void)close(fd);
		return err_set(err, -EPROTO, "the container process sent %zd bytes", n);
	}
	if (msg.head.type == INIT_REPORT_FAILED)
		take_text(&msg, (size_t)n - sizeof(msg.head));
	msg.err.msg[sizeof(msg.err.msg) - 1] = '\0';
	*ret = msg;
	*ret_fd = fd;
	return 1;
}

int stage_recv_from(int sock, int pidfd, struct stage_msg *ret, int *ret_fd, struct err *err)
{
	/* In this order: what a process sent before it ended is there when its end is seen. */
	struct pollfd p[] = { { .fd = pidfd, .events = POLLIN }, { .fd = sock, .events = POLLIN } };

	while (poll(p, 2, -1) < 0) {
		if (errno != EINTR)
			return err_sys(err, -errno, "poll the container process");
	}
	return p[1].revents ? stage_recv(sock, ret, ret_fd, err) : 0;
}

int stage_tell(int sock, char byte, struct err *err)
{
	const int r = fd_send(sock, &byte, 1, NULL, 0);

	/* A dead child says more in the message that it left behind. */
	if (r == -EPIPE || r == -ECONNRESET)
		return 0;
	return r < 0 ? err_sys(err, r, "write to the container process") : 0;
}

int stage_tell_placed(int sock, const struct cgroup *cg, bool cloned, struct err *err)
{
	const char byte = STAGE_PLACED;
	struct cgroup_join join = { 0 };
	int r = cg ? cgroup_join_open(cg, cloned, &join, err) : 0;

	if (r < 0)
		return r;
	r = fd_send(sock, &byte, 1, join.fds, join.len);
	cgroup_join_done(&join);
	if (r == -EPIPE || r == -ECONNRESET)
		return 0;
	return r < 0 ? err_sys(err, r, "write to the container process") : 0;
}

static const char *const step_names[INIT_STEP_MAX] = {
	[INIT_STEP_MESSAGE] = "caisson-init: read its message",
	[INIT_STEP_TTY] = "make the console the controlling terminal",
	[INIT_STEP_BOUNDING] = "drop capabilities from the bounding set",
	[INIT_STEP_GROUPS] = "setgroups",
	[INIT_STEP_GID] = "setgid",
	[INIT_STEP_UID] = "setuid",
	[INIT_STEP_CAPS] = "set capabilities",
	[INIT_STEP_AMBIENT] = "set ambient capabilities",
	[INIT_STEP_NO_NEW_PRIVS] = "set no_new_privs",
	[INIT_STEP_CWD] = "chdir to the working directory (process.cwd)",
	[INIT_STEP_FORK] = "fork into the container's pid namespace",
	[INIT_STEP_GATE] = "wait for start",
	[INIT_STEP_SECCOMP] = "install the seccomp filter",
	[INIT_STEP_EXEC] = "exec the container process",
};

int stage_report_error(const struct stage_msg *msg, struct err *err)
{
	int code = msg->head.value < 0 ? msg->head.value : -EPROTO;

	if (msg->head.type == STAGE_FAILED)
		return err_set(err, code, "%s", msg->err.msg);
	if (msg->head.step >= INIT_STEP_MAX)
		return err_set(err, -EPROTO, "caisson-init failed at unknown step %u",
			       msg->head.step);
	if (msg->head.step == INIT_STEP_CWD && code == -EXDEV)
		return err_set(
			err, -EPERM,
			"current working directory is outside of container mount namespace root");
	if (msg->err.msg[0])
		return err_sys(err, code, "%s %s", step_names[msg->head.step], msg->err.msg);
	return err_sys(err, code, "%s", step_names[msg->head.step]);
}

int stage_adopt_forked(struct ns_child *child, pid_t pid, struct err *err)
{
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
	auto_close_p(&child->pidfd);
	child->pid = pid;
	child->pidfd = pidfd_get(pid);
	if (child->pidfd < 0)
		return err_sys(err, child->pidfd, "pidfd_open %d", (int)pid);
	return 0;
}

void stage_abandon(struct ns_child *child)
{
	if (child->pid > 0) {
		(void)kill(child->pid, SIGKILL);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	ns_child_done(child);
}

void ns_child_done(struct ns_child *child)
{
	if (!child)
		return;
	auto_close_p(&child->pidfd);
	auto_close_p(&child->report);
	auto_close_p(&child->master);
	*child = (struct ns_child)NS_CHILD_INIT;
}
