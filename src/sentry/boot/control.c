/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/control.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "sentry/boot/client.h"
#include "sentry/boot/full.h"
#include "sentry/boot/kernel.h"
#include "sentry/boot/member.h"
#include "sentry/boot/terminal.h"
#include "sentry/core/kclock.h"
#include "sentry/core/ktimer.h"
#include "sentry/task/container.h"
#include "wire/sentry_codec.h"

#define REQUEST_BYTES_MAX 256u /* of a request with its tail */

#define REST_NS (NSEC_PER_SEC / 10) /* of listeners that find no room */

static struct kloop_fd signals;
static struct ktimer rest;
static struct list_head clients;
static unsigned int shared_len; /* of them, those without a place of their member's own */
static uid_t owner;		/* of the runtime that made us */

/* What the kernel raises for our own faults stays with us; the platform has SIGCHLD. */
static void make_mask(sigset_t *set)
{
	static const int ours[] = { SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,	SIGTRAP,
				    SIGSYS,  SIGABRT, SIGCHLD, SIGPIPE, SIGURG };

	(void)sigfillset(set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		(void)sigdelset(set, ours[i]);
}

void control_block_signals(void)
{
	sigset_t set;

	make_mask(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGURG, SIG_IGN);
	signals.host_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- Answers ---- */

static int try_send(struct client *c, const struct sentry_reply *reply, const void *bytes,
		    size_t len)
{
	struct iovec iov[] = { { (void *)(uintptr_t)reply, sizeof(*reply) },
			       { (void *)(uintptr_t)bytes, len } };
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = len ? 2 : 1 };

	return sendmsg(c->source.host_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int client_reply(struct client *c, const struct sentry_reply *reply, const void *bytes, size_t len)
{
	for (;;) {
		const int r = try_send(c, reply, bytes, len);

		if (r != -EAGAIN && r != -EINTR)
			return r;
		c->writable = false;
		WAIT_EVENT_ALWAYS(&c->changed, c->writable);
	}
}

int client_reply_fds(struct client *c, const struct sentry_reply *reply, const int *fds,
		     size_t fds_len)
{
	for (;;) {
		const int r = fd_send(c->source.host_fd, reply, sizeof(*reply), fds, fds_len);

		if (r != -EAGAIN)
			return r;
		c->writable = false;
		WAIT_EVENT_ALWAYS(&c->changed, c->writable);
	}
}

int client_answer(struct client *c, uint32_t type, int value, int r, const struct err *err)
{
	const struct sentry_reply reply = { .type = type, .error = r < 0 ? r : 0, .value = value };

	if (r >= 0)
		return client_reply(c, &reply, NULL, 0);
	return client_reply(c, &reply, err ? err->msg : NULL,
			    err ? strnlen(err->msg, sizeof(err->msg)) : 0);
}

void client_push(struct client *c, const struct sentry_reply *reply)
{
	(void)try_send(c, reply, NULL, 0);
}

int client_text(struct client *c, uint32_t type, const struct buf *text)
{
	const size_t most = SENTRY_FRAME_MAX - sizeof(struct sentry_reply);
	struct sentry_reply reply = { .type = type };
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < text->len) {
		const size_t len = text->len - at < most ? text->len - at : most;

		reply.count = (uint32_t)len;
		r = client_reply(c, &reply, text->data + at, len);
		at += len;
	}
	reply.count = 0;
	return r < 0 ? r : client_reply(c, &reply, NULL, 0);
}

/* ---- Requests ---- */

static int signal_all(const struct member *m, int sig)
{
	int sent = -ESRCH, pid = 1;

	for (;; pid++) {
		struct thread_group *tg = member_next(m, pid, &pid);

		if (!tg)
			break;
		if (signal_send_group(tg, sig, NULL) == 0)
			sent = 0;
		thread_group_unref(tg);
	}
	return sent;
}

/* The foreground group of a process's terminal; without one known here, its own group. */
static int signal_terminal(struct thread_group *tg, int sig)
{
	struct process_group *pgrp = tg->session ? tg->session->foreground : NULL;

	if (!pgrp)
		pgrp = tg->pgrp;
	return pgrp ? signal_send_pgrp(pgrp, sig, NULL) : -ESRCH;
}

/* Of a maker: what it has made, and nothing once that has ended. */
static const struct member *member_of(const struct client *c)
{
	return c->is_maker ? c->made : c->member;
}

static struct thread_group *process_of(const struct client *c, int pid)
{
	const struct member *m = member_of(c);
	struct thread_group *tg;

	if (!m)
		return NULL;
	if (!pid && c->process)
		return thread_group_ref(c->process->tg);
	if (!pid)
		return m->ended ? NULL : thread_group_ref(m->init->tg);
	tg = thread_group_find(m->pid_ns, pid);
	if (!tg || tg->container == m->container)
		return tg;
	thread_group_unref(tg);
	return NULL;
}

static int do_signal(struct client *c, const struct sentry_request *request)
{
	const int sig = (int)request->value;
	struct thread_group *tg;
	int r;

	if (request->value > KNSIG)
		return -EINVAL;
	if (request->flags & SENTRY_SIGNAL_ALL)
		return member_of(c) ? signal_all(member_of(c), sig) : -ESRCH;
	tg = process_of(c, request->pid);
	if (!tg)
		return -ESRCH;
	r = request->flags & SENTRY_SIGNAL_TTY ? signal_terminal(tg, sig)
					       : signal_send_group(tg, sig, NULL);
	thread_group_unref(tg);
	return r;
}

/* The host's terminal has its new size already. */
static int do_resize(struct client *c)
{
	const struct member *m = member_of(c);

	if (m)
		terminal_resize(c->process ? c->terminal : m->terminal);
	return 0;
}

static int do_update(struct member *m, const struct control_request *request)
{
	struct sentry_limits *now = &m->description->limits;
	struct sentry_limits asked;

	memcpy(&asked, request->tail, sizeof(asked));
	now->memory = asked.memory ? asked.memory : now->memory;
	now->swap = asked.swap ? asked.swap : now->swap;
	now->cpu_quota_us = asked.cpu_quota_us ? asked.cpu_quota_us : now->cpu_quota_us;
	now->cpu_period_us = asked.cpu_period_us ? asked.cpu_period_us : now->cpu_period_us;
	now->cpu_shares = asked.cpu_shares ? asked.cpu_shares : now->cpu_shares;
	now->pids = asked.pids ? asked.pids : now->pids;
	m->container->tasks_max =
		now->pids < CONTAINER_TASKS_MAX ? (unsigned int)now->pids : CONTAINER_TASKS_MAX;
	/* What the machine is like is said once, of the sandbox. */
	if (m == &sandbox)
		return kernel_set_limits(now);
	member_show_limits(m);
	return 0;
}

/* control_flush() answers; until then the connection is read on, so that a peer that goes is
 * noticed. */
static int do_wait(struct client *c)
{
	c->waits = true;
	return 0;
}

static void let_go(struct client *c)
{
	if (!c->holds_pod)
		return;
	c->holds_pod = false;
	members_let_go();
}

static int hold_pod(struct client *c, bool held)
{
	int r = 0;

	if (!held)
		let_go(c);
	else if (!c->holds_pod)
		r = members_hold();
	c->holds_pod = held && r == 0;
	return r;
}

static int freeze_member(struct client *c, struct control_request *request)
{
	struct member *m = c->member;

	if (request->fds_len == 1) {
		auto_close_p(&m->freezer);
		m->freezer = TAKE_FD(request->fds[0]);
	}
	m->askers += !c->freezes;
	c->freezes = true;
	switch (request->head.value) {
	case SENTRY_FREEZE_THAW:
		member_let_go(m);
		return 0;
	case SENTRY_FREEZE_HOLD:
		return member_hold(m);
	default:
		return member_follow(m);
	}
}

static int do_freeze(struct client *c, struct control_request *request)
{
	const bool pod = request->head.flags & SENTRY_FREEZE_POD;
	struct err err = { 0 };
	int r;

	if (request->head.value >= SENTRY_FREEZE_MAX || request->fds_len > (pod ? 0 : 1))
		return -EPROTO;
	r = pod ? hold_pod(c, request->head.value != SENTRY_FREEZE_THAW)
		: freeze_member(c, request);
	if (r < 0)
		(void)err_sys(&err, r, "wait for processes to leave their code");
	return client_answer(c, SENTRY_FREEZE, 0, r, &err);
}

/* 0: go on with the connection. */
static int serve_request(struct client *c, struct control_request *request)
{
	const struct sentry_request *head = &request->head;
	int r;

	switch (head->type) {
	case SENTRY_START:
		r = member_start(c->member);
		break;
	case SENTRY_EXEC:
		return client_exec(c, request);
	case SENTRY_FREEZE:
		return do_freeze(c, request);
	case SENTRY_NURSERY:
		return client_nursery(c);
	case SENTRY_CREATE:
		return client_create(c, request);
	case SENTRY_PLACED:
		r = client_placed(c);
		break;
	case SENTRY_SIGNAL:
		r = do_signal(c, head);
		break;
	case SENTRY_WAIT:
		return do_wait(c);
	case SENTRY_RESIZE:
		r = do_resize(c);
		break;
	case SENTRY_STATS:
		return client_stats(c);
	case SENTRY_PS:
		return client_ps(c);
	case SENTRY_UPDATE:
		r = do_update(c->member, request);
		break;
	case SENTRY_DEBUG:
		return head->value == SENTRY_DEBUG_EVENTS ? client_events(c, head->flags)
							  : client_debug(c, head->value);
	case SENTRY_SHUTDOWN:
		member_kill(c->member);
		r = 0;
		break;
	default:
		return -EPROTO;
	}
	return client_answer(c, head->type, 0, r, NULL);
}

/* ---- Connections ---- */

static void on_client(struct kloop_fd *source, uint32_t events)
{
	struct client *c = container_of(source, struct client, source);

	c->readable = c->readable || events & (EPOLLIN | EPOLLHUP | EPOLLERR);
	c->writable = c->writable || events & (EPOLLOUT | EPOLLHUP | EPOLLERR);
	waitq_wake(&c->changed, WAIT_ALL);
}

/* The descriptors found no room here, and are closed. 0: go on with the connection. */
static int refuse(struct client *c, const char *message)
{
	struct sentry_request head;
	struct err err = { 0 };
	int r;

	memcpy(&head, message, sizeof(head));
	r = err_sys(&err, -EMFILE, "descriptors of the request");
	return client_answer(c, head.type, 0, full_explain(NULL, r, &err), &err);
}

/* One message: 1, 0 at the end, -errno; -EMFILE: only its bytes are there. */
static int receive(struct client *c, char *message, struct control_request *ret)
{
	size_t tail_len;
	ssize_t n;

	memset(message, 0, sizeof(ret->head));
	for (;;) {
		ret->fds_len = SENTRY_REQUEST_FDS;
		n = fd_recv(c->source.host_fd, message, REQUEST_BYTES_MAX, ret->fds, &ret->fds_len);
		if (n != -EAGAIN)
			break;
		c->readable = false;
		WAIT_EVENT_ALWAYS(&c->changed, c->readable);
	}
	if (n <= 0) {
		ret->fds_len = 0;
		return (int)n;
	}
	if (sentry_request_decode(message, (size_t)n, &ret->head, &ret->tail, &tail_len) < 0)
		return -EPROTO;
	return ret->fds_len > 0 && ret->head.type != SENTRY_EXEC &&
			       ret->head.type != SENTRY_CREATE && ret->head.type != SENTRY_FREEZE
		       ? -EPROTO
		       : 1;
}

static void drop_descriptors(struct control_request *request)
{
	for (size_t i = 0; i < request->fds_len; i++)
		auto_close_p(&request->fds[i]);
	request->fds_len = 0;
}

struct client *client_ref(struct client *c)
{
	c->refs++;
	return c;
}

void client_unref(struct client *c)
{
	if (--c->refs)
		return;
	kloop_remove(&c->source);
	(void)close(c->source.host_fd);
	if (c->terminal)
		terminal_end(c->terminal);
	member_unref(c->member);
	free(c);
}

/* Whose own place a connection has that is kept: of what it made, while that is there. */
static struct member *place_of(const struct client *c)
{
	return c->made ? c->made : c->member;
}

void client_set_made(struct client *c, struct member *made)
{
	place_of(c)->clients_kept -= c->kept;
	c->made = made;
	place_of(c)->clients_kept += c->kept;
}

/* The peer is gone: so is the process that it asked for. */
static void client_close(struct client *c)
{
	struct task *process = TAKE_PTR(c->process);

	list_del(&c->node);
	if (c->kept)
		place_of(c)->clients_kept--;
	else
		shared_len--;
	let_go(c);
	if (c->freezes && --c->member->askers == 0)
		(void)member_follow(c->member);
	if (c->nursery)
		platform->nursery_free(TAKE_PTR(c->nursery));
	if (c->made) {
		c->made->maker = NULL;
		member_kill(TAKE_PTR(c->made));
	}
	if (process) {
		process->tg->on_exit = NULL;
		(void)signal_send_group(process->tg, SIGKILL, NULL);
		task_unref(process);
	}
	client_unref(c);
}

static void client_main(void *arg)
{
	struct client *c = arg;
	char message[REQUEST_BYTES_MAX] __attribute__((aligned(8)));
	struct control_request request = { .fds_len = 0 };
	int r;

	do {
		r = receive(c, message, &request);
		if (r == -EMFILE)
			r = refuse(c, message) < 0 ? -EPIPE : 1;
		else if (r > 0)
			r = serve_request(c, &request) < 0 ? -EPIPE : 1;
		drop_descriptors(&request);
	} while (r > 0);
	client_close(c);
}

static bool peer_is_known(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == owner || peer.uid == 0);
}

/* Its room is that of a fresh socket's buffer. */
static void turn_away(const struct member *m, int fd)
{
	struct sentry_reply reply = { .type = SENTRY_REFUSED, .error = -EAGAIN };
	struct err err = { 0 };
	struct iovec iov[] = { { &reply, sizeof(reply) }, { err.msg, 0 } };
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	(void)err_set(&err, -EAGAIN,
		      "sandbox %s has all %u connections that it may have, and %u more of "
		      "container %s",
		      sandbox.description->id, SENTRY_CLIENTS_MAX, SENTRY_CLIENTS_KEPT,
		      m->description->id);
	iov[1].iov_len = strlen(err.msg);
	(void)sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void add_client(struct member *m, int fd)
{
	const bool kept = shared_len >= SENTRY_CLIENTS_MAX;
	struct client *c = NULL;

	if (!peer_is_known(fd))
		;
	else if (kept && m->clients_kept >= SENTRY_CLIENTS_KEPT)
		turn_away(m, fd);
	else
		c = calloc(1, sizeof(*c));
	if (!c) {
		(void)close(fd);
		return;
	}
	c->source = (struct kloop_fd){ .host_fd = fd, .fn = on_client };
	waitq_init(&c->changed);
	c->refs = 1;
	c->member = member_ref(m);
	if (kloop_add(&c->source, EPOLLIN | EPOLLOUT | EPOLLET) < 0) {
		(void)close(fd);
		member_unref(m);
		free(c);
		return;
	}
	list_add_tail(&c->node, &clients);
	c->kept = kept;
	if (kept)
		m->clients_kept++;
	else
		shared_len++;
	if (fiber_spawn("control", client_main, c, NULL) < 0)
		client_close(c);
}

static void on_rested(struct ktimer *timer)
{
	struct member *m;

	(void)timer;
	list_for_each(m, &members, node)
	{
		if (m->listener.host_fd >= 0)
			(void)kloop_modify(&m->listener, EPOLLIN);
	}
}

/* More wait in the socket's queue. */
static void on_connection(struct kloop_fd *source, uint32_t events)
{
	struct member *m = container_of(source, struct member, listener);

	(void)events;
	for (;;) {
		const int fd = accept4(source->host_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			add_client(m, fd);
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR && errno != ECONNABORTED)
			break;
	}
	/* No descriptor, or no memory: it would be told again at once. */
	(void)kloop_modify(source, 0);
	ktimer_arm(&rest, nsec_add(kclock_monotonic(), REST_NS));
}

/* ---- Signals of our own process ---- */

static void on_signal(struct kloop_fd *source, uint32_t events)
{
	struct signalfd_siginfo info[8];
	ssize_t n;

	(void)events;
	while ((n = read(source->host_fd, info, sizeof(info))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(info[0]); i++) {
			struct thread_group *tg = sandbox.ended ? NULL : sandbox.init->tg;
			const int sig = (int)info[i].ssi_signo;

			/* The host's terminal is raw: its window changes, or it hangs up. */
			if (sig == SIGWINCH && info[i].ssi_code == SI_KERNEL)
				terminal_resize(sandbox.terminal);
			else if (tg)
				(void)signal_send_group(tg, sig, NULL);
		}
	}
}

static int start_signals(struct err *err)
{
	if (signals.host_fd < 0)
		return err_set(err, -EMFILE, "there is no signalfd");
	signals.fn = on_signal;
	return kloop_add(&signals, EPOLLIN) < 0 ? err_sys(err, -ENOMEM, "wait for signals") : 0;
}

int control_listen(struct member *m, int fd, struct err *err)
{
	int r;

	m->listener = (struct kloop_fd){ .host_fd = fd, .fn = on_connection };
	r = kloop_add(&m->listener, EPOLLIN);
	if (r < 0)
		m->listener.host_fd = -EBADF;
	return r < 0 ? err_sys(err, r, "control socket") : 0;
}

int control_start(int listen_fd, struct err *err)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	const int flags = fcntl(listen_fd, F_GETFL);
	int r;

	list_init(&clients);
	ktimer_init(&rest, on_rested);
	/* Who made the pair of sockets is who made us. */
	if (getsockopt(SENTRY_FD_REPORT, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		owner = peer.uid;
	if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(err, -errno, "control socket");
	r = control_listen(&sandbox, listen_fd, err);
	return r < 0 ? r : start_signals(err);
}

void control_flush(void)
{
	const int code = exit_code_of(sandbox.wait_status);
	struct client *c;

	list_for_each(c, &clients, node)
	{
		if (c->waits && c->member == &sandbox)
			client_push(c,
				    &(struct sentry_reply){ .type = SENTRY_WAIT, .value = code });
		if (c->process || c->made)
			client_push(c, &(struct sentry_reply){ .type = SENTRY_EXITED,
							       .value = 128 + SIGKILL });
	}
}

void control_end(struct member *m)
{
	const struct sentry_reply reply = { .type = SENTRY_WAIT,
					    .value = exit_code_of(m->wait_status) };
	struct client *c;

	if (m->listener.host_fd >= 0) {
		kloop_remove(&m->listener);
		(void)close(m->listener.host_fd);
		m->listener.host_fd = -EBADF;
	}
	list_for_each(c, &clients, node)
	{
		if (c->member != m)
			continue;
		if (c->waits)
			client_push(c, &reply);
		/* Who has asked for an exec hears of its end, and goes by itself. */
		if (!c->process && c->refs == 1)
			(void)shutdown(c->source.host_fd, SHUT_RDWR);
	}
}
