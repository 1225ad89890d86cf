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
#include "vmm/container.h"
#include "vmm/control.h"
#include "vmm/end.h"
#include "vmm/freezer.h"
#include "vmm/forward.h"
#include "vmm/patience.h"
#include "vmm/process.h"
#include "vmm/signals.h"
#include "vmm/streams.h"
#include "vmm/vm.h"
#include "wire/agent_codec.h"

#define OWN_CALLS     8u  /* of AGENT_PENDING_MAX, for what cannot wait */
#define WAITING_CALLS 40u /* ... may wait for the container's files */

#define OOM_LOGGED 8u /* a guest does not fill the log */

#define TICK_FIRST_MS 1000 /* most answers have come by then */
#define TICK_MS	      250

struct pending {
	uint32_t serial;
	enum agent_call call;
	int64_t since;	/* clock_ms() */
	int64_t waited; /* what counts of the time since then (patience.h), ms */
	channel_answer_fn *fn;
	void *arg;
	bool cancelled; /* CANCEL is asked: from then on it has no more time than others */
};

struct channel {
	struct vm *vm;
	struct mux *mux;
	struct loop_source *source, *timer;
	uint32_t events;   /* of the source */
	int64_t timer_due; /* 0: off */
	int64_t counted;   /* clock_ms(): so far the patience is counted */
	int64_t cpu;	   /* of the monitor at that time */
	int64_t heard;	   /* clock_ms(): the agent's last answer */
	bool pinged;	   /* a PING is not answered */
	bool ends;	   /* the machine does (channel_hurry()) */
	struct pending pending[AGENT_PENDING_MAX];
	unsigned int pending_len;
	struct channel_counts counts;
};

/* ---- Patience ---- */

static bool is_over(const struct vm *vm, const struct pending *p, int64_t now)
{
	const int64_t limit = patience_limit_ms(p->call, p->cancelled, vm->channel->ends);

	return limit && (p->waited >= limit || now - p->since >= vm_limit_ms(vm, limit));
}

static void count(struct channel *c, int64_t now)
{
	/* Whoever comes first after a stop: the timer is late all the same. */
	const int64_t late = c->timer_due && now > c->timer_due ? now - c->timer_due : 0;
	const int64_t cpu = patience_cpu_ms(c->vm->head.qemu_pid);
	const struct patience_tick tick = { .wall_ms = now - c->counted,
					    .late_ms = late,
					    .cpu_ms = cpu < 0 || c->cpu < 0 ? -1 : cpu - c->cpu };
	const int64_t counts = patience_counts(&tick);

	for (unsigned int i = 0; i < c->pending_len; i++) {
		if (patience_was_stopped(&tick))
			c->pending[i].since = now;
		c->pending[i].waited += counts;
	}
	c->counted = now;
	c->cpu = cpu;
}

/* Off when nothing is waited for: an idle machine wakes nobody. */
static void set_timer(struct channel *c, int64_t ms)
{
	const int64_t now = clock_ms();

	if (c->pending_len == 0) {
		(void)loop_set_timer(c->timer, -1);
		c->timer_due = 0;
	} else if (c->timer_due == 0) {
		(void)loop_set_timer(c->timer, ms);
		c->timer_due = now + ms;
	}
}

static void ping(struct channel *c)
{
	const struct channel_call call = { .call = AGENT_PING };
	struct err ignored = { 0 };

	c->pinged = channel_ask(c, &call, &ignored) == 0;
}

static void on_timer(void *arg)
{
	struct channel *c = arg;
	const int64_t now = clock_ms();
	struct err err = { 0 };
	bool waits = false;

	if (end_has_failed(c->vm))
		return;
	count(c, now);
	for (unsigned int i = 0; i < c->pending_len; i++) {
		const struct pending *p = &c->pending[i];

		waits = waits || agent_call_waits(p->call);
		if (!is_over(c->vm, p, now))
			continue;
		(void)err_set(&err, -ETIMEDOUT, "the agent has not answered %s for %lld ms",
			      agent_call_name(p->call), (long long)(now - p->since));
		end_failed(c->vm, &err);
		return;
	}
	c->timer_due = 0;
	set_timer(c, TICK_MS);
	if (waits && !c->pinged && now - c->heard >= VM_QUIET_MS)
		ping(c);
}

/* ---- Calls ---- */

bool channel_has_room(const struct channel *c)
{
	return c->pending_len + OWN_CALLS < AGENT_PENDING_MAX;
}

bool channel_may_wait(const struct channel *c)
{
	unsigned int waiting = 0;

	for (unsigned int i = 0; i < c->pending_len; i++)
		waiting += agent_call_waits(c->pending[i].call);
	return waiting < WAITING_CALLS && channel_has_room(c);
}

static bool can_cancel(const struct pending *p)
{
	return (p->call == AGENT_EXEC || p->call == AGENT_UPDATE) && !p->cancelled;
}

bool channel_cancel(struct channel *c, const void *arg)
{
	struct agent_cancel request = { 0 };
	const struct channel_call call = { .call = AGENT_CANCEL, .request = &request };
	struct pending *p = NULL;
	struct err err = { 0 };

	for (unsigned int i = 0; i < c->pending_len; i++) {
		if (c->pending[i].arg == arg && can_cancel(&c->pending[i]))
			p = &c->pending[i];
	}
	if (!p)
		return true;
	if (!channel_has_room(c))
		return false;
	request.serial = p->serial;
	if (channel_ask(c, &call, &err) < 0) {
		log_warning("container %s: cancel %s: %s", c->vm->id, agent_call_name(p->call),
			    err.msg);
		return false;
	}
	p->cancelled = true;
	p->since = c->counted;
	p->waited = 0;
	return true;
}

void channel_hurry(struct channel *c)
{
	count(c, clock_ms());
	c->ends = true;
	for (unsigned int i = 0; i < c->pending_len; i++) {
		if (c->pending[i].call != AGENT_DELETE)
			continue;
		c->pending[i].since = c->counted;
		c->pending[i].waited = 0;
	}
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
	/* What is asked later does not answer for what has passed. */
	count(c, clock_ms());
	if (c->pending_len == 0)
		c->heard = c->counted;
	*p = (struct pending){ .serial = serial,
			       .call = call->call,
			       .since = c->counted,
			       .fn = call->fn,
			       .arg = call->arg };
	c->pending_len++;
	c->counts.calls++;
	set_timer(c, TICK_FIRST_MS);
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

	if (end_is_known(c->vm))
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
	c->heard = clock_ms();
	c->pinged = c->pinged && call != AGENT_PING;
	set_timer(c, TICK_MS);
	if (error == 0)
		value = decode(call, body, len, &answer, &err);
	if (err.code) {
		end_failed(c->vm, &err);
		return;
	}
	if (p.fn)
		p.fn(p.arg, error, value);
	container_go_on(c->vm);
	freezer_go_on(c->vm);
	signals_go_on(c->vm);
	process_go_on(c->vm);
	control_go_on(c->vm);
	forward_go_on(c->vm);
}

static void on_hello(void *arg, const struct agent_hello *hello)
{
	struct channel *c = arg;

	if (!end_is_known(c->vm))
		boot_on_hello(c->vm, hello);
}

static int take_oom(struct channel *c, const char *id, struct err *err)
{
	const struct container *container = container_find(c->vm, id);

	if (!container)
		return err_set(err, -EPROTO,
			       "the agent tells a lack of memory of a container that is none");
	if (c->counts.oom_kills++ < OOM_LOGGED)
		log_warning("container %s: the kernel of its machine has killed a process for want "
			    "of memory: what the container may have "
			    "(linux.resources.memory.limit), or the machine's %llu MiB, was too "
			    "little",
			    container->id, (unsigned long long)c->vm->memory >> 20);
	control_tell_oom(container);
	return 0;
}

static void on_event(void *arg, enum agent_event event, const void *body, size_t len)
{
	struct channel *c = arg;
	union {
		struct agent_exited exited;
		struct agent_container container;
	} e;
	struct err err = { 0 };

	if (end_is_known(c->vm))
		return;
	c->counts.events++;
	if (agent_event_decode(event, body, len, &e, &err) == 0) {
		if (event == AGENT_EXITED)
			(void)process_on_exited(c->vm, &e.exited, &err);
		else
			(void)take_oom(c, e.container.id, &err);
	}
	if (err.code)
		end_failed(c->vm, &err);
}

static void on_data(void *arg, uint32_t stream, const void *bytes, size_t len)
{
	struct channel *c = arg;

	c->counts.frames_in++;
	c->counts.bytes_in += len;
	stream_on_data(stream, bytes, len);
}

static void on_end(void *arg, uint32_t stream, int error)
{
	(void)arg;
	stream_on_end(stream, error);
}

static void on_room(void *arg, uint32_t stream)
{
	(void)arg;
	stream_on_room(stream);
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
