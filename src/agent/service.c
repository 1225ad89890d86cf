/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's side of the channel: requests to functions, their results to answers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "agent/agent.h"
#include "agent/container.h"
#include "agent/forward.h"
#include "agent/network.h"
#include "agent/worker.h"
#include "base/buf.h"
#include "base/log.h"

union request {
	struct agent_container container;
	struct agent_create create;
	struct agent_exec exec;
	struct agent_signal signal;
	struct agent_resize resize;
	struct agent_update update;
	struct agent_network network;
	struct agent_online online;
	struct agent_reset reset;
	struct agent_debug debug;
	struct agent_cancel cancel;
	struct agent_forward forward;
};

void agent_answer(struct agent *a, uint32_t serial, enum agent_call call, int r, const void *body,
		  const struct err *err)
{
	AUTO_BUF struct buf b = { .max = AGENT_ANSWER_MAX };
	struct err problem = { 0 };

	/* Nobody listens yet (warm.c). */
	if (!a->mux)
		return;
	if (r == 0) {
		r = agent_answer_encode(call, body, &b, &problem);
		err = &problem;
	}
	if (r == 0)
		r = mux_answer(a->mux, serial, call, 0, b.data, b.len);
	else
		r = mux_answer(a->mux, serial, call, r, err->msg, strlen(err->msg) + 1);
	if (r < 0)
		log_error("answer %s: %s", agent_call_name(call), strerrordesc_np(-r));
}

void agent_tell(struct agent *a, enum agent_event event, const void *body)
{
	AUTO_BUF struct buf b = { .max = AGENT_ANSWER_MAX };
	struct err problem = { 0 };
	int r;

	/* Nobody listens yet (warm.c). */
	if (!a->mux)
		return;
	r = agent_event_encode(event, body, &b, &problem);

	if (r == 0)
		r = mux_tell(a->mux, event, b.data, b.len);
	if (r < 0)
		log_error("tell %s: %s", agent_event_name(event), strerrordesc_np(-r));
}

static void on_hello(void *arg, const struct agent_hello *host)
{
	struct agent *a = arg;
	struct agent_hello hello = { .kernel_ns = a->kernel_ns, .agent_ns = agent_clock_ns() };
	struct utsname name;
	int r;

	(void)host;
	process_forget_streams(a);
	forward_forget(a);
	if (uname(&name) == 0)
		(void)snprintf(hello.release, sizeof(hello.release), "%.63s", name.release);
	r = mux_greet(a->mux, &hello);
	if (r < 0)
		log_error("answer HELLO: %s", strerrordesc_np(-r));
}

/* ---- Calls that have an answer with a body, or none at once --------------------------------- */

static int answer_stats(struct agent *a, uint32_t serial, const struct container *c,
			struct err *err)
{
	struct agent_stats stats;
	const int r = container_stats(c, &stats, err);

	if (r < 0)
		return r;
	agent_answer(a, serial, AGENT_STATS, 0, &stats, NULL);
	return 1;
}

static int answer_debug(struct agent *a, uint32_t serial, const struct agent_debug *call,
			struct err *err)
{
	AUTO_BUF struct buf text = { .max = AGENT_DEBUG_MAX - 1 };
	const int r = machine_debug(a, call->what, &text, err);
	const struct agent_text answer = { .text = text.data ? text.data : "" };

	if (r < 0)
		return r;
	agent_answer(a, serial, AGENT_DEBUG, 0, &answer, NULL);
	return 1;
}

static int signal_container(struct container *c, uint32_t serial, const struct agent_signal *call,
			    struct err *err)
{
	struct process *p;

	if (call->flags & SENTRY_SIGNAL_ALL)
		return container_signal_all(c, serial, (int)call->signal, err);
	p = process_find(c->agent, c, call->pid);
	if (!p)
		return err_set(err, -ESRCH, "container %s has no process %d", c->id,
			       (int)call->pid);
	return process_signal(p, (int)call->signal, call->flags & SENTRY_SIGNAL_TTY, err);
}

static int resize(struct container *c, const struct agent_resize *call, struct err *err)
{
	struct process *p = process_find(c->agent, c, call->pid);

	if (!p)
		return err_set(err, -ESRCH, "container %s has no process %d", c->id,
			       (int)call->pid);
	return process_resize(p, call->rows, call->cols, err);
}

/* ---- Dispatch ------------------------------------------------------------------------------- */

/* The id is the first field of every struct of a call that concerns a container. */
static struct container *container_of_call(const struct agent *a, const union request *q,
					   struct err *err)
{
	return container_find(a, q->container.id, err);
}

/* 0: answer without a body; 1: answered, now or later; -errno. */
static int serve_container(struct agent *a, uint32_t serial, enum agent_call call,
			   const union request *q, struct err *err)
{
	struct container *c = container_of_call(a, q, err);

	if (!c)
		return -ENOENT;
	if (c->deleting)
		return err_set(err, -ESRCH, "container %s has ended", c->id);
	switch (call) {
	case AGENT_START:
		return container_start(c, serial, err);
	case AGENT_EXEC:
		return container_exec(c, serial, &q->exec, err);
	case AGENT_SIGNAL:
		return signal_container(c, serial, &q->signal, err);
	case AGENT_RESIZE:
		return resize(c, &q->resize, err);
	case AGENT_UPDATE:
		return container_update(c, serial, &q->update, err);
	case AGENT_STATS:
		return answer_stats(a, serial, c, err);
	case AGENT_PS:
		return container_ps(c, serial, err);
	case AGENT_PAUSE:
	case AGENT_RESUME:
		return container_freeze(c, serial, call, err);
	case AGENT_DELETE:
		return container_delete(c, serial, err);
	case AGENT_REFRESH:
		return container_refresh(c, err);
	case AGENT_FORWARD:
		return forward_begin(c, serial, &q->forward, err);
	default:
		return err_set(err, -ENOSYS, "call %s is not known", agent_call_name(call));
	}
}

/* Set, and kept for a container that has a network namespace of its own. */
static int take_network(struct agent *a, const struct agent_network *network, const void *body,
			size_t len, struct err *err)
{
	int r = agent_network_apply(network, err);

	if (r < 0)
		return r;
	buf_done(&a->network);
	r = buf_append(&a->network, body, len);
	return r < 0 ? err_sys(err, r, "network") : 0;
}

static int serve(struct agent *a, uint32_t serial, enum agent_call call, const union request *q,
		 struct err *err)
{
	switch (call) {
	case AGENT_PING:
		return 0;
	case AGENT_CANCEL:
		worker_cancel(a, AGENT_CREATE, q->cancel.serial);
		worker_cancel(a, AGENT_EXEC, q->cancel.serial);
		worker_cancel(a, AGENT_UPDATE, q->cancel.serial);
		return 0;
	case AGENT_CREATE:
		return container_create(a, serial, &q->create, err);
	case AGENT_ONLINE:
		return machine_online(&q->online, err);
	case AGENT_RESET:
		return machine_reset(&q->reset, err);
	case AGENT_DEBUG:
		return answer_debug(a, serial, &q->debug, err);
	case AGENT_SHUTDOWN:
		a->ended = true;
		return 0;
	default:
		return serve_container(a, serial, call, q, err);
	}
}

static void on_request(void *arg, uint32_t serial, enum agent_call call, const void *body,
		       size_t len)
{
	AUTO_FREE union request *q = calloc(1, sizeof(*q));
	struct agent *a = arg;
	struct err err = { 0 };
	int r = q ? agent_request_decode(call, body, len, q, &err)
		  : err_sys(&err, -ENOMEM, "%s", agent_call_name(call));

	if (r == 0)
		r = call == AGENT_NETWORK ? take_network(a, &q->network, body, len, &err)
					  : serve(a, serial, call, q, &err);
	if (r <= 0)
		agent_answer(a, serial, call, r, NULL, &err);
}

/* ---- Streams -------------------------------------------------------------------------------- */

static void on_data(void *arg, uint32_t stream, const void *bytes, size_t len)
{
	struct pump *pump = NULL;

	if (process_of_stream(arg, stream, &pump) || forward_of_stream(arg, stream, &pump))
		pump_data(pump, bytes, len);
}

static void on_end(void *arg, uint32_t stream, int error)
{
	struct pump *pump = NULL;
	struct forward *forward = forward_of_stream(arg, stream, &pump);

	if (forward)
		forward_end(forward, pump, error);
	else if (process_of_stream(arg, stream, &pump))
		pump_end(pump, error);
}

static void on_room(void *arg, uint32_t stream)
{
	const struct agent *a = arg;
	struct pump *pump = NULL;

	if (stream && (process_of_stream(a, stream, &pump) || forward_of_stream(a, stream, &pump)))
		pump_room(pump);
	if (stream)
		return;
	process_room(a);
	forward_room(a);
}

/* The mux has other events. */
static void on_poll(void *arg)
{
	struct agent *a = arg;

	if (a->channel)
		(void)loop_set_events(a->channel, (uint32_t)mux_events(a->mux));
}

const struct mux_ops agent_mux_ops = {
	.hello = on_hello,
	.request = on_request,
	.data = on_data,
	.end = on_end,
	.room = on_room,
	.poll = on_poll,
};
