/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the control server that are one question to the agent, or none. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "vmm/channel.h"
#include "vmm/client.h"
#include "vmm/container.h"
#include "vmm/freezer.h"
#include "vmm/member.h"
#include "vmm/process.h"
#include "vmm/resize.h"
#include "vmm/text.h"
#include "vmm/vm.h"
#include "wire/agent_codec.h"

#define SIGNAL_MAX 64u
#define PS_BATCH   ((SENTRY_FRAME_MAX - sizeof(struct sentry_reply)) / sizeof(struct sentry_ps))

static bool is_request(uint32_t type)
{
	return (type >= SENTRY_START && type < SENTRY_EXITED) ||
	       (type >= VMM_JOIN && type < VMM_REQUESTS);
}

int request_decode(const void *message, size_t len, struct request *ret)
{
	struct sentry_request *head = &ret->head;
	uint32_t flags = 0;

	if (len < sizeof(*head) || len > SENTRY_FRAME_MAX)
		return -EPROTO;
	memcpy(head, message, sizeof(*head));
	ret->tail = (const char *)message + sizeof(*head);
	ret->tail_len = len - sizeof(*head);
	if (head->version != SENTRY_MSG_VERSION || head->reserved != 0 || !is_request(head->type) ||
	    head->pid < 0)
		return -EPROTO;
	if (head->type == SENTRY_SIGNAL)
		flags = SENTRY_SIGNAL_ALL | SENTRY_SIGNAL_TTY;
	if (head->type == SENTRY_EXEC || head->type == VMM_JOIN)
		flags = VMM_INPUT_WAITS;
	if (head->flags & ~flags)
		return -EPROTO;
	return head->type != SENTRY_UPDATE && ret->tail_len ? -EPROTO : 0;
}

/* ---- Answers ---- */

static void on_done(void *arg, int error, const void *answer)
{
	struct client *c = arg;

	client_answer(c, 0, error, error ? answer : NULL);
}

static void on_started(void *arg, int error, const char *text)
{
	client_answer(arg, 0, error, text);
}

static void on_resized(void *arg, int error, const char *text)
{
	client_answer(arg, 0, error, text);
}

static void on_stats(void *arg, int error, const void *answer)
{
	struct client *c = arg;
	const struct sentry_reply reply = { .type = SENTRY_STATS, .count = 1 };

	if (error) {
		client_answer(c, 0, error, answer);
		return;
	}
	client_send(c, &reply, answer, sizeof(struct agent_stats));
	c->busy = false;
}

/* Text of the guest: nothing in it moves a terminal's cursor, and no number is below 0. */
static void clean(struct sentry_ps *item)
{
	struct sentry_ps copy = *item;

	text_printable(item->comm, sizeof(item->comm), copy.comm, sizeof(copy.comm));
	text_printable(item->command, sizeof(item->command), copy.command, sizeof(copy.command));
	item->pid = copy.pid < 0 ? 0 : copy.pid;
	item->ppid = copy.ppid < 0 ? 0 : copy.ppid;
	item->state = copy.state >= 'A' && copy.state <= 'Z' ? copy.state : '?';
}

static void on_processes(void *arg, int error, const void *answer)
{
	static struct sentry_ps batch[PS_BATCH];
	struct client *c = arg;
	const struct agent_processes *all = answer;
	struct sentry_reply reply = { .type = SENTRY_PS };
	uint32_t at = 0;

	if (error) {
		client_answer(c, 0, error, answer);
		return;
	}
	while (at < all->len) {
		reply.count = all->len - at < PS_BATCH ? all->len - at : (uint32_t)PS_BATCH;
		memcpy(batch, (const char *)all->items + at * sizeof(batch[0]),
		       reply.count * sizeof(batch[0]));
		for (uint32_t i = 0; i < reply.count; i++)
			clean(&batch[i]);
		client_send(c, &reply, batch, reply.count * sizeof(batch[0]));
		at += reply.count;
	}
	reply.count = 0;
	client_send(c, &reply, NULL, 0);
	c->busy = false;
}

/* ---- Questions ---- */

static int ask(struct client *c, enum agent_call call, const void *request, channel_answer_fn *fn)
{
	const struct channel_call what = { .call = call, .request = request, .fn = fn, .arg = c };
	struct err err = { 0 };

	c->busy = true;
	if (channel_ask(c->vm->channel, &what, &err) < 0)
		client_answer(c, 0, err.code, err.msg);
	return 0;
}

/* The process that a request means: of its number, of the connection's EXEC, the first. */
static struct process *process_of(const struct client *c, int32_t pid)
{
	if (pid)
		return process_find(c->vm, pid);
	return c->is_exec ? c->process : c->container->init;
}

static int refuse(struct client *c, int error, const char *text)
{
	client_answer(c, 0, error, text);
	return 0;
}

/* Of a pid that the supervisor does not know (as ps tells them) the agent knows better. */
static int do_signal(struct client *c, const struct sentry_request *head)
{
	struct agent_signal request = { .id = c->container->id,
					.pid = head->pid,
					.signal = head->value,
					.flags = head->flags };

	if (head->value > SIGNAL_MAX)
		return refuse(c, -EINVAL, NULL);
	if (!head->pid && !(head->flags & SENTRY_SIGNAL_ALL)) {
		const struct process *p = process_of(c, 0);

		if (!p || p->exited)
			return refuse(c, -ESRCH, NULL);
		request.pid = p == c->container->init ? 0 : p->pid;
	}
	return ask(c, AGENT_SIGNAL, &request, on_done);
}

static int do_resize(struct client *c, const struct sentry_request *head)
{
	const struct process *p = process_of(c, head->pid);
	struct agent_resize request = { .id = c->container->id,
					.rows = head->value >> 16,
					.cols = head->value & 0xffff };
	int r = p && p->pid && !p->exited ? 0 : -ESRCH;

	if (r == 0 && head->value == 0)
		r = process_terminal_size(p, &request.rows, &request.cols);
	if (r < 0)
		return refuse(c, r, NULL);
	request.pid = p == c->container->init ? 0 : p->pid;
	return ask(c, AGENT_RESIZE, &request, on_done);
}

static int do_update(struct client *c, const struct request *request)
{
	struct vmm_update size;
	struct err err = { 0 };

	if (request->tail_len < sizeof(size))
		return -EPROTO;
	memcpy(&size, request->tail, sizeof(size));
	c->busy = true;
	if (resize_begin(c->container, &size, request->tail + sizeof(size),
			 request->tail_len - sizeof(size), on_resized, c, &err) < 0)
		return refuse(c, err.code, err.msg);
	return 0;
}

static int do_start(struct client *c)
{
	struct err err = { 0 };

	c->busy = true;
	if (container_start(c->container, on_started, c, &err) < 0)
		return refuse(c, err.code, err.msg);
	return 0;
}

/*
 * control_flush() answers; until then the connection is read on, so that a peer that goes is
 * noticed.
 */
static int do_wait(struct client *c, const struct sentry_request *head)
{
	if (head->pid && (!c->container->init || head->pid != c->container->init->pid))
		return refuse(c, -ESRCH, NULL);
	c->waits = true;
	return 0;
}

static int do_shutdown(struct client *c)
{
	const struct agent_signal request = { .id = c->container->id, .signal = SIGKILL };

	return ask(c, AGENT_SIGNAL, &request, on_done);
}

int request_serve(struct client *c, struct request *request)
{
	const struct agent_container container = { .id = c->container->id };
	const struct sentry_request *head = &request->head;

	if (c->container->phase == CONTAINER_OVER)
		return refuse(c, -ESRCH, "container not running");
	switch (head->type) {
	case SENTRY_START:
		return do_start(c);
	case SENTRY_EXEC:
		return client_exec(c, request);
	case SENTRY_SIGNAL:
		return do_signal(c, head);
	case SENTRY_WAIT:
		return do_wait(c, head);
	case SENTRY_RESIZE:
		return do_resize(c, head);
	case SENTRY_STATS:
		return ask(c, AGENT_STATS, &container, on_stats);
	case SENTRY_PS:
		return ask(c, AGENT_PS, &container, on_processes);
	case SENTRY_UPDATE:
		return do_update(c, request);
	case SENTRY_DEBUG:
		return client_debug(c, head->value);
	case SENTRY_SHUTDOWN:
		return do_shutdown(c);
	case VMM_JOIN:
		return client_join(c, request);
	case VMM_SHARE:
		return client_share(c);
	case VMM_FREEZE:
		return freezer_serve(c, request);
	default:
		return -EPROTO;
	}
}
