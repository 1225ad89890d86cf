/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/carry.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/sys.h"

static void await(struct pollfd *fds, long len)
{
	while (SYS5(SYS_ppoll, fds, len, NULL, NULL, 0) == -EINTR)
		;
}

/* Nothing else stays open: the container's end of this pipe or of another would never close. */
static bool keep_only(int a, int b)
{
	const int first = a < b ? a : b, second = a < b ? b : a;

	return (first == 0 || SYS3(SYS_close_range, 0, first - 1, 0) == 0) &&
	       (first + 1 == second || SYS3(SYS_close_range, first + 1, second - 1, 0) == 0) &&
	       SYS3(SYS_close_range, second + 1, ~0u, 0) == 0;
}

/* ---- From the container --------------------------------------------------------------------- */

/* At most `len` bytes: their number, 0 if there are none now, negative: one side is over. */
static long carry_some(struct carry_task *t, long len)
{
	const long n = SYS3(SYS_read, t->pipe_fd, t->bytes, len < CARRY_MAX ? len : CARRY_MAX);

	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n <= 0)
		return -EPIPE;
	for (long at = 0; at < n;) {
		const long sent =
			SYS6(SYS_sendto, t->sock, t->bytes + at, n - at, MSG_NOSIGNAL, NULL, 0);

		if (sent < 0 && sent != -EINTR)
			return sent;
		if (sent > 0)
			at += sent;
	}
	return n;
}

/* The agent says with its end of the socket that the process has ended. */
static void carry_out(struct carry_task *t)
{
	struct pollfd fds[2] = { { t->pipe_fd, POLLIN, 0 }, { t->sock, POLLRDHUP, 0 } };
	int lies = 0;

	for (;;) {
		await(fds, 2);
		if (fds[1].revents)
			break;
		if (carry_some(t, CARRY_MAX) < 0)
			return;
	}
	if (fds[1].revents & (POLLHUP | POLLERR) ||
	    SYS3(SYS_ioctl, t->pipe_fd, FIONREAD, &lies) < 0)
		return;
	while (lies > 0) {
		const long n = carry_some(t, lies);

		if (n <= 0)
			return;
		lies -= (int)n;
	}
}

/* ---- To the container ----------------------------------------------------------------------- */

static bool write_whole(struct carry_task *t, long len)
{
	struct pollfd room = { t->pipe_fd, POLLOUT, 0 };

	for (long at = 0; at < len;) {
		const long n = SYS3(SYS_write, t->pipe_fd, t->bytes + at, len - at);

		if (n < 0 && n != -EAGAIN && n != -EINTR)
			return false;
		if (n < 0)
			await(&room, 1);
		else
			at += n;
	}
	return true;
}

static void carry_in(struct carry_task *t)
{
	struct pollfd fds[2] = { { t->pipe_fd, 0, 0 }, { t->sock, POLLIN, 0 } };

	for (;;) {
		long n;

		await(fds, 2);
		if (fds[0].revents)
			return;
		n = SYS3(SYS_read, t->sock, t->bytes, CARRY_MAX);
		if (n == -EINTR)
			continue;
		/* A program that reads no more ends us with SIGPIPE at the latest. */
		if (n <= 0 || !write_whole(t, n))
			return;
	}
}

int carry(void *arg)
{
	struct carry_task *t = arg;

	(void)SYS2(SYS_prctl, PR_SET_NAME, "caisson-carrier");
	if (keep_only(t->pipe_fd, t->sock)) {
		if (t->out)
			carry_out(t);
		else
			carry_in(t);
	}
	/* The socket first: closing the pipe may wait for its lock. */
	(void)SYS1(SYS_close, t->sock);
	return 0;
}
