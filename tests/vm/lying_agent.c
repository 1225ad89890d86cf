/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vm/lying_agent.c - the honest part of an agent that lies once: vm/lies.h. `lying-agent
 * list` writes the names of all lies and the calls at which they are told, `lying-agent any` of
 * those that can be told at every call.
 */
#include "vm/lies.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void leave(void)
{
	exit(0);
}

void say_bytes(struct liar *l, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len > 0) {
		const ssize_t n = send(l->fd, p, len, MSG_NOSIGNAL);

		if (n < 0)
			leave();
		p += n;
		len -= (size_t)n;
	}
}

void say(struct liar *l, struct agent_head head, const void *body, size_t len)
{
	head.length = (uint32_t)len;
	say_bytes(l, &head, sizeof(head));
	say_bytes(l, body, len);
}

void answer(struct liar *l, int error, const void *body, size_t len)
{
	AUTO_BUF struct buf b = { 0 };

	(void)buf_append(&b, &error, sizeof(error));
	(void)buf_append(&b, body, len);
	if (buf_error(&b) < 0)
		abort();
	say(l,
	    (struct agent_head){
		    .type = AGENT_ANSWER, .call = (uint16_t)l->call, .serial = l->serial },
	    b.data, b.len);
}

void data(struct liar *l, uint32_t stream, const char *bytes, size_t len)
{
	say(l, (struct agent_head){ .type = AGENT_DATA, .stream = stream }, bytes, len);
}

void end(struct liar *l, uint32_t stream, uint32_t error)
{
	if (stream)
		say(l, (struct agent_head){ .type = AGENT_END, .stream = stream }, &error,
		    sizeof(error));
}

void exited(struct liar *l, const char *id, int32_t pid, int32_t code)
{
	const struct agent_exited event = { .id = id, .pid = pid, .code = code };
	AUTO_BUF struct buf b = { 0 };

	if (agent_event_encode(AGENT_EXITED, &event, &b, NULL) < 0)
		abort();
	say(l, (struct agent_head){ .type = AGENT_EVENT, .call = AGENT_EXITED }, b.data, b.len);
}

static void hear(struct liar *l, void *bytes, size_t len)
{
	char *p = bytes;

	while (len > 0) {
		const ssize_t n = recv(l->fd, p, len, 0);

		if (n <= 0)
			leave();
		p += n;
		len -= (size_t)n;
	}
}

void listen_for_ever(struct liar *l)
{
	char bytes[4096];

	for (;;)
		hear(l, bytes, 1);
}

void sulk(struct liar *l)
{
	struct pollfd p = { l->fd, 0, 0 };

	while (poll(&p, 1, -1) <= 0)
		;
	leave();
	abort();
}

/* ---- What an honest agent does ---- */

static void process_ends(struct liar *l, struct agent_io *io, int32_t pid, int32_t code)
{
	end(l, io->out, 0);
	if (io->err != io->out)
		end(l, io->err, 0);
	exited(l, l->id, pid, code);
	memset(io, 0, sizeof(*io));
}

static void answer_body(struct liar *l, const void *body)
{
	AUTO_BUF struct buf b = { 0 };

	if (agent_answer_encode(l->call, body, &b, NULL) < 0)
		abort();
	answer(l, 0, b.data, b.len);
}

static void make(struct liar *l, const struct agent_io *io, struct agent_io *keep)
{
	const struct agent_pid pid = { .pid = ++l->last_pid };

	*keep = *io;
	answer_body(l, &pid);
}

static void serve_signal(struct liar *l, const struct agent_signal *s)
{
	answer(l, 0, NULL, 0);
	if (l->ended || (s->signal != SIGKILL && s->signal != SIGTERM))
		return;
	if (s->pid > 1 && s->pid == l->exec_pid) {
		l->exec_pid = 0;
		process_ends(l, &l->exec_io, s->pid, 128 + (int)s->signal);
	} else if (s->pid <= 1) {
		l->ended = true;
		process_ends(l, &l->io, 1, 128 + (int)s->signal);
	}
}

static union {
	struct agent_create create;
	struct agent_exec exec;
	struct agent_signal signal;
	struct agent_network network;
} room;

static void serve_honestly(struct liar *l, const char *body, size_t len)
{
	static const struct sentry_ps ps = {
		.pid = 1, .state = 'S', .threads = 1, .comm = "sh", .command = "sh"
	};
	const struct agent_processes processes = { &ps, 1 };
	const struct agent_stats stats = { .pids = 1, .pids_limit = UINT64_MAX };
	const struct agent_text text = { "the truth\n" };
	struct err err = { 0 };

	if (agent_request_decode(l->call, body, len, &room, &err) < 0) {
		answer(l, -EBADMSG, err.msg, strlen(err.msg));
		return;
	}
	switch (l->call) {
	case AGENT_CREATE:
		(void)snprintf(l->id, sizeof(l->id), "%s", room.create.id);
		make(l, &room.create.io, &l->io);
		break;
	case AGENT_EXEC:
		/* Who lies at these is asked them while a call is not answered. */
		if (l->at == AGENT_CANCEL || l->at == AGENT_PING)
			return;
		make(l, &room.exec.io, &l->exec_io);
		l->exec_pid = l->last_pid;
		if (l->exec_io.out)
			data(l, l->exec_io.out, "executed\n", 9);
		break;
	case AGENT_START:
		answer(l, 0, NULL, 0);
		if (l->io.out)
			data(l, l->io.out, "started\n", 8);
		break;
	case AGENT_SIGNAL:
		serve_signal(l, &room.signal);
		break;
	case AGENT_PS:
		answer_body(l, &processes);
		break;
	case AGENT_STATS:
		answer_body(l, &stats);
		break;
	case AGENT_DEBUG:
		answer_body(l, &text);
		break;
	default:
		answer(l, 0, NULL, 0);
		if (l->call == AGENT_SHUTDOWN)
			leave();
	}
}

/* The lies need the id and the streams of the container: they are read before. */
static void serve_request(struct liar *l, const struct agent_head *head, const char *body,
			  size_t len)
{
	l->call = head->call;
	l->serial = head->serial;
	if (l->call == AGENT_CREATE &&
	    agent_request_decode(AGENT_CREATE, body, len, &room.create, NULL) == 0) {
		(void)snprintf(l->id, sizeof(l->id), "%s", room.create.id);
		l->io = room.create.io;
	}
	if (l->lie->tell && l->at == l->call && l->lie->tell(l) == TOLD_INSTEAD)
		return;
	serve_honestly(l, body, len);
}

static void serve_hello(struct liar *l, const void *body)
{
	memcpy(&l->hello, body, sizeof(l->hello));
	l->hello.kernel_ns = 1;
	l->hello.agent_ns = 2;
	(void)snprintf(l->hello.release, sizeof(l->hello.release), "6.1.0-liar");
	if (l->lie->tell && l->at == 0 && l->lie->tell(l) == TOLD_INSTEAD)
		return;
	say(l, (struct agent_head){ .type = AGENT_HELLO }, &l->hello, sizeof(l->hello));
}

/* What is executed ends when its input does, or has none. */
static void serve_stream(struct liar *l, const struct agent_head *head)
{
	const uint32_t len = head->length;

	if (head->type == AGENT_DATA)
		say(l, (struct agent_head){ .type = AGENT_CREDIT, .stream = head->stream }, &len,
		    sizeof(len));
	if (head->type == AGENT_END && l->exec_pid && head->stream == l->exec_io.in) {
		process_ends(l, &l->exec_io, l->exec_pid, 0);
		l->exec_pid = 0;
	}
}

static void serve(struct liar *l)
{
	AUTO_BUF struct buf body = { 0 };
	static char bytes[AGENT_FRAME_MAX];

	for (;;) {
		struct agent_head head;

		hear(l, &head, sizeof(head));
		if (head.length > sizeof(bytes))
			abort();
		hear(l, bytes, head.length);
		if (head.type == AGENT_HELLO && head.length == sizeof(l->hello)) {
			serve_hello(l, bytes);
		} else if (head.type == AGENT_REQUEST) {
			if (buf_append(&body, bytes, head.length) < 0)
				abort();
			if (head.flags & AGENT_MORE)
				continue;
			serve_request(l, &head, body.data ? body.data : "", body.len);
			body.len = 0;
		} else {
			serve_stream(l, &head);
		}
	}
}

static unsigned int call_of(const char *name)
{
	for (unsigned int i = 1; i < AGENT_CALLS; i++)
		if (strcmp(agent_call_name(i), name) == 0)
			return i;
	return 0; /* HELLO */
}

static int list(bool any)
{
	for (const struct lie *lie = lies; lie->name; lie++) {
		if (any && lie->any)
			printf("%s\n", lie->name);
		else if (!any)
			printf("%s %s\n", lie->name, lie->at ? agent_call_name(lie->at) : "HELLO");
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct liar l = { 0 };

	if (argc == 2 && (strcmp(argv[1], "list") == 0 || strcmp(argv[1], "any") == 0))
		return list(argv[1][0] == 'a');
	for (l.lie = lies; argc >= 3 && l.lie->name && strcmp(l.lie->name, argv[2]) != 0;)
		l.lie++;
	if (argc < 3 || argc > 4 || !l.lie->name) {
		fprintf(stderr, "usage: lying-agent FD LIE [CALL] | list | any\n");
		return 2;
	}
	l.fd = atoi(argv[1]);
	l.at = argc == 4 ? call_of(argv[3]) : l.lie->at;
	serve(&l);
	return 0;
}
