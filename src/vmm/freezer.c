/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/freezer.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "vmm/channel.h"
#include "vmm/client.h"
#include "vmm/container.h"
#include "vmm/vm.h"

/* A cgroup that is gone says nothing, and its container ends. */
static bool file_says(const struct container *c)
{
	char word = 0;

	if (c->freezer < 0 || pread(c->freezer, &word, 1, 0) != 1)
		return c->frozen;
	return word == '1';
}

/* Who came last is first. */
static bool wanted(const struct container *c)
{
	const struct client *k =
		list_empty(&c->askers) ? NULL : list_first(&c->askers, struct client, asks);

	return k && k->wants != SENTRY_FREEZE_FOLLOW ? k->wants == SENTRY_FREEZE_HOLD
						     : file_says(c);
}

static void answer_all(const struct container *c, int error, const char *text)
{
	struct client *k;

	list_for_each(k, &c->askers, asks)
	{
		if (k->busy)
			client_answer(k, 0, error, text);
	}
}

static void settle(struct container *c);

/* What has failed is tried again when the next one asks, or goes. */
static void on_done(void *arg, int error, const void *text)
{
	struct container *c = arg;
	const bool asked = c->freezing == SENTRY_FREEZE_HOLD;

	c->freezing = SENTRY_FREEZE_FOLLOW;
	if (!error)
		c->frozen = asked;
	if (!error || wanted(c) != asked) {
		settle(c);
		return;
	}
	log_warning("container %s: it is to be %s, and is not: %s", c->id,
		    asked ? "paused" : "resumed", (const char *)text);
	answer_all(c, error, text);
}

static void settle(struct container *c)
{
	const struct agent_container request = { .id = c->id };
	struct channel_call call = { .request = &request, .fn = on_done, .arg = c };
	struct err err = { 0 };
	bool freeze;

	c->unsettled = false;
	if (c->freezing != SENTRY_FREEZE_FOLLOW)
		return;
	freeze = wanted(c);
	if (c->phase >= CONTAINER_ENDS || freeze == c->frozen) {
		answer_all(c, c->phase >= CONTAINER_ENDS ? -ESRCH : 0, "container not running");
		return;
	}
	c->unsettled = !channel_has_room(c->vm->channel);
	if (c->unsettled)
		return;
	call.call = freeze ? AGENT_PAUSE : AGENT_RESUME;
	if (channel_ask(c->vm->channel, &call, &err) < 0)
		answer_all(c, err.code, err.msg);
	else
		c->freezing = freeze ? SENTRY_FREEZE_HOLD : SENTRY_FREEZE_THAW;
}

int freezer_serve(struct client *k, struct request *request)
{
	struct container *c = k->container;

	if (request->head.value >= SENTRY_FREEZE_MAX || request->fds_len > 1)
		return -EPROTO;
	if (request->fds_len == 1) {
		auto_close_p(&c->freezer);
		c->freezer = TAKE_FD(request->fds[0]);
	}
	k->busy = true;
	k->wants = request->head.value;
	list_del(&k->asks);
	list_add(&k->asks, &c->askers);
	settle(c);
	return 0;
}

void freezer_forget(struct client *k)
{
	if (list_empty(&k->asks))
		return;
	list_del(&k->asks);
	settle(k->container);
}

void freezer_go_on(struct vm *vm)
{
	struct container *c;

	list_for_each(c, &vm->containers, node)
	{
		if (c->unsettled)
			settle(c);
	}
}
