/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sentry/events.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "runtime/sandbox/sandbox.h"
#include "wire/event_codec.h"

#define SINK_MODE 0600

/* `fd` is O_PATH of a socket's name: what was looked at is what is connected to. */
static int connect_sink(int fd, const char *path, struct err *err)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int r = 0;

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		AUTO_CLOSE int sock = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (sock < 0)
			return err_sys(err, -errno, "event sink: make a socket");
		if (connect(sock, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
			return TAKE_FD(sock);
		r = -errno;
		if (r != -EPROTOTYPE)
			break;
	}
	return err_sys(err, r, "event sink: connect to %s", path);
}

static int open_sink(const char *path, struct err *err)
{
	AUTO_CLOSE int place = -EBADF;
	AUTO_CLOSE int fd = -EBADF;
	struct stat st;

	if (path[0] != '/')
		return err_set(err, -EINVAL, "event sink: %s is not an absolute path", path);
	place = open(path, O_PATH | O_CLOEXEC);
	if (place >= 0 && fstat(place, &st) == 0 && S_ISSOCK(st.st_mode))
		return connect_sink(place, path, err);
	/* A fifo without a reader is an error here, and not a wait. */
	fd = open(path,
		  O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC,
		  SINK_MODE);
	if (fd < 0)
		return err_sys(err, -errno, "event sink: open %s", path);
	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode)))
		return err_set(err, -EINVAL,
			       "event sink: %s is neither a file nor a fifo nor a unix socket",
			       path);
	return TAKE_FD(fd);
}

int events_open(const struct runtime *rt, const struct oci_spec *spec, uint32_t *ret_mask,
		int *ret_fd, struct err *err)
{
	const char *list = "", *sink = "";
	uint32_t mask = 0;
	int r = sandbox_setting(rt, spec, EVENTS_ANNOTATION, rt->sentry.events, &list, err);

	if (r == 0)
		r = sandbox_setting(rt, spec, EVENT_SINK_ANNOTATION, rt->sentry.event_sink, &sink,
				    err);
	if (r == 0)
		r = event_mask_parse(list, &mask, err);
	if (r < 0)
		return r;
	*ret_mask = 0;
	*ret_fd = -EBADF;
	if (!*sink || !mask)
		return 0;
	r = open_sink(sink, err);
	if (r < 0)
		return r;
	*ret_fd = r;
	*ret_mask = mask;
	return 0;
}
