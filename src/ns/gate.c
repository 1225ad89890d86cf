/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start gate: the moment between "created" and "running", and the errors of the exec after it.
 */
#include "ns/ns.h"

#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "ns/stage.h"

/* sun_path holds 108 bytes; a directory descriptor makes every path short. */
static int gate_address(int dirfd, const char *name, struct sockaddr_un *ret, struct err *err)
{
	const int n =
		snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dirfd, name);

	ret->sun_family = AF_UNIX;
	if (n < 0 || (size_t)n >= sizeof(ret->sun_path))
		return err_set(err, -ENAMETOOLONG, "socket name %s is too long", name);
	return 0;
}

int ns_listen(int dirfd, const char *name, int backlog, struct err *err)
{
	AUTO_CLOSE int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { 0 };
	int r = gate_address(dirfd, name, &addr, err);

	if (r < 0)
		return r;
	if (sock < 0)
		return err_sys(err, -errno, "make the start socket");
	/* The mode of the file is the socket's own mode less the umask (unix(7)). */
	if (fchmod(sock, 0600) < 0 || bind(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(sock, backlog) < 0)
		return err_sys(err, -errno, "listen on %s", name);
	return TAKE_FD(sock);
}

/* The last byte. *ret_told is false when nobody is left to read it: then an end of file is no
 * answer. */
static int tell_last(int sock, char byte, bool *ret_told, struct err *err)
{
	const int r = fd_send(sock, &byte, 1, NULL, 0);

	*ret_told = r != -EPIPE && r != -ECONNRESET;
	return r < 0 && *ret_told ? err_sys(err, r, "write to the container process") : 0;
}

int ns_release(struct ns_child *child, struct err *err)
{
	struct stage_msg msg;
	int fd = -EBADF;
	bool told;
	int r = tell_last(child->report, STAGE_RELEASE, &told, err);

	if (r < 0)
		return r;
	/* It answers by closing its end, after it has cleared its parent-death signal. */
	r = stage_recv(child->report, &msg, &fd, err);
	auto_close_p(&fd);
	if (r > 0)
		return msg.head.type == INIT_REPORT_FAILED || msg.head.type == STAGE_FAILED
			       ? stage_report_error(&msg, err)
			       : err_set(err, -EPROTO,
					 "unexpected message from the container process");
	auto_close_p(&child->report);
	child->report = -EBADF;
	return r == 0 && !told ? err_set(err, -EPROTO, STAGE_DIED) : r;
}

/* After the gate byte: end of file is success. */
static int follow_exec(int sock, ns_listener_fn on_listener, void *arg, struct err *err)
{
	bool hooks = false;

	for (;;) {
		struct stage_msg msg;
		AUTO_CLOSE int fd = -EBADF;
		int r = stage_recv(sock, &msg, &fd, err);

		if (r <= 0)
			return r == 0 && hooks ? err_set(err, -EPROTO, STAGE_DIED) : r;
		switch (msg.head.type) {
		case STAGE_HOOKS:
			hooks = true;
			break;
		case INIT_REPORT_READY:
			hooks = false;
			break;
		case INIT_REPORT_LISTENER:
			if (fd < 0)
				return err_set(err, -EPROTO, "no seccomp listener in the message");
			r = on_listener ? on_listener(arg, fd, err) : 0;
			if (r < 0)
				return r;
			break;
		case INIT_REPORT_FAILED:
		case STAGE_FAILED:
			return stage_report_error(&msg, err);
		default:
			return err_set(err, -EPROTO, "unexpected message %u from the process",
				       msg.head.type);
		}
	}
}

int ns_open_gate(struct ns_child *child, ns_listener_fn on_listener, void *arg, struct err *err)
{
	bool told;
	int r = tell_last(child->report, STAGE_GATE, &told, err);

	if (r < 0)
		return r;
	r = follow_exec(child->report, on_listener, arg, err);
	if (r == 0 && !told)
		r = err_set(err, -EPROTO, STAGE_DIED);
	auto_close_p(&child->report);
	child->report = -EBADF;
	return r;
}

int ns_knock(int dirfd, const char *name, ns_listener_fn on_listener, void *arg, struct err *err)
{
	AUTO_CLOSE int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { 0 };
	bool told;
	int r = gate_address(dirfd, name, &addr, err);

	if (r < 0)
		return r;
	if (sock < 0)
		return err_sys(err, -errno, "make a socket");
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_sys(err, -errno, "connect to the container's init process");
	r = tell_last(sock, STAGE_GATE, &told, err);
	if (r < 0)
		return r;
	r = follow_exec(sock, on_listener, arg, err);
	return r == 0 && !told ? err_set(err, -EPROTO, STAGE_DIED) : r;
}
