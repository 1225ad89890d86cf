/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "vmm/channel.h"
#include "vmm/client.h"
#include "vmm/container.h"
#include "vmm/end.h"
#include "vmm/freezer.h"
#include "vmm/process.h"
#include "vmm/resize.h"
#include "vmm/vm.h"

/* A connection that has nothing asked and nothing to be told is closed after this. */
#define IDLE_MS 120000
/* Until the next try, when the host or our limit has no descriptor for a connection. */
#define SHORT_MS 500

struct control {
	struct vm *vm;
	struct loop_source *idle;  /* a timer, off without connections */
	struct loop_source *retry; /* a timer, off unless one was not taken */
	struct list_head clients;
	unsigned int shared_len; /* of them, those without a place of their container's own */
	uid_t owner;		 /* of the runtime that made us */
};

/* Where connections for one container come in. */
struct listener {
	struct container *container;
	struct loop_source *source;
	int fd;	   /* owned */
	bool full; /* no connection is taken */
};

struct message {
	struct list_head node;
	size_t len;
	char bytes[];
};

/* ---- Answers ---- */

static void watch(struct client *c)
{
	const bool reads = !c->busy && !c->stalled && list_empty(&c->out);

	if (!c->source)
		return;
	(void)loop_set_events(c->source, (reads ? (uint32_t)EPOLLIN : 0) |
						 (list_empty(&c->out) ? 0 : (uint32_t)EPOLLOUT));
}

/* The loop notices, and closes it. */
static void give_up(struct client *c)
{
	c->gone = true;
	(void)shutdown(c->fd, SHUT_RDWR);
}

static int send_now(int fd, const struct sentry_reply *reply, const void *bytes, size_t len)
{
	struct iovec iov[] = { { (void *)(uintptr_t)reply, sizeof(*reply) },
			       { (void *)(uintptr_t)bytes, len } };
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = len ? 2 : 1 };

	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int keep(struct client *c, const struct sentry_reply *reply, const void *bytes, size_t len)
{
	struct message *m = malloc(sizeof(*m) + sizeof(*reply) + len);

	if (!m)
		return -ENOMEM;
	m->len = sizeof(*reply) + len;
	memcpy(m->bytes, reply, sizeof(*reply));
	if (len)
		memcpy(m->bytes + sizeof(*reply), bytes, len);
	list_add_tail(&m->node, &c->out);
	watch(c);
	return 0;
}

void client_send(struct client *c, const struct sentry_reply *reply, const void *bytes, size_t len)
{
	int r;

	/* What it was asked for may still come in the round in which all ends. */
	if (c->flushed)
		return;
	r = list_empty(&c->out) ? send_now(c->fd, reply, bytes, len) : -EAGAIN;
	if (r == -EAGAIN || r == -EINTR)
		r = keep(c, reply, bytes, len);
	if (r < 0)
		give_up(c);
}

void client_answer(struct client *c, int value, int error, const char *text)
{
	const struct sentry_reply reply = { .type = c->asked, .error = error, .value = value };

	client_send(c, &reply, text, error && text ? strnlen(text, ERR_MSG_MAX - 1) : 0);
	c->busy = false;
}

void client_answer_text(struct client *c, const char *text, size_t len)
{
	const size_t most = SENTRY_FRAME_MAX - sizeof(struct sentry_reply);
	struct sentry_reply reply = { .type = c->asked };
	size_t at = 0;

	while (at < len) {
		const size_t part = len - at < most ? len - at : most;

		reply.count = (uint32_t)part;
		client_send(c, &reply, text + at, part);
		at += part;
	}
	reply.count = 0;
	client_send(c, &reply, NULL, 0);
	c->busy = false;
}

static void flush(struct client *c)
{
	while (!list_empty(&c->out)) {
		struct message *m = list_first(&c->out, struct message, node);

		if (send(c->fd, m->bytes, m->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno != EAGAIN && errno != EINTR)
				c->gone = true;
			return;
		}
		list_del(&m->node);
		free(m);
	}
}

/* ---- Connections ---- */

static bool has_place(const struct control *k, const struct container *c)
{
	return k->shared_len < SENTRY_CLIENTS_MAX || c->kept < SENTRY_CLIENTS_KEPT;
}

static void set_full(struct listener *l, bool full)
{
	if (l->full == full)
		return;
	l->full = full;
	(void)loop_set_events(l->source, full ? 0 : EPOLLIN);
}

/* Who waits for a place may have one now. */
static void look_again(const struct control *k)
{
	const struct container *c;

	list_for_each(c, &k->vm->containers, node)
	{
		if (c->listener && has_place(k, c))
			set_full(c->listener, false);
	}
}

/* The peer is gone: so is the process that it asked for. */
static void close_client(struct client *c)
{
	struct control *k = c->vm->control;
	struct container *container = c->container;

	if (c->process)
		process_abandon(c->process);
	if (c->keeps) {
		container->keeper = NULL;
		container_end(container);
	}
	channel_disown(c->vm->channel, c);
	container_forget(c->vm, c);
	resize_forget(c);
	freezer_forget(c);
	loop_remove(c->source);
	(void)close(c->fd);
	while (!list_empty(&c->out)) {
		struct message *m = list_first(&c->out, struct message, node);

		list_del(&m->node);
		free(m);
	}
	list_del(&c->node);
	if (c->kept)
		container->kept--;
	else
		k->shared_len--;
	free(c);
	container_let_go(container);
	look_again(k);
}

static void drop_descriptors(struct request *request)
{
	for (size_t i = 0; i < request->fds_len; i++)
		auto_close_p(&request->fds[i]);
	request->fds_len = 0;
}

/* One message: whether the connection is of use. */
static bool receive(struct client *c)
{
	static char message[SENTRY_FRAME_MAX + 1] __attribute__((aligned(8)));
	struct request request = { .fds_len = CLIENT_FDS_MAX };
	const ssize_t n = fd_recv(c->fd, message, sizeof(message), request.fds, &request.fds_len);
	int r;

	if (n == -EAGAIN)
		return true;
	if (n <= 0)
		return false;
	r = request_decode(message, (size_t)n, &request);
	if (r == 0 && request.fds_len > 0 && request.head.type != SENTRY_EXEC &&
	    request.head.type != VMM_JOIN && request.head.type != VMM_FREEZE)
		r = -EPROTO;
	if (r == 0) {
		c->asked = request.head.type;
		c->since = vm_now_ns();
		r = request_serve(c, &request);
	}
	drop_descriptors(&request);
	return r == 0;
}

/* Too many of these may wait for the container's files: then this one is not read yet. */
static bool next_may_wait(const struct client *c)
{
	struct sentry_request head;
	const ssize_t n = recv(c->fd, &head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);

	return n == sizeof(head) && (head.type == SENTRY_EXEC || head.type == VMM_JOIN);
}

/*
 * The peer's end does not wait for the answer to what it has asked; what it asked is read first,
 * but for an EXEC or VMM_JOIN that has to wait and that nobody wants any more. While nothing can be
 * read its end would be told again and again: then nobody listens until control_go_on().
 */
static void on_client(void *arg, int fd, uint32_t events)
{
	const uint32_t ends = events & (EPOLLHUP | EPOLLERR);
	const struct channel *channel;
	struct client *c = arg;

	channel = c->vm->channel;
	if (events & EPOLLOUT)
		flush(c);
	c->stalled = !channel_has_room(channel) || (!channel_may_wait(channel) && next_may_wait(c));
	if (c->stalled && ends && next_may_wait(c)) {
		c->gone = true;
	} else if (!c->gone && !c->busy && !c->stalled && list_empty(&c->out)) {
		if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !receive(c))
			c->gone = true;
	} else if (!c->gone && ends && (c->busy || !list_empty(&c->out))) {
		c->gone = true;
	} else if (!c->gone && ends) {
		loop_remove(c->source);
		c->source = NULL;
	}
	if (c->gone)
		close_client(c);
	else
		watch(c);
}

/* Nothing is asked of it and nothing told, and nothing has come that is not read yet. */
static bool is_idle(const struct client *c)
{
	char byte;

	return !c->busy && !c->process && !c->keeps && !c->waits && !c->watches &&
	       list_empty(&c->asks) && list_empty(&c->out) && c->source &&
	       recv(c->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void on_idle(void *arg)
{
	struct control *k = arg;
	const uint64_t now = vm_now_ns();
	struct client *c, *next;

	list_for_each_safe(c, next, &k->clients, node)
	{
		if (is_idle(c) && now - c->since >= IDLE_MS * 1000000ull)
			close_client(c);
	}
	(void)loop_set_timer(k->idle, list_empty(&k->clients) ? -1 : IDLE_MS);
}

void control_go_on(struct vm *vm)
{
	struct client *c;

	if (!vm->control)
		return;
	list_for_each(c, &vm->control->clients, node)
	{
		c->stalled = !channel_has_room(vm->channel) ||
			     (c->stalled && !channel_may_wait(vm->channel));
		if (!c->source && !c->stalled &&
		    loop_add_fd(vm->loop, c->fd, EPOLLIN, on_client, c, &c->source) < 0)
			c->source = NULL;
		watch(c);
	}
	/* A VMM_JOIN has taken its place along. */
	look_again(vm->control);
}

static bool peer_is_known(const struct control *k, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == k->owner || peer.uid == 0);
}

static void add_client(struct control *k, struct container *container, int fd)
{
	struct client *c = peer_is_known(k, fd) ? calloc(1, sizeof(*c)) : NULL;

	if (!c) {
		(void)close(fd);
		return;
	}
	*c = (struct client){ .vm = k->vm, .container = container, .fd = fd, .since = vm_now_ns() };
	list_init(&c->out);
	list_init(&c->asks);
	if (loop_add_fd(k->vm->loop, fd, EPOLLIN, on_client, c, &c->source) < 0) {
		(void)close(fd);
		free(c);
		return;
	}
	if (list_empty(&k->clients))
		(void)loop_set_timer(k->idle, IDLE_MS);
	list_add_tail(&c->node, &k->clients);
	c->kept = k->shared_len >= SENTRY_CLIENTS_MAX;
	if (c->kept)
		container->kept++;
	else
		k->shared_len++;
}

static void on_retry(void *arg)
{
	look_again(arg);
}

/* More wait in the socket's queue. */
static void on_connection(void *arg, int fd, uint32_t events)
{
	struct listener *l = arg;
	struct control *k = l->container->vm->control;

	(void)events;
	while (has_place(k, l->container)) {
		const int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (client >= 0) {
			add_client(k, l->container, client);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EAGAIN)
			return;
		/* It would be told again at once. */
		(void)loop_set_timer(k->retry, SHORT_MS);
		break;
	}
	set_full(l, true);
}

int control_listen(struct container *c, int fd, struct err *err)
{
	AUTO_CLOSE int own = fd;
	struct listener *l = calloc(1, sizeof(*l));
	const int flags = fcntl(fd, F_GETFL);
	int r = l ? 0 : -ENOMEM;

	if (r == 0 && (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
		r = -errno;
	if (r == 0)
		r = loop_add_fd(c->vm->loop, fd, EPOLLIN, on_connection, l, &l->source);
	if (r < 0) {
		free(l);
		return err_sys(err, r, "serve the control socket");
	}
	l->container = c;
	l->fd = TAKE_FD(own);
	c->listener = l;
	return 0;
}

int control_start(struct vm *vm, struct err *err)
{
	struct control *k = calloc(1, sizeof(*k));
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int r;

	if (!k)
		return err_sys(err, -ENOMEM, "serve the control socket");
	k->vm = vm;
	list_init(&k->clients);
	/* Who made the pair of sockets is who made us. */
	if (getsockopt(VMM_FD_REPORT, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		k->owner = peer.uid;
	r = loop_add_timer(vm->loop, -1, on_idle, k, &k->idle);
	if (r == 0)
		r = loop_add_timer(vm->loop, -1, on_retry, k, &k->retry);
	if (r < 0) {
		free(k);
		return err_sys(err, r, "serve the control socket");
	}
	vm->control = k;
	return control_listen(vm->first, VMM_FD_CONTROL, err);
}

bool control_speaks_of(const struct container *c)
{
	const struct client *each;

	if (!c->vm->control)
		return false;
	list_for_each(each, &c->vm->control->clients, node)
	{
		if (each->container == c)
			return true;
	}
	return false;
}

void control_tell_oom(const struct container *container)
{
	const struct sentry_reply reply = { .type = SENTRY_DEBUG };
	struct client *c;

	if (!container->vm->control)
		return;
	list_for_each(c, &container->vm->control->clients, node)
	{
		/* Who has not read the last one knows enough. */
		if (c->container == container && c->watches && !c->gone && list_empty(&c->out))
			client_send(c, &reply, NULL, 0);
	}
}

/* What is known of a process whose end nobody has told. */
static int code_of(const struct process *p, int otherwise)
{
	return p && p->exited ? p->code : otherwise;
}

static void flush_client(struct client *c, int code, const char *sentence)
{
	const struct process *p = c->keeps ? c->container->init : c->process;
	struct sentry_reply exited = { .type = SENTRY_EXITED };

	if (c->flushed)
		return;
	exited.value = c->keeps ? code_of(p, code) : code_of(p, VM_EXIT_LOST);
	if (c->waits)
		client_send(c, &(struct sentry_reply){ .type = SENTRY_WAIT, .value = code }, NULL,
			    0);
	if (c->busy)
		client_answer(c, 0, -ESRCH, sentence);
	if ((c->keeps && c->container->phase != CONTAINER_NEW) || (c->process && p->pid))
		client_send(c, &exited, NULL, 0);
	c->flushed = true;
}

void control_stop(struct container *container, int code, const char *sentence)
{
	struct client *c;

	if (!container->vm->control)
		return;
	if (container->listener) {
		loop_remove(container->listener->source);
		(void)close(container->listener->fd);
		free(container->listener);
		container->listener = NULL;
	}
	list_for_each(c, &container->vm->control->clients, node)
	{
		if (c->container != container)
			continue;
		flush_client(c, code, sentence);
		give_up(c);
	}
}

void control_flush(struct vm *vm, int code, const char *sentence)
{
	struct client *c;

	if (!vm->control)
		return;
	list_for_each(c, &vm->control->clients, node)
	{
		const struct container *of = c->container;

		flush_client(c, of == vm->first ? code : code_of(of->init, of->code), sentence);
	}
}
