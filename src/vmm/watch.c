/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the events say does not matter: the agent compares. They come in bursts, so that it is told
 * a little later; and once more when what its kernel remembers of names has passed its time.
 */
#include "vmm/watch.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "vmm/channel.h"

#define BURST_MS 20
#define AGAIN_MS 1500 /* attributes and names are trusted for a second (runtime/vm/files.c) */

static struct {
	struct loop_source *source, *timer;
	bool asked;   /* an answer is under way */
	bool changed; /* since it was asked */
	bool again;   /* the next time is the second look */
} watch;

static void set_timer(int ms)
{
	(void)loop_set_timer(watch.timer, ms);
}

static void on_refreshed(void *arg, int error, const void *answer)
{
	const struct vm *vm = arg;

	watch.asked = false;
	if (error)
		log_warning("container %s: volumes are not brought up to date: %s", vm->id,
			    answer ? (const char *)answer : "");
	if (watch.changed)
		set_timer(BURST_MS);
	else if (watch.again)
		set_timer(AGAIN_MS);
}

static void on_timer(void *arg)
{
	struct vm *vm = arg;
	const struct agent_container request = { .id = vm->id };
	const struct channel_call call = {
		.call = AGENT_REFRESH, .request = &request, .fn = on_refreshed, .arg = vm
	};
	struct err err = { 0 };

	if (vm->phase == VM_ENDS)
		return;
	watch.again = watch.changed;
	watch.changed = false;
	watch.asked = channel_has_room(vm->channel) && channel_ask(vm->channel, &call, &err) == 0;
	if (watch.asked)
		return;
	watch.changed = true;
	set_timer(AGAIN_MS);
}

static void on_event(void *arg, int fd, uint32_t events)
{
	const bool first = !watch.changed;
	char buffer[4096];

	(void)arg;
	(void)events;
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	watch.changed = true;
	if (first && !watch.asked)
		set_timer(BURST_MS);
}

int watch_start(struct vm *vm, struct err *err)
{
	int r = 0;

	if (!(vm->head.flags & VMM_WATCHES))
		return 0;
	r = loop_add_timer(vm->loop, -1, on_timer, vm, &watch.timer);
	if (r == 0)
		r = loop_add_fd(vm->loop, VMM_FD_WATCH, EPOLLIN, on_event, vm, &watch.source);
	return r < 0 ? err_sys(err, r, "watch volumes") : 0;
}
