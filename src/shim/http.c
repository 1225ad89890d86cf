/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client is read until its head is whole, then its answer is made, then written; whatever it
 * sends behind the head is not read. Nothing is kept for it but its head and the answer's head: the
 * body is a file.
 */
#include "shim/http.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "shim/listener.h"

#define ANSWER_HEAD_MAX 1024u /* with the sentence of a refusal */
#define PIECE_SIZE	4096u
#define PIECES_MAX	64u /* of one round: others wait */

struct client {
	struct list_head node;
	struct http_server *server;
	struct loop_source *source, *timer;
	struct http_call *call; /* NULL: not asked yet, or answered */
	int fd;
	char *in; /* owned: HTTP_HEAD_MAX bytes, while the head is read */
	size_t in_len;
	char *out; /* owned: the answer's head; NULL: there is no answer yet */
	size_t out_len, out_at;
	int body; /* or -EBADF */
	size_t body_len, body_at;
};

struct http_call {
	struct client *client; /* NULL: it has gone */
};

struct http_server {
	struct loop *loop;
	struct listener *listener;
	http_fn *fn;
	void *arg;
	struct list_head clients;
	unsigned int clients_len;
	struct http_counts counts;
};

static void client_free(struct client *c)
{
	if (c->call)
		c->call->client = NULL;
	if (!list_empty(&c->node)) {
		list_del(&c->node);
		c->server->clients_len--;
	}
	loop_remove(c->source);
	loop_remove(c->timer);
	auto_close_p(&c->fd);
	auto_close_p(&c->body);
	free(c->in);
	free(c->out);
	free(c);
}

/* ---- Answers ---- */

/* A piece of the answer: 1 it was sent, 0 there is no room, -errno also for the end. */
static int send_piece(struct client *c)
{
	const char *bytes = c->out + c->out_at;
	size_t len = c->out_len - c->out_at;
	char piece[PIECE_SIZE];
	ssize_t n;

	if (len == 0 && c->body_at < c->body_len) {
		len = c->body_len - c->body_at;
		n = pread(c->body, piece, len < sizeof(piece) ? len : sizeof(piece),
			  (off_t)c->body_at);
		if (n <= 0)
			return -EIO;
		bytes = piece;
		len = (size_t)n;
	}
	if (len == 0)
		return -ENODATA;
	n = send(c->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN ? 0 : errno == EINTR ? 1 : -errno;
	if (c->out_at < c->out_len)
		c->out_at += (size_t)n;
	else
		c->body_at += (size_t)n;
	return 1;
}

/* As much as it takes now; it is gone when it has all. */
static void send_some(struct client *c)
{
	int r = 1;

	for (unsigned int i = 0; r > 0 && i < PIECES_MAX; i++)
		r = send_piece(c);
	if (r < 0 || loop_set_events(c->source, EPOLLOUT) < 0)
		client_free(c);
}

/* From now on it is written to. `text`: behind the head, "" with a body. */
static void begin_answer(struct client *c, enum http_status status, const char *type,
			 const char *text)
{
	const size_t len = c->body_len + strlen(text);
	int n;

	free(TAKE_PTR(c->in));
	c->out = malloc(ANSWER_HEAD_MAX);
	if (!c->out || loop_set_timer(c->timer, HTTP_SEND_MS) < 0) {
		client_free(c);
		return;
	}
	n = snprintf(c->out, ANSWER_HEAD_MAX,
		     "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
		     "Connection: close\r\n\r\n%s",
		     (int)status, http_reason(status), type, len,
		     status == HTTP_METHOD_NOT_ALLOWED ? "Allow: GET\r\n" : "", text);
	c->out_len = n < (int)ANSWER_HEAD_MAX ? (size_t)n : ANSWER_HEAD_MAX - 1;
	if (status == HTTP_OK)
		c->server->counts.answered++;
	else
		c->server->counts.refused++;
	send_some(c);
}

static void refuse(struct client *c, enum http_status status, const char *why)
{
	char text[ERR_MSG_MAX + 1];

	(void)snprintf(text, sizeof(text), "%s\n", why);
	begin_answer(c, status, "text/plain; charset=utf-8", text);
}

void http_answer_file(struct http_call *call, const char *type, int fd, size_t len)
{
	AUTO_CLOSE int own = fd;
	struct client *c = call->client;

	free(call);
	if (!c)
		return;
	c->call = NULL;
	c->body = TAKE_FD(own);
	c->body_len = len;
	begin_answer(c, HTTP_OK, type, "");
}

void http_fail(struct http_call *call, enum http_status status, const char *text)
{
	struct client *c = call->client;

	free(call);
	if (!c)
		return;
	c->call = NULL;
	refuse(c, status, text);
}

/* ---- Requests ---- */

static void ask(struct client *c, const char *path)
{
	struct http_server *s = c->server;
	struct http_call *call = calloc(1, sizeof(*call));

	/* Only its going counts until it is answered. */
	if (!call || loop_set_events(c->source, 0) < 0 || loop_set_timer(c->timer, -1) < 0) {
		free(call);
		client_free(c);
		return;
	}
	call->client = c;
	c->call = call;
	s->fn(s->arg, call, path);
}

static void read_some(struct client *c)
{
	const ssize_t n = recv(c->fd, c->in + c->in_len, HTTP_HEAD_MAX - c->in_len, MSG_DONTWAIT);
	char path[HTTP_PATH_MAX];
	enum http_status status;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		client_free(c);
		return;
	}
	c->in_len += n > 0 ? (size_t)n : 0;
	status = http_read_head(c->in, c->in_len, path);
	if (status == HTTP_OK)
		ask(c, path);
	else if (status != HTTP_UNFINISHED)
		refuse(c, status, http_reason(status));
}

static void on_ready(void *arg, int fd, uint32_t events)
{
	struct client *c = arg;

	(void)fd;
	if (c->out && !(events & (EPOLLERR | EPOLLHUP)))
		send_some(c);
	else if (!c->out && c->in && !c->call && (events & EPOLLIN))
		read_some(c);
	else
		client_free(c);
}

static void on_timer(void *arg)
{
	struct client *c = arg;

	if (c->out)
		client_free(c);
	else
		refuse(c, HTTP_TIMEOUT, "the request did not come");
}

/* ---- Clients ---- */

static void refuse_another(int fd)
{
	static const char full[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
				   "Retry-After: 1\r\nConnection: close\r\n\r\n";

	(void)send(fd, full, sizeof(full) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_connect(void *arg, int fd)
{
	struct http_server *s = arg;
	AUTO_CLOSE int own = fd;
	struct client *c;

	if (s->clients_len == HTTP_CLIENTS_MAX) {
		s->counts.refused++;
		refuse_another(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return;
	c->server = s;
	c->fd = TAKE_FD(own);
	c->body = -EBADF;
	list_init(&c->node);
	c->in = malloc(HTTP_HEAD_MAX);
	if (!c->in || loop_add_fd(s->loop, c->fd, EPOLLIN, on_ready, c, &c->source) < 0 ||
	    loop_add_timer(s->loop, HTTP_HEAD_MS, on_timer, c, &c->timer) < 0) {
		client_free(c);
		return;
	}
	list_add_tail(&c->node, &s->clients);
	s->clients_len++;
}

int http_server_new(struct loop *loop, int sock, uint32_t uid, http_fn *fn, void *arg,
		    struct http_server **ret, struct err *err)
{
	AUTO_CLOSE int own = sock;
	struct http_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_sys(err, -ENOMEM, "http");
	*s = (struct http_server){ .loop = loop, .fn = fn, .arg = arg };
	list_init(&s->clients);
	r = listener_new(loop, TAKE_FD(own), uid, "http", on_connect, s, &s->listener, err);
	if (r < 0)
		free(s);
	else
		*ret = s;
	return r;
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	while (!list_empty(&s->clients))
		client_free(list_first(&s->clients, struct client, node));
	listener_free(s->listener);
	free(s);
}

struct http_counts http_server_counts(const struct http_server *s)
{
	return s->counts;
}
