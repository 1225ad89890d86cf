/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/container.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "wire/relay.h"

#define FORWARD_MS 2500 /* for a listener whose queue is full: the host waits VM_ANSWER_MS */

struct forward {
	struct list_head node; /* agent.forwards */
	struct agent *agent;
	uint32_t serial; /* of the request that is to be answered; 0: it is */
	uint16_t port;
	int tries[2]; /* owned: sockets of AF_INET and AF_INET6 that are not connected, or -EBADF */
	unsigned int next; /* of tries */
	struct loop_source *source, *timer;
	struct relay relay;
};

static void forward_free(struct forward *f)
{
	list_del(&f->node);
	f->agent->forwards_len--;
	loop_remove(f->source);
	loop_remove(f->timer);
	auto_close_p(&f->tries[0]);
	auto_close_p(&f->tries[1]);
	relay_done(&f->relay);
	free(f);
}

static void refuse(struct forward *f, int r)
{
	struct err err = { 0 };

	if (f->serial)
		agent_answer(f->agent, f->serial, AGENT_FORWARD,
			     err_sys(&err, r, "connect to port %u", (unsigned int)f->port), NULL,
			     &err);
	f->relay.reset = true;
	forward_free(f);
}

/* Before the answer: who connected has gone. */
static void on_over(void *arg, struct relay *relay)
{
	struct forward *f = arg;

	(void)relay;
	if (f->serial)
		refuse(f, -ECONNRESET);
	else
		forward_free(f);
}

/* ---- To connect ---- */

/* In the network namespace of the container's first process, which may have one of its own. */
static int open_sockets(struct forward *f, pid_t pid, struct err *err)
{
	AUTO_CLOSE int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int there = -EBADF;
	static const int families[] = { AF_INET, AF_INET6 };
	char path[64];
	int r = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (home < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
		return err_sys(err, -errno, "enter the container's network namespace");
	for (unsigned int i = 0; i < 2; i++) {
		f->tries[i] = socket(families[i], SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (f->tries[i] < 0 && i == 0)
			r = -errno;
	}
	if (setns(home, CLONE_NEWNET) < 0)
		return err_sys(err, -errno, "leave the container's network namespace");
	return r < 0 ? err_sys(err, r, "socket") : 0;
}

static int start_connect(int fd, unsigned int i, uint16_t port)
{
	const struct sockaddr_in four = { .sin_family = AF_INET,
					  .sin_port = htons(port),
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 six = { .sin6_family = AF_INET6,
					  .sin6_port = htons(port),
					  .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const int r = i == 0 ? connect(fd, (const struct sockaddr *)&four, sizeof(four))
			     : connect(fd, (const struct sockaddr *)&six, sizeof(six));

	return r < 0 ? -errno : 0;
}

static void connected(struct forward *f)
{
	const uint32_t serial = f->serial;
	struct agent *a = f->agent;
	struct err err = { 0 };

	loop_remove(f->source);
	loop_remove(f->timer);
	f->source = f->timer = NULL;
	f->serial = 0;
	agent_answer(a, serial, AGENT_FORWARD, 0, NULL, NULL);
	/* It may be over then. */
	if (relay_attach(&f->relay, TAKE_FD(f->tries[f->next]), &err) == 0)
		return;
	log_warning("a forwarded connection: %s", err.msg);
	refuse(f, err.code);
}

static void try_next(struct forward *f, int why);

static void on_writable(void *arg, int fd, uint32_t events)
{
	struct forward *f = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	loop_remove(f->source);
	f->source = NULL;
	if (!error) {
		connected(f);
		return;
	}
	auto_close_p(&f->tries[f->next]);
	f->tries[f->next++] = -EBADF;
	try_next(f, -error);
}

/* What the first one failed of is told. */
static void try_next(struct forward *f, int why)
{
	for (; f->next < 2; f->next++) {
		const int fd = f->tries[f->next];
		int r = fd < 0 ? -EAFNOSUPPORT : start_connect(fd, f->next, f->port);

		if (r == 0) {
			connected(f);
			return;
		}
		if (r == -EINPROGRESS)
			r = loop_add_fd(f->agent->loop, fd, EPOLLOUT, on_writable, f, &f->source);
		if (r == 0)
			return;
		why = why ? why : r;
	}
	refuse(f, why);
}

static void on_timer(void *arg)
{
	refuse(arg, -ETIMEDOUT);
}

int forward_begin(struct container *c, uint32_t serial, const struct agent_forward *call,
		  struct err *err)
{
	struct agent *a = c->agent;
	const struct process *init = c->init;
	struct forward *f;
	int r;

	if (!init || init->exited || init->pid <= 0)
		return err_set(err, -ESRCH, "container %s has ended", c->id);
	if (a->forwards_len == AGENT_FORWARDS_MAX)
		return err_set(err, -EMFILE, "%u connections are open", AGENT_FORWARDS_MAX);
	f = calloc(1, sizeof(*f));
	if (!f)
		return err_sys(err, -ENOMEM, "a connection");
	*f = (struct forward){ .agent = a,
			       .port = (uint16_t)call->port,
			       .tries = { -EBADF, -EBADF },
			       .relay = RELAY_INIT };
	f->relay.over = on_over;
	f->relay.arg = f;
	list_add_tail(&f->node, &a->forwards);
	a->forwards_len++;
	r = relay_open(&f->relay, a->loop, a->mux, call->out, call->in, err);
	if (r == 0)
		r = open_sockets(f, init->pid, err);
	if (r == 0) {
		r = loop_add_timer(a->loop, FORWARD_MS, on_timer, f, &f->timer);
		if (r < 0)
			(void)err_sys(err, r, "a connection");
	}
	if (r < 0) {
		forward_free(f);
		return r;
	}
	f->serial = serial;
	try_next(f, 0);
	return 1;
}

/* ---- Streams ---- */

struct forward *forward_of_stream(const struct agent *a, uint32_t stream, struct pump **ret_pump)
{
	struct forward *f;

	list_for_each(f, &a->forwards, node)
	{
		struct pump *pump = relay_pump(&f->relay, stream);

		if (pump) {
			*ret_pump = pump;
			return f;
		}
	}
	return NULL;
}

void forward_end(struct forward *f, struct pump *pump, int error)
{
	relay_end(&f->relay, pump, error);
}

/* Each may be over then, by its last pump. */
void forward_room(const struct agent *a)
{
	struct forward *f, *next;

	list_for_each_safe(f, next, &a->forwards, node)
	{
		if (f->relay.in)
			pump_room(f->relay.in);
	}
}

void forward_forget(struct agent *a)
{
	struct forward *f, *next;

	list_for_each_safe(f, next, &a->forwards, node)
	{
		pump_free(TAKE_PTR(f->relay.in));
		pump_free(TAKE_PTR(f->relay.out));
		forward_free(f);
	}
}
