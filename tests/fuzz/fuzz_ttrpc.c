/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames to a ttrpc server, in pieces of as many bytes as the first one says. Every answer is a
 * whole frame with a response in it, and of no request that was not sent.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "shim/ttrpc.h"
#include "shim/ttrpc_frame.h"
#include "shim/ttrpc.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void echo(void *arg, struct ttrpc_call *call, const ProtobufCMessage *request)
{
	(void)arg;
	ttrpc_answer(call, request);
}

static const struct ttrpc_method methods[] = {
	{ "Echo", &caisson__ttrpc__request__descriptor, echo },
};
static const struct ttrpc_service services[] = { { "s", methods, 1 } };

static struct loop *loop;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t address_len = sizeof(address);

static void begin(void)
{
	const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ttrpc_server *server; /* as long as the program */
	struct err err = { 0 };

	/* unix(7), "Autobind feature" */
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) < 0 ||
	    listen(listener, 16) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &address_len) < 0 ||
	    loop_new(&loop) < 0 ||
	    ttrpc_server_new(loop, listener, (uint32_t)geteuid(), services, 1, NULL, &server,
			     &err) < 0)
		abort();
}

static void take_answers(int fd, struct buf *b)
{
	char bytes[4096];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		(void)buf_append(b, bytes, (size_t)n);
}

static void judge_answers(const struct buf *b)
{
	size_t at = 0;

	while (at < b->len) {
		struct ttrpc_message m = TTRPC_MESSAGE_INIT;
		struct ttrpc_head head;

		assert(b->len - at >= TTRPC_HEAD);
		ttrpc_head_get((const uint8_t *)b->data + at, &head);
		at += TTRPC_HEAD;
		assert(head.type == TTRPC_RESPONSE && head.length <= b->len - at);
		assert(ttrpc_unpack(&caisson__ttrpc__response__descriptor, b->data + at,
				    head.length, &m) == 0);
		ttrpc_message_done(&m);
		at += head.length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf answers = { 0 };
	const size_t step = size ? 1u + data[0] : 1;
	int fd;

	if (!loop)
		begin();
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&address, address_len) < 0)
		abort();
	for (size_t at = 1; at < size; at += step) {
		const size_t n = size - at < step ? size - at : step;

		(void)send(fd, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)loop_once(loop, 0);
		(void)loop_once(loop, 0);
		take_answers(fd, &answers);
	}
	judge_answers(&answers);
	(void)close(fd);
	(void)loop_once(loop, 0);
	return 0;
}
