/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/shim_ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define ASK_MAX	   512
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
	r = fd_read_within(fd, wait_ms, &answer);
	if (r < 0)
		return err_sys(err, r, "ask %s", socket);
	found = answer.data ? body_of(&answer, &found_len) : NULL;
	if (!found)
		return err_set(err, -EPROTO, "ask %s: no whole answer: %.*s", socket,
			       answer.data ? (int)strcspn(answer.data, "\r\n") : 0,
			       answer.data ? answer.data : "");
	return buf_append(body, found, found_len);
}
