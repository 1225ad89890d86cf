/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of the agent's channel is hostile. First byte: the role of the mux, and whether it
 * gets the bytes in small pieces; the rest is what comes. A HELLO goes before it, unless bit 2 is
 * set. The owner of the mux uses it as the real ones do: opens streams, asks, answers, echoes.
 */
#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/mux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS 4

struct world {
	struct mux *mux;
	int peer;
	size_t held; /* bytes of streams that have no credit back yet */
};

static void on_hello(void *arg, const struct agent_hello *hello)
{
	struct world *w = arg;

	assert(memchr(hello->release, '\0', sizeof(hello->release)));
	w->held = 0;
	(void)mux_greet(w->mux, &(struct agent_hello){ .release = "6.1" });
}

static void on_request(void *arg, uint32_t serial, enum agent_call call, const void *body,
		       size_t len)
{
	struct world *w = arg;

	assert(serial != 0 && call > 0 && call < AGENT_CALLS && len <= AGENT_REQUEST_MAX);
	for (uint32_t i = 1; call == AGENT_CREATE && i < STREAMS; i++)
		(void)mux_open(w->mux, i);
	(void)mux_answer(w->mux, serial, call, call == AGENT_PS ? -EIO : 0, body,
			 len < 100 ? len : 100);
}

static void on_answer(void *arg, uint32_t serial, enum agent_call call, int error, const void *body,
		      size_t len)
{
	struct world *w = arg;
	uint32_t next;

	assert(serial != 0 && len <= AGENT_ANSWER_MAX && error <= 0);
	if (error)
		assert(strlen(body) == len && len < AGENT_TEXT_MAX);
	(void)mux_ask(w->mux, call, body, len, &next, NULL);
}

static void on_event(void *arg, enum agent_event event, const void *body, size_t len)
{
	(void)arg;
	(void)body;
	assert(event > 0 && event < AGENT_EVENTS && len <= AGENT_FRAME_MAX);
}

static void on_data(void *arg, uint32_t stream, const void *bytes, size_t len)
{
	struct world *w = arg;

	assert(stream >= 1 && stream < STREAMS && len > 0);
	w->held += len;
	assert(w->held <= (STREAMS - 1) * AGENT_STREAM_CREDIT);
	/* Stream 1 gives nothing back, 3 goes when it is heard. */
	(void)mux_send(w->mux, stream, bytes, len);
	if (stream == 2 && mux_credit(w->mux, stream, len) == 0)
		w->held -= len;
	if (stream == 3) {
		mux_close(w->mux, 3);
		w->held -= len;
	}
}

static void on_end(void *arg, uint32_t stream, int error)
{
	struct world *w = arg;

	assert(error >= 0 && error < 4096);
	(void)mux_end(w->mux, stream, error);
}

static void on_room(void *arg, uint32_t stream)
{
	struct world *w = arg;

	if (stream)
		(void)mux_send(w->mux, stream, "more", 4);
}

/* 0, or the error of the mux. Now and then the other end reads. */
static int work(struct world *w, bool read_all)
{
	char drop[4096];
	int r = 0;

	for (int i = 0; i < 100 && r == 0; i++) {
		struct pollfd p = { mux_fd(w->mux), mux_events(w->mux), 0 };

		(void)poll(&p, 1, 0);
		if (!p.revents)
			break;
		r = mux_ready(w->mux, p.revents, NULL);
		while (read_all && recv(w->peer, drop, sizeof(drop), MSG_DONTWAIT) > 0)
			;
	}
	return r;
}

/* The greeting of the other end: for the host it has the host's nonce. */
static int greet(struct world *w, enum mux_role role)
{
	struct {
		struct agent_head head;
		struct agent_hello hello;
	} m = { .head = { .length = sizeof(m.hello), .type = AGENT_HELLO },
		.hello = { .version = AGENT_VERSION } };
	int r = work(w, role == MUX_AGENT);

	if (role == MUX_HOST)
		(void)!recv(w->peer, &m, sizeof(m), MSG_DONTWAIT);
	if (send(w->peer, &m, sizeof(m), MSG_NOSIGNAL) != sizeof(m))
		return -1;
	return r < 0 ? r : work(w, true);
}

static void use(struct world *w, enum mux_role role)
{
	static const enum agent_call asked[] = { AGENT_CREATE, AGENT_PS, AGENT_STATS };
	uint32_t serial;

	if (role == MUX_AGENT) {
		(void)mux_tell(w->mux, AGENT_OOM, "box", 4);
		return;
	}
	for (uint32_t i = 1; i < STREAMS; i++)
		(void)mux_open(w->mux, i);
	for (int i = 0; i < 3; i++)
		(void)mux_ask(w->mux, asked[i], "body", 4, &serial, NULL);
	mux_forget(w->mux, serial);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mux_ops ops[] = {
		[MUX_HOST] = { .answer = on_answer,
			       .event = on_event,
			       .data = on_data,
			       .end = on_end,
			       .room = on_room },
		[MUX_AGENT] = { .hello = on_hello,
				.request = on_request,
				.data = on_data,
				.end = on_end,
				.room = on_room },
	};
	const enum mux_role role = size && (data[0] & 1) ? MUX_AGENT : MUX_HOST;
	const size_t step = size && (data[0] & 2) ? 7 : 65536;
	struct world w = { 0 };
	int fds[2], r = 0;

	if (size < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return 0;
	w.peer = fds[1];
	if (mux_new(fds[0], role, &ops[role], &w, &w.mux) < 0)
		abort();
	if (!(data[0] & 4)) {
		r = greet(&w, role);
		use(&w, role);
	}
	for (size_t at = 1; r == 0 && at < size; at += step) {
		const size_t n = size - at < step ? size - at : step;

		if (send(w.peer, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
			break;
		r = work(&w, true);
	}
	assert(r == 0 || r == -EPROTO || r == -EPIPE);
	mux_free(w.mux);
	(void)close(w.peer);
	return 0;
}
