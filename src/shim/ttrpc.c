/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection reads as long as its peer takes our answers: what piles up beyond TTRPC_OUT_MAX
 * stops the reading, not the server. A connection that ends leaves its calls to who answers them.
 */
#include "shim/ttrpc.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "shim/listener.h"
#include "shim/ttrpc_frame.h"
#include "shim/ttrpc.pb-c.h"

#define READ_SIZE (64u << 10)
#define TEXT_MAX  512u

struct connection {
	struct list_head node;
	struct ttrpc_server *server;
	struct loop_source *source;
	int fd;
	uint32_t last_stream;
	uint32_t skip; /* bytes of a message that is too long */
	unsigned int calls_len;
	struct list_head calls;
	struct buf in, out;
	size_t out_at;
	bool serving; /* its frames: it is freed afterwards */
	bool over;    /* its peer has gone, or takes no answers */
};

struct ttrpc_server {
	struct loop *loop;
	struct listener *listener;
	const struct ttrpc_service *services;
	size_t services_len;
	void *arg;
	struct list_head connections;
	unsigned int connections_len;
	uint64_t calls;
};

struct ttrpc_call {
	struct list_head node;
	struct connection *connection; /* NULL: it has ended */
	uint32_t stream;
	int64_t timeout_ns;
	int64_t came_ms;
};

/* ---- Connections ---- */

static size_t unsent(const struct connection *c)
{
	return c->out.len - c->out_at;
}

static void connection_free(struct connection *c)
{
	struct ttrpc_call *call;

	list_for_each(call, &c->calls, node) call->connection = NULL;
	list_del(&c->calls);
	list_del(&c->node);
	c->server->connections_len--;
	loop_remove(c->source);
	(void)close(c->fd);
	buf_done(&c->in);
	buf_done(&c->out);
	free(c);
}

/* As much as the peer takes now. */
static void flush(struct connection *c)
{
	while (unsent(c) > 0 && !c->over) {
		const ssize_t n = send(c->fd, c->out.data + c->out_at, unsent(c),
				       MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && errno != EINTR)
			c->over = true;
		c->out_at += n > 0 ? (size_t)n : 0;
	}
	buf_done(&c->out);
	c->out_at = 0;
}

/* What it waits for from now on, or its end. */
static void settle(struct connection *c)
{
	const uint32_t in = unsent(c) < TTRPC_OUT_MAX ? EPOLLIN : 0;

	if (c->serving)
		return;
	if (!c->over && loop_set_events(c->source, in | (unsent(c) > 0 ? EPOLLOUT : 0)) < 0)
		c->over = true;
	if (c->over)
		connection_free(c);
}

/* ---- Answers ---- */

static void send_response(struct connection *c, uint32_t stream, Caisson__Ttrpc__Response *response)
{
	if (ttrpc_frame_append(&c->out, stream, TTRPC_RESPONSE, &response->base) < 0) {
		log_warning("ttrpc: no memory for an answer: the connection ends");
		c->over = true;
	}
	flush(c);
}

static void send_status(struct connection *c, uint32_t stream, enum ttrpc_code code, char *text)
{
	Caisson__Ttrpc__Status status = CAISSON__TTRPC__STATUS__INIT;
	Caisson__Ttrpc__Response response = CAISSON__TTRPC__RESPONSE__INIT;

	status.code = code;
	status.message = text;
	response.status = &status;
	send_response(c, stream, &response);
}

static void call_free(struct ttrpc_call *call)
{
	struct connection *c = call->connection;

	if (c) {
		list_del(&call->node);
		c->calls_len--;
		settle(c);
	}
	free(call);
}

void ttrpc_answer(struct ttrpc_call *call, const ProtobufCMessage *message)
{
	Caisson__Ttrpc__Response response = CAISSON__TTRPC__RESPONSE__INIT;
	const size_t len = protobuf_c_message_get_packed_size(message);
	AUTO_FREE uint8_t *payload = NULL;

	if (len > TTRPC_MESSAGE_MAX / 2) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "the answer has %zu bytes", len);
		return;
	}
	payload = malloc(len ? len : 1);
	if (!payload) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "no memory for the answer");
		return;
	}
	response.payload.len = protobuf_c_message_pack(message, payload);
	response.payload.data = payload;
	if (call->connection)
		send_response(call->connection, call->stream, &response);
	call_free(call);
}

void ttrpc_fail(struct ttrpc_call *call, enum ttrpc_code code, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (call->connection)
		send_status(call->connection, call->stream, code, text);
	call_free(call);
}

uint32_t ttrpc_call_timeout_ms(const struct ttrpc_call *call)
{
	const int64_t ms = call->timeout_ns / 1000000;

	if (call->timeout_ns <= 0)
		return 0;
	return ms > UINT32_MAX ? UINT32_MAX : ms > 0 ? (uint32_t)ms : 1;
}

bool ttrpc_call_is_wanted(const struct ttrpc_call *call)
{
	const uint32_t timeout_ms = ttrpc_call_timeout_ms(call);

	return call->connection && !call->connection->over &&
	       (!timeout_ms || clock_ms() - call->came_ms < timeout_ms);
}

/* ---- Requests ---- */

static const struct ttrpc_method *find_method(const struct ttrpc_server *s, const char *service,
					      const char *name, bool *ret_service)
{
	*ret_service = false;
	for (size_t i = 0; i < s->services_len; i++) {
		const struct ttrpc_service *one = &s->services[i];

		if (!str_eq(one->name, service))
			continue;
		*ret_service = true;
		for (size_t k = 0; k < one->methods_len; k++) {
			if (str_eq(one->methods[k].name, name))
				return &one->methods[k];
		}
	}
	return NULL;
}

static void serve_request(struct connection *c, struct ttrpc_call *call,
			  const Caisson__Ttrpc__Request *request)
{
	AUTO_TTRPC_MESSAGE struct ttrpc_message message = TTRPC_MESSAGE_INIT;
	const struct ttrpc_method *method;
	bool known;

	call->timeout_ns = request->timeout_nano;
	call->came_ms = clock_ms();
	method = find_method(c->server, request->service, request->method, &known);
	if (!method) {
		ttrpc_fail(call, TTRPC_UNIMPLEMENTED, "%s %.200s", known ? "method" : "service",
			   known ? request->method : request->service);
		return;
	}
	if (ttrpc_unpack(method->request, request->payload.data, request->payload.len, &message) <
	    0) {
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "%s: the payload is no %s", method->name,
			   method->request->name);
		return;
	}
	method->fn(c->server->arg, call, message.root);
}

/* A frame whose message is whole. */
static void serve_frame(struct connection *c, const struct ttrpc_head *head, const void *bytes)
{
	AUTO_TTRPC_MESSAGE struct ttrpc_message message = TTRPC_MESSAGE_INIT;
	struct ttrpc_call *call;

	/* Of later versions of the protocol: not for us. */
	if (head->type != TTRPC_REQUEST)
		return;
	if (head->stream % 2 == 0 || head->stream <= c->last_stream) {
		send_status(c, head->stream, TTRPC_INVALID_ARGUMENT,
			    (char[]){ "the number of a request must be odd, and above the last" });
		return;
	}
	c->last_stream = head->stream;
	if (ttrpc_unpack(&caisson__ttrpc__request__descriptor, bytes, head->length, &message) < 0) {
		send_status(c, head->stream, TTRPC_INVALID_ARGUMENT,
			    (char[]){ "the message is no request of ttrpc" });
		return;
	}
	call = c->calls_len < TTRPC_CALLS_MAX ? calloc(1, sizeof(*call)) : NULL;
	if (!call) {
		send_status(c, head->stream, TTRPC_RESOURCE_EXHAUSTED,
			    (char[]){ "too many calls wait for their answers" });
		return;
	}
	call->connection = c;
	call->stream = head->stream;
	list_add_tail(&call->node, &c->calls);
	c->calls_len++;
	c->server->calls++;
	serve_request(c, call, (const Caisson__Ttrpc__Request *)message.root);
}

/* Bytes of the buffer that are done with; 0: the frame is not whole. */
static size_t serve_one(struct connection *c, const char *bytes, size_t len)
{
	char text[TEXT_MAX];
	struct ttrpc_head head;

	if (c->skip > 0) {
		const size_t n = len < c->skip ? len : c->skip;

		c->skip -= (uint32_t)n;
		return n;
	}
	if (len < TTRPC_HEAD)
		return 0;
	ttrpc_head_get((const uint8_t *)bytes, &head);
	if (head.length > TTRPC_MESSAGE_MAX) {
		(void)snprintf(text, sizeof(text), "a message of %" PRIu32 " bytes: %u are allowed",
			       head.length, TTRPC_MESSAGE_MAX);
		send_status(c, head.stream, TTRPC_RESOURCE_EXHAUSTED, text);
		c->skip = head.length;
		return TTRPC_HEAD;
	}
	if (len - TTRPC_HEAD < head.length)
		return 0;
	serve_frame(c, &head, bytes + TTRPC_HEAD);
	return TTRPC_HEAD + head.length;
}

/* The whole frames of the buffer, as long as their answers have room. */
static void serve_buffer(struct connection *c)
{
	size_t at = 0, n = 1;

	c->serving = true;
	while (n > 0 && !c->over && unsent(c) < TTRPC_OUT_MAX) {
		n = serve_one(c, c->in.data + at, c->in.len - at);
		at += n;
	}
	c->serving = false;
	c->in.len -= at;
	if (at > 0 && c->in.len > 0)
		memmove(c->in.data, c->in.data + at, c->in.len);
	if (c->in.len == 0)
		buf_done(&c->in);
}

/* ---- The loop ---- */

static void read_some(struct connection *c)
{
	ssize_t n = -1;

	if (buf_reserve(&c->in, READ_SIZE) == 0)
		n = recv(c->fd, c->in.data + c->in.len, READ_SIZE, MSG_DONTWAIT);
	else
		errno = ENOMEM;
	if (n > 0)
		c->in.len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		c->over = true;
}

static void on_ready(void *arg, int fd, uint32_t events)
{
	struct connection *c = arg;

	(void)fd;
	if (events & EPOLLOUT)
		flush(c);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_some(c);
	if (!c->over)
		serve_buffer(c);
	settle(c);
}

static int connection_new(struct ttrpc_server *s, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->server = s;
	c->fd = fd;
	c->in.max = c->out.max = 0;
	list_init(&c->calls);
	r = loop_add_fd(s->loop, fd, EPOLLIN, on_ready, c, &c->source);
	if (r < 0) {
		free(c);
		return r;
	}
	list_add_tail(&c->node, &s->connections);
	s->connections_len++;
	return 0;
}

static void on_connect(void *arg, int fd)
{
	struct ttrpc_server *s = arg;
	AUTO_CLOSE int own = fd;

	if (s->connections_len < TTRPC_CONNECTIONS_MAX && connection_new(s, fd) == 0)
		(void)TAKE_FD(own);
}

/* ---- Birth and death ---- */

int ttrpc_server_new(struct loop *loop, int listener, uint32_t uid,
		     const struct ttrpc_service *services, size_t services_len, void *arg,
		     struct ttrpc_server **ret, struct err *err)
{
	AUTO_CLOSE int own = listener;
	struct ttrpc_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_sys(err, -ENOMEM, "ttrpc");
	*s = (struct ttrpc_server){
		.loop = loop, .services = services, .services_len = services_len, .arg = arg
	};
	list_init(&s->connections);
	r = listener_new(loop, TAKE_FD(own), uid, "ttrpc", on_connect, s, &s->listener, err);
	if (r < 0)
		free(s);
	else
		*ret = s;
	return r;
}

bool ttrpc_server_quiet(const struct ttrpc_server *s)
{
	const struct connection *c;

	list_for_each(c, &s->connections, node) if (unsent(c) > 0) return false;
	return true;
}

struct ttrpc_counts ttrpc_server_counts(const struct ttrpc_server *s)
{
	struct ttrpc_counts counts = { .calls = s->calls, .connections = s->connections_len };
	const struct connection *c;

	list_for_each(c, &s->connections, node) counts.waiting += c->calls_len;
	return counts;
}

void ttrpc_server_free(struct ttrpc_server *s)
{
	if (!s)
		return;
	while (!list_empty(&s->connections))
		connection_free(list_first(&s->connections, struct connection, node));
	listener_free(s->listener);
	free(s);
}
