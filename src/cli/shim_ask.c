/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/shim_ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"

#define ASK_MAX	   512
#define READ_SIZE  4096
#define HEAD_START "HTTP/1.1 200 "
#define HEAD_END   "\r\n\r\n"
#define LENGTH	   "\r\nContent-Length: "

static int connect_to(const char *path, struct err *err)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (fd < 0)
		return err_sys(err, -errno, "make a socket");
	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", path);
	memcpy(address.sun_path, path, strlen(path));
	/* EAGAIN: so many ask it that there is no place. */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(err, -errno, "connect to %s", path);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != geteuid())
		return err_set(err, -EPERM, "%s: another user listens there", path);
	return TAKE_FD(fd);
}

/* To the end that the other makes. */
static int hear(int fd, int64_t wait_ms, struct buf *answer)
{
	const int64_t deadline = clock_ms() + wait_ms;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	for (;;) {
		const int64_t left = deadline - clock_ms();
		char bytes[READ_SIZE];
		ssize_t n = left > 0 ? poll(&poll_fd, 1, (int)left) : 0;

		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0)
			n = recv(fd, bytes, sizeof(bytes), 0);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n == 0)
			return 0;
		if (n > 0 && buf_append(answer, bytes, (size_t)n) < 0)
			return buf_error(answer);
	}
}

/* What stands behind the head, when all of it is there; NULL. */
static const char *body_of(const struct buf *answer, size_t *ret_len)
{
	const char *end = strstr(answer->data, HEAD_END);
	const char *length = strstr(answer->data, LENGTH);

	if (!str_after(answer->data, HEAD_START) || !end || !length || length > end)
		return NULL;
	end += strlen(HEAD_END);
	*ret_len = (size_t)(answer->data + answer->len - end);
	return strtoull(length + strlen(LENGTH), NULL, 10) == *ret_len ? end : NULL;
}

int shim_ask(const char *socket, const char *path, int64_t wait_ms, struct buf *body,
	     struct err *err)
{
	AUTO_BUF struct buf answer = { .max = SHIM_ANSWER_MAX };
	AUTO_CLOSE int fd = connect_to(socket, err);
	const char *found;
	char text[ASK_MAX];
	size_t found_len;
	int len, r;

	if (fd < 0)
		return fd;
	len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: shim\r\n\r\n", path);
	if (len >= (int)sizeof(text))
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", path);
	/* Into an empty buffer: it goes at once, or there is nobody. */
	if (send(fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		return err_sys(err, -errno, "ask %s", socket);
	r = hear(fd, wait_ms, &answer);
	if (r < 0)
		return err_sys(err, r, "ask %s", socket);
	found = answer.data ? body_of(&answer, &found_len) : NULL;
	if (!found)
		return err_set(err, -EPROTO, "ask %s: no whole answer: %.*s", socket,
			       answer.data ? (int)strcspn(answer.data, "\r\n") : 0,
			       answer.data ? answer.data : "");
	return buf_append(body, found, found_len);
}
