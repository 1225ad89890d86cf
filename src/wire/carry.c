/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/carry.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/sys.h"

static void await(struct pollfd *fds, long len)
{
	while (SYS5(SYS_ppoll, fds, len, NULL, NULL, 0) == -EINTR)
		;
}

/* Nothing else stays open: the other end of this pipe, or of another, would never close. */
static bool keep_only(int a, int b)
{
	const int first = a < b ? a : b, second = a < b ? b : a;

	return (first == 0 || SYS3(SYS_close_range, 0, first - 1, 0) == 0) &&
	       (first + 1 == second || SYS3(SYS_close_range, first + 1, second - 1, 0) == 0) &&
	       SYS3(SYS_close_range, second + 1, ~0u, 0) == 0;
}

/* ---- To the socket -------------------------------------------------------------------------- */

/* At most `len` bytes: their number, 0 if there are none now, negative: one side is over. */
static long carry_some(struct carry_task *t, long len)
{
	const long n = SYS3(SYS_read, t->fd, t->bytes, len < CARRY_MAX ? len : CARRY_MAX);

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

/*
 * Whoever has the other end says with it that nothing is to come that does not lie there: the
 * process has ended.
 */
static void to_sock(struct carry_task *t)
{
	struct pollfd fds[2] = { { t->fd, POLLIN, 0 }, { t->sock, POLLRDHUP, 0 } };
	int lies = 0;

	for (;;) {
		await(fds, 2);
		if (fds[1].revents)
			break;
		if (carry_some(t, CARRY_MAX) < 0)
			return;
	}
	if (fds[1].revents & (POLLHUP | POLLERR) || SYS3(SYS_ioctl, t->fd, FIONREAD, &lies) < 0)
		return;
	while (lies > 0) {
		const long n = carry_some(t, lies);

		if (n <= 0)
			return;
		lies -= (int)n;
	}
}

/* ---- From the socket ------------------------------------------------------------------------ */

static bool write_whole(struct carry_task *t, long len)
{
	struct pollfd room = { t->fd, POLLOUT, 0 };

	for (long at = 0; at < len;) {
		const long n = SYS3(SYS_write, t->fd, t->bytes + at, len - at);

		if (n < 0 && n != -EAGAIN && n != -EINTR)
			return false;
		if (n < 0)
			await(&room, 1);
		else
			at += n;
	}
	return true;
}

static void from_sock(struct carry_task *t)
{
	struct pollfd fds[2] = { { t->fd, 0, 0 }, { t->sock, POLLIN, 0 } };

	for (;;) {
		long n;

		await(fds, 2);
		if (fds[0].revents)
			return;
		n = SYS3(SYS_read, t->sock, t->bytes, CARRY_MAX);
		if (n == -EINTR)
			continue;
		/* Nobody reads any more, or there is no room for a file. */
		if (n <= 0 || !write_whole(t, n))
			return;
	}
}

static bool is_wanted(const struct carry_task *t)
{
	long n = -EINTR;
	char byte;

	while (t->waits && n == -EINTR)
		n = SYS3(SYS_read, t->sock, &byte, 1);
	return !t->waits || n == 1;
}

/* Keys of a terminal and the like are for who made us. */
static bool begin(const struct carry_task *t)
{
	const uint64_t all = ~UINT64_C(0);

	(void)SYS4(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
	(void)SYS2(SYS_prctl, PR_SET_NAME, "caisson-carrier");
	if (t->parent &&
	    (SYS2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL) < 0 || SYS0(SYS_getppid) != t->parent))
		return false;
	return keep_only(t->fd, t->sock) && is_wanted(t);
}

int carry(void *arg)
{
	struct carry_task *t = arg;

	if (begin(t)) {
		if (t->to_sock)
			to_sock(t);
		else
			from_sock(t);
	}
	/* The socket first: closing the other may wait for a pipe's lock, or for a file. */
	(void)SYS1(SYS_close, t->sock);
	return 0;
}
