/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/client.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "runtime/container.h"
#include "runtime/store.h"

#define JOIN_PAUSE_US 10000
#define HOLD_LOOK_MS  100 /* between two looks whether the sandbox is paused */

static const char *name_of(const struct container *c)
{
	return c->sandbox ? c->sandbox : c->id;
}

static int silent(const struct container *c, struct err *err)
{
	return err_set(err, -ETIMEDOUT, "sandbox %s has said nothing for %d s", name_of(c),
		       CLIENT_WAIT_S);
}

void client_be_patient(int sock)
{
	const struct timeval forever = { 0 };

	(void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
}

bool client_is_frozen(const struct container *c)
{
	return c->status == OCI_PAUSED && (!c->sandbox || container_sandbox_is_paused(c));
}

/* `flags`: SOCK_NONBLOCK, or 0. -EAGAIN is the caller's to put into words. */
static int open_connection(const struct container *c, int flags, struct err *err)
{
	AUTO_CLOSE int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
	const struct timeval wait = { .tv_sec = CLIENT_WAIT_S };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
		return err_sys(err, -errno, "make a socket");
	/* sun_path holds 108 bytes; a directory descriptor makes every path short. */
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" STORE_CONTROL,
		       c->dir_fd);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno == ECONNREFUSED || errno == ENOENT)
			return err_set(err, -ESRCH, "container not running");
		if (errno == EAGAIN)
			return -EAGAIN;
		return err_sys(err, -errno, "connect to the sandbox of container %s", c->id);
	}
	return TAKE_FD(sock);
}

int client_connect(const struct container *c, struct err *err)
{
	int sock;

	if (client_is_frozen(c))
		return err_set(err, -EBUSY, "%s %s is paused, and answers when it is resumed",
			       c->sandbox ? "sandbox" : "container", name_of(c));
	sock = open_connection(c, 0, err);
	return sock == -EAGAIN ? silent(c, err) : sock;
}

int client_connect_patient(const struct container *c, struct err *err)
{
	const int sock = open_connection(c, 0, err);

	if (sock >= 0)
		client_be_patient(sock);
	return sock == -EAGAIN ? silent(c, err) : sock;
}

int client_wrong(const struct client_call *call, struct err *err)
{
	return err_set(err, -EPROTO, "sandbox %s answered something else", name_of(call->of));
}

static int told(const struct container *c, const struct sentry_reply *reply, const char *text,
		size_t len, struct err *err)
{
	const int length = len < ERR_MSG_MAX ? (int)len : ERR_MSG_MAX - 1;

	return length == 0 ? err_sys(err, reply->error, "sandbox %s says", name_of(c))
			   : err_set(err, reply->error, "%.*s", length, text);
}

/* Who has no room for us says so, and does not hear what we ask. */
static bool was_refused(int sock, const struct container *c, int *ret, struct err *err)
{
	struct {
		struct sentry_reply reply;
		char text[ERR_MSG_MAX];
	} frame = { 0 };
	ssize_t n;

	/* That it did not hear us is an error of the socket, which comes first. */
	do {
		n = recv(sock, &frame, sizeof(frame), MSG_DONTWAIT);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < (ssize_t)sizeof(frame.reply) || frame.reply.type != SENTRY_REFUSED ||
	    frame.reply.error >= 0 || frame.reply.error < -4095)
		return false;
	*ret = told(c, &frame.reply, frame.text, (size_t)n - sizeof(frame.reply), err);
	return true;
}

/* One that does not know a request closes the connection, as one does that ends. */
static int hung_up(int sock, const struct container *c, struct err *err)
{
	AUTO_CLOSE int again = -EBADF;
	int r;

	if (was_refused(sock, c, &r, err))
		return r;
	again = open_connection(c, SOCK_NONBLOCK, NULL);
	return err_set(err, -EPIPE,
		       again >= 0 || again == -EAGAIN
			       ? "sandbox %s has hung up: an older caisson has started it, or "
				 "it has too many callers"
			       : "sandbox %s is gone",
		       name_of(c));
}

/* With room for *nfds descriptors, which becomes how many came. */
static int receive(int sock, const struct client_call *call, struct sentry_reply *ret_reply,
		   void *bytes, size_t *len, int *fds, size_t *nfds, struct err *err)
{
	char frame[SENTRY_FRAME_MAX];
	struct sentry_reply reply;
	size_t tail;
	const ssize_t n = fd_recv(sock, frame, sizeof(frame), fds, nfds);

	if (n == 0 || n == -ECONNRESET)
		return hung_up(sock, call->of, err);
	if (n == -EAGAIN)
		return silent(call->of, err);
	if (n < 0)
		return err_sys(err, (int)n, "read from sandbox %s", name_of(call->of));
	if ((size_t)n < sizeof(reply))
		return err_set(err, -EPROTO, "sandbox %s sent %zd bytes", name_of(call->of), n);
	memcpy(&reply, frame, sizeof(reply));
	tail = (size_t)n - sizeof(reply);
	/* Of who made a container or a process there, and asks for more. */
	if (reply.type == SENTRY_EXITED && call->request.type != SENTRY_EXITED)
		return err_set(err, -ESRCH, "it has ended");
	if ((reply.type != call->request.type &&
	     (reply.type != SENTRY_REFUSED || reply.error == 0)) ||
	    reply.error > 0 || reply.error < -4095)
		return client_wrong(call, err);
	if (reply.error < 0)
		return told(call->of, &reply, frame + sizeof(reply), tail, err);
	if (tail > (len ? *len : 0))
		return err_set(err, -EPROTO, "sandbox %s answered %zu bytes too many",
			       name_of(call->of), tail);
	if (len) {
		memcpy(bytes, frame + sizeof(reply), tail);
		*len = tail;
	}
	*ret_reply = reply;
	return 0;
}

int client_recv(int sock, const struct client_call *call, struct sentry_reply *ret_reply,
		void *bytes, size_t *len, struct err *err)
{
	size_t none = 0;

	return receive(sock, call, ret_reply, bytes, len, NULL, &none, err);
}

static int client_send(int sock, const struct client_call *call, struct err *err)
{
	char frame[SENTRY_FRAME_MAX];
	struct sentry_request request = call->request;
	int r;

	if (call->tail_len > sizeof(frame) - sizeof(request))
		return err_set(err, -E2BIG, "a request to sandbox %s is too long",
			       name_of(call->of));
	request.version = SENTRY_MSG_VERSION;
	memcpy(frame, &request, sizeof(request));
	if (call->tail_len)
		memcpy(frame + sizeof(request), call->tail, call->tail_len);
	r = fd_send(sock, frame, sizeof(request) + call->tail_len, call->fds, call->fds_len);
	if (r == -EPIPE || r == -ECONNRESET)
		return hung_up(sock, call->of, err);
	if (r == -EAGAIN)
		return silent(call->of, err);
	return r < 0 ? err_sys(err, r, "write to sandbox %s", name_of(call->of)) : 0;
}

int client_call(int sock, const struct client_call *call, struct sentry_reply *ret_reply,
		void *bytes, size_t *len, struct err *err)
{
	size_t nfds = call->ret_fds_len;
	int r = client_send(sock, call, err);

	if (r < 0)
		return r;
	r = receive(sock, call, ret_reply, bytes, len, call->ret_fds, &nfds, err);
	if (r == 0 && nfds != call->ret_fds_len)
		r = err_set(err, -EPROTO, "sandbox %s answered with %zu descriptors, not %zu",
			    name_of(call->of), nfds, call->ret_fds_len);
	for (size_t i = 0; r < 0 && i < nfds; i++) {
		auto_close_p(&call->ret_fds[i]);
		call->ret_fds[i] = -EBADF;
	}
	return r;
}

int client_join(int sock, const struct client_call *call, struct err *err)
{
	const int64_t deadline = clock_ms() + CLIENT_WAIT_S * 1000;
	struct sentry_reply reply;
	int r;

	for (;;) {
		r = client_call(sock, call, &reply, NULL, NULL, err);
		if (r != -EEXIST || clock_ms() > deadline)
			return r;
		(void)usleep(JOIN_PAUSE_US);
	}
}

int client_simple(const struct container *c, const struct sentry_request *request,
		  struct sentry_reply *ret_reply, struct err *err)
{
	const struct client_call call = { .of = c, .request = *request };
	struct sentry_reply ignored;
	AUTO_CLOSE int sock = client_connect(c, err);

	return sock < 0 ? sock
			: client_call(sock, &call, ret_reply ? ret_reply : &ignored, NULL, NULL,
				      err);
}

static int too_many(const struct container *c, struct err *err)
{
	return err_set(err, -EAGAIN,
		       "container %s is paused, and too many requests wait for its resume", c->id);
}

int client_post(const struct container *c, const struct client_call *call, struct err *err)
{
	AUTO_CLOSE int sock = open_connection(c, SOCK_NONBLOCK, err);

	if (sock == -EAGAIN)
		return too_many(c, err);
	return sock < 0 ? sock : client_send(sock, call, err);
}

/* Whether an answer comes: 0, or 1: the sandbox is paused, and none does. */
static int await_answer(const struct container *c, int sock, struct err *err)
{
	const int64_t deadline = clock_ms() + CLIENT_WAIT_S * 1000;
	struct pollfd p = { .fd = sock, .events = POLLIN };

	while (!container_sandbox_is_paused(c)) {
		const int r = poll(&p, 1, HOLD_LOOK_MS);

		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return err_sys(err, -errno, "wait for sandbox %s", name_of(c));
		if (clock_ms() > deadline)
			return silent(c, err);
	}
	return 1;
}

int client_hold(const struct container *c, const struct client_call *call, int *ret_sock,
		struct err *err)
{
	const int64_t deadline = clock_ms() + CLIENT_WAIT_S * 1000;
	AUTO_CLOSE int sock = -EBADF;
	struct sentry_reply reply;
	int r;

	while ((sock = open_connection(c, SOCK_NONBLOCK, err)) == -EAGAIN) {
		if (container_sandbox_is_paused(c))
			return too_many(c, err);
		if (clock_ms() > deadline)
			return silent(c, err);
		(void)usleep(JOIN_PAUSE_US);
	}
	r = sock < 0 ? sock : client_send(sock, call, err);
	if (r == 0)
		r = await_answer(c, sock, err);
	if (r == 0)
		r = client_recv(sock, call, &reply, NULL, NULL, err);
	if (r < 0)
		return r;
	*ret_sock = TAKE_FD(sock);
	return 0;
}

int client_tell(const struct container *c, const struct client_call *call, struct err *err)
{
	struct sentry_reply reply;
	AUTO_CLOSE int sock = -EBADF;

	if (client_is_frozen(c))
		return client_post(c, call, err);
	sock = client_connect(c, err);
	return sock < 0 ? sock : client_call(sock, call, &reply, NULL, NULL, err);
}
