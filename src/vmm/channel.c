/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/log.h"
#include "vmm/boot.h"
#include "vmm/control.h"
#include "vmm/end.h"
#include "vmm/process.h"
#include "vmm/signals.h"
#include "vmm/vm.h"
#include "wire/agent_codec.h"

#define OWN_CALLS 8u /* of AGENT_PENDING_MAX, for what cannot wait */

#define OOM_LOGGED 8u /* a guest does not fill the log */

/*
 * A timer that fires so much too late was not asleep but stopped (the freezer, a suspended host):
 * the guest was, too.
 */
#define STOPPED_MS 2000

struct pending {
	uint32_t serial;
	enum agent_call call;
	int64_t deadline; /* clock_ms() */
	channel_answer_fn *fn;
	void *arg;
};

struct channel {
	struct vm *vm;
	struct mux *mux;
	struct loop_source *source, *timer;
	uint32_t events;   /* of the source */
	int64_t timer_due; /* 0: off */
	struct pending pending[AGENT_PENDING_MAX];
	unsigned int pending_len;
	struct channel_counts counts;
};

/* ---- Patience ---- */

static int limit_ms(const struct vm *vm, enum agent_call call)
{
	/* Hooks have timeouts of their own, or none. */
	if (call == AGENT_START && vm->head.flags & VMM_START_HOOKS)
		return VM_HOOKS_MS;
	return vm_limit_ms(vm, call == AGENT_CREATE ? VM_CREATE_MS : VM_ANSWER_MS);
}

/* Off when nothing is waited for: an idle machine wakes nobody. */
static void set_timer(struct channel *c)
{
	int64_t due = 0, left;

	for (unsigned int i = 0; i < c->pending_len; i++) {
		if (due == 0 || c->pending[i].deadline < due)
			due = c->pending[i].deadline;
	}
	if (due == c->timer_due)
		return;
	left = due - clock_ms();
	(void)loop_set_timer(c->timer, due == 0 ? -1 : left > 0 ? left : 0);
	c->timer_due = due;
}

static void on_timer(void *arg)
{
	struct channel *c = arg;
	const int64_t now = clock_ms();
	const bool stopped = now > c->timer_due + STOPPED_MS;
	struct err err = { 0 };

	c->timer_due = 0;
	if (end_has_failed(c->vm))
		return;
	for (unsigned int i = 0; i < c->pending_len; i++) {
		struct pending *p = &c->pending[i];

		if (stopped)
			p->deadline = now + limit_ms(c->vm, p->call);
		if (p->deadline > now)
			continue;
		(void)err_set(&err, -ETIMEDOUT, "the agent has not answered %s for %d ms",
			      agent_call_name(p->call), limit_ms(c->vm, p->call));
		end_failed(c->vm, &err);
		return;
	}
	set_timer(c);
}

/* ---- Calls ---- */

bool channel_has_room(const struct channel *c)
{
	return c->pending_len + OWN_CALLS < AGENT_PENDING_MAX;
}

void channel_disown(struct channel *c, const void *arg)
{
	for (unsigned int i = 0; i < c->pending_len; i++) {
		if (c->pending[i].arg == arg) {
			c->pending[i].fn = NULL;
			c->pending[i].arg = NULL;
		}
	}
}

int channel_ask(struct channel *c, const struct channel_call *call, struct err *err)
{
	AUTO_BUF struct buf body = { .max = AGENT_REQUEST_MAX };
	struct pending *p = &c->pending[c->pending_len];
	uint32_t serial;
	int r = 0;

	if (c->pending_len == AGENT_PENDING_MAX)
		return err_set(err, -EBUSY, "%s: %u calls of the agent are unanswered",
			       agent_call_name(call->call), AGENT_PENDING_MAX);
	if (!call->body)
		r = agent_request_encode(call->call, call->request, &body, err);
	if (r == 0)
		r = mux_ask(c->mux, call->call, call->body ? call->body : body.data,
			    call->body ? call->body_len : body.len, &serial, err);
	if (r < 0)
		return r;
	*p = (struct pending){ .serial = serial,
			       .call = call->call,
			       .deadline = clock_ms() + limit_ms(c->vm, call->call),
			       .fn = call->fn,
			       .arg = call->arg };
	c->pending_len++;
	c->counts.calls++;
	set_timer(c);
	return 0;
}

/* ---- What the agent says ---- */

union answer {
	struct agent_pid pid;
	struct agent_stats stats;
	struct agent_processes processes;
	struct agent_text text;
};

/* NULL for a call that is answered by nothing. */
static const void *decode(enum agent_call call, const void *body, size_t len, union answer *a,
			  struct err *err)
{
	const int r = agent_answer_decode(call, body, len, a, err);

	if (r < 0)
		return NULL;
	switch (call) {
	case AGENT_CREATE:
	case AGENT_EXEC:
	case AGENT_STATS:
	case AGENT_PS:
	case AGENT_DEBUG:
		return a;
	default:
		return NULL;
	}
}

static void on_answer(void *arg, uint32_t serial, enum agent_call call, int error, const void *body,
		      size_t len)
{
	struct channel *c = arg;
	struct pending p = { .serial = 0 };
	struct err err = { 0 };
	union answer answer;
	const void *value = body;
	unsigned int i = 0;

	if (end_has_failed(c->vm))
		return;
	c->counts.answers++;
	while (i < c->pending_len && c->pending[i].serial != serial)
		i++;
	if (i == c->pending_len || c->pending[i].call != call) {
		(void)err_set(&err, -EPROTO, "the agent answered what nobody had asked");
		end_failed(c->vm, &err);
		return;
	}
	p = c->pending[i];
	c->pending[i] = c->pending[--c->pending_len];
	set_timer(c);
	if (error == 0)
		value = decode(call, body, len, &answer, &err);
	if (err.code) {
		end_failed(c->vm, &err);
		return;
	}
	if (p.fn)
		p.fn(p.arg, error, value);
	signals_go_on(c->vm);
	process_go_on(c->vm);
	control_go_on(c->vm);
}

static void on_hello(void *arg, const struct agent_hello *hello)
{
	struct channel *c = arg;

	if (!end_has_failed(c->vm))
		boot_on_hello(c->vm, hello);
}

static void on_event(void *arg, enum agent_event event, const void *body, size_t len)
{
	struct channel *c = arg;
	union {
		struct agent_exited exited;
		struct agent_container container;
	} e;
	struct err err = { 0 };

	if (end_has_failed(c->vm))
		return;
	c->counts.events++;
	if (agent_event_decode(event, body, len, &e, &err) == 0) {
		if (event == AGENT_EXITED)
			(void)process_on_exited(c->vm, &e.exited, &err);
		else
			control_tell_oom(c->vm);
		if (event == AGENT_OOM && c->counts.oom_kills++ < OOM_LOGGED)
			log_warning("container %s: the kernel of its machine has killed a process "
				    "for want of memory: what the container may have "
				    "(linux.resources.memory.limit), or the machine's %llu MiB, "
				    "was too little",
				    c->vm->id, (unsigned long long)c->vm->memory >> 20);
	}
	if (err.code)
		end_failed(c->vm, &err);
}

static void on_data(void *arg, uint32_t stream, const void *bytes, size_t len)
{
	struct channel *c = arg;

	c->counts.frames_in++;
	c->counts.bytes_in += len;
	process_on_data(c->vm, stream, bytes, len);
}

static void on_end(void *arg, uint32_t stream, int error)
{
	struct channel *c = arg;

	process_on_end(c->vm, stream, error);
}

static void on_room(void *arg, uint32_t stream)
{
	struct channel *c = arg;

	process_on_room(c->vm, stream);
}

/* ---- The loop ---- */

static void on_poll(void *arg)
{
	struct channel *c = arg;
	uint32_t events;
	short want;

	if (!c->source)
		return;
	want = mux_events(c->mux);
	events =
		(want & POLLIN ? (uint32_t)EPOLLIN : 0) | (want & POLLOUT ? (uint32_t)EPOLLOUT : 0);
	if (events == c->events)
		return;
	if (loop_set_events(c->source, events) == 0)
		c->events = events;
}

static void on_ready(void *arg, int fd, uint32_t events)
{
	struct channel *c = arg;
	struct err err = { 0 };
	const short revents =
		(short)((events & EPOLLIN ? POLLIN : 0) | (events & EPOLLOUT ? POLLOUT : 0) |
			(events & EPOLLHUP ? POLLHUP : 0) | (events & EPOLLERR ? POLLERR : 0));
	const int r = mux_ready(c->mux, revents, &err);

	if (r == 0)
		return;
	/* Of no more use; nothing else is waited for on it. */
	loop_remove(c->source);
	c->source = NULL;
	if (r == -EPIPE)
		(void)err_set(&err, r, "the agent's channel has ended");
	if (r == -EPIPE || r == -ECONNRESET)
		end_lost(c->vm, &err);
	else
		end_failed(c->vm, &err);
}

int channel_new(struct vm *vm, int fd, struct channel **ret, struct err *err)
{
	static const struct mux_ops ops = {
		.hello = on_hello,
		.answer = on_answer,
		.event = on_event,
		.data = on_data,
		.end = on_end,
		.room = on_room,
		.poll = on_poll,
	};
	struct channel *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		(void)close(fd);
		return err_sys(err, -ENOMEM, "open the agent's channel");
	}
	c->vm = vm;
	r = mux_new(fd, MUX_HOST, &ops, c, &c->mux);
	if (r == 0)
		r = loop_add_fd(vm->loop, mux_fd(c->mux), EPOLLIN, on_ready, c, &c->source);
	if (r == 0)
		r = loop_add_timer(vm->loop, 0, on_timer, c, &c->timer);
	if (r == 0)
		r = loop_set_timer(c->timer, -1);
	if (r < 0) {
		channel_free(c);
		return err_sys(err, r, "open the agent's channel");
	}
	c->events = EPOLLIN;
	on_poll(c);
	*ret = c;
	return 0;
}

void channel_free(struct channel *c)
{
	if (!c)
		return;
	loop_remove(c->source);
	loop_remove(c->timer);
	mux_free(c->mux);
	free(c);
}

struct mux *channel_mux(struct channel *c)
{
	return c->mux;
}

const struct channel_counts *channel_counts(const struct channel *c)
{
	return &c->counts;
}
