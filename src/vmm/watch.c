/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the events say does not matter: the agent compares. They come in bursts, so that it is told
 * a little later; and once more when what its kernel remembers of names has passed its time.
 */
#include "vmm/watch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "vmm/channel.h"
#include "vmm/container.h"
#include "vmm/vm.h"

#define BURST_MS 20
#define AGAIN_MS 1500 /* attributes and names are trusted for a second (runtime/vm/files.c) */

struct watch {
	struct container *container;
	struct loop_source *source, *timer;
	int fd;	      /* owned */
	bool asked;   /* an answer is under way */
	bool changed; /* since it was asked */
	bool again;   /* the next time is the second look */
};

static void set_timer(struct watch *w, int ms)
{
	(void)loop_set_timer(w->timer, ms);
}

static void on_refreshed(void *arg, int error, const void *answer)
{
	struct watch *w = arg;

	w->asked = false;
	if (error)
		log_warning("container %s: volumes are not brought up to date: %s",
			    w->container->id, answer ? (const char *)answer : "");
	if (w->changed)
		set_timer(w, BURST_MS);
	else if (w->again)
		set_timer(w, AGAIN_MS);
}

static void on_timer(void *arg)
{
	struct watch *w = arg;
	const struct container *c = w->container;
	const struct agent_container request = { .id = c->id };
	const struct channel_call call = {
		.call = AGENT_REFRESH, .request = &request, .fn = on_refreshed, .arg = w
	};
	struct err err = { 0 };

	if (c->vm->phase == VM_ENDS || c->phase >= CONTAINER_ENDS)
		return;
	w->again = w->changed;
	w->changed = false;
	w->asked = c->phase != CONTAINER_NEW && channel_has_room(c->vm->channel) &&
		   channel_ask(c->vm->channel, &call, &err) == 0;
	if (w->asked)
		return;
	w->changed = true;
	set_timer(w, AGAIN_MS);
}

static void on_event(void *arg, int fd, uint32_t events)
{
	struct watch *w = arg;
	const bool first = !w->changed;
	char buffer[4096];

	(void)events;
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	w->changed = true;
	if (first && !w->asked)
		set_timer(w, BURST_MS);
}

int watch_start(struct container *c, int fd, struct err *err)
{
	struct watch *w = calloc(1, sizeof(*w));
	struct loop *loop = c->vm->loop;
	int r;

	if (!w) {
		(void)close(fd);
		return err_sys(err, -ENOMEM, "watch volumes");
	}
	*w = (struct watch){ .container = c, .fd = fd };
	c->watch = w;
	r = loop_add_timer(loop, -1, on_timer, w, &w->timer);
	if (r == 0)
		r = loop_add_fd(loop, fd, EPOLLIN, on_event, w, &w->source);
	return r < 0 ? err_sys(err, r, "watch volumes") : 0;
}

void watch_stop(struct container *c)
{
	struct watch *w = c->watch;

	if (!w)
		return;
	channel_disown(c->vm->channel, w);
	loop_remove(w->source);
	loop_remove(w->timer);
	(void)close(w->fd);
	free(w);
	c->watch = NULL;
}
