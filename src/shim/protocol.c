/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/protocol.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "shim/address.h"
#include "shim/service.h"
#include "shim/ttrpc.pb-c.h"
#include "shim/ttrpc_frame.h"

#define ANSWER_MS  1000
#define ANSWER_MAX 4096u /* bytes of the answer to Connect: pids and a version */

unsigned int protocol_asked(void)
{
	const char *text = getenv(PROTOCOL_VARIABLE);
	char *end;
	unsigned long most;

	if (!text || text[0] < '0' || text[0] > '9')
		return PROTOCOL_PLAIN;
	most = strtoul(text, &end, 10);
	return *end || most < PROTOCOL_NEWEST ? PROTOCOL_PLAIN : PROTOCOL_NEWEST;
}

char *protocol_answer(const char *path, unsigned int version)
{
	char *text = NULL;
	int r;

	/* The path is SOCKET_DIR and hexadecimal digits: nothing of it has to be escaped. */
	if (version < PROTOCOL_NEWEST)
		r = str_printf(&text, ADDRESS_SCHEME "%s", path);
	else
		r = str_printf(&text,
			       "{\"version\":%u,\"address\":\"" ADDRESS_SCHEME
			       "%s\",\"protocol\":\"ttrpc\"}",
			       version, path);
	return r < 0 ? NULL : text;
}

static int ask(int fd)
{
	Caisson__Ttrpc__Request request = CAISSON__TTRPC__REQUEST__INIT;
	AUTO_BUF struct buf out = { 0 };
	int r;

	request.service = (char[]){ SERVICE_TASK_3 };
	request.method = (char[]){ "Connect" };
	r = ttrpc_frame_append(&out, 1, TTRPC_REQUEST, &request.base);
	if (r < 0)
		return r;
	/* It is small, and the first: the socket takes it whole. */
	return send(fd, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len ? 0 : -EIO;
}

/* 1: there is a response without an error; 0: with one, or it is none. -EAGAIN: not whole. */
static int judge(const struct buf *in)
{
	AUTO_TTRPC_MESSAGE struct ttrpc_message message = TTRPC_MESSAGE_INIT;
	const Caisson__Ttrpc__Response *response;
	struct ttrpc_head head;

	if (in->len < TTRPC_HEAD)
		return -EAGAIN;
	ttrpc_head_get((const uint8_t *)in->data, &head);
	if (head.length > ANSWER_MAX || head.type != TTRPC_RESPONSE || head.stream != 1)
		return 0;
	if (in->len - TTRPC_HEAD < head.length)
		return -EAGAIN;
	if (ttrpc_unpack(&caisson__ttrpc__response__descriptor, in->data + TTRPC_HEAD, head.length,
			 &message) < 0)
		return 0;
	response = (const Caisson__Ttrpc__Response *)message.root;
	return !response->status || response->status->code == 0;
}

static bool answers(int fd)
{
	const int64_t end = clock_ms() + ANSWER_MS;
	AUTO_BUF struct buf in = { 0 };
	int r = -EAGAIN;

	while (r == -EAGAIN) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		const int64_t left = end - clock_ms();
		ssize_t n;

		if (left <= 0 || buf_reserve(&in, ANSWER_MAX) < 0)
			return false;
		if (poll(&wait, 1, (int)left) < 0 && errno != EINTR)
			return false;
		n = recv(fd, in.data + in.len, ANSWER_MAX, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return false;
		in.len += (size_t)n;
		r = judge(&in);
	}
	return r > 0;
}

unsigned int protocol_of_shim(const char *path, unsigned int asked)
{
	AUTO_CLOSE int fd = asked < PROTOCOL_NEWEST ? -EBADF : address_connect(path);

	return fd >= 0 && ask(fd) == 0 && answers(fd) ? PROTOCOL_NEWEST : PROTOCOL_PLAIN;
}
